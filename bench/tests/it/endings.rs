//! How requests end: the report agrees with what the server itself counted, and only what may be repeated is.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use http::StatusCode;
use shop_bench::load::{KeyedRetry, Load, LoadError, Mix, Operation, Plan, Report};

use crate::{
    fake_shop::{Call, FakeShop, broken, problem},
    plan,
};

const SECOND: Duration = Duration::from_secs(1);

fn count(report: &Report, operation: Operation, status: u16, code: &str) -> u64 {
    let row =
        report.answers.iter().find(|row| (row.operation, row.status, row.code.as_str()) == (operation, status, code));
    row.map_or(0, |row| row.count)
}

#[tokio::test]
async fn every_answer_is_in_the_table() {
    let shop = FakeShop::answering(|call| {
        let product: Option<u32> = call.path.strip_prefix("/products/p").and_then(|n| n.parse().ok());
        match product? % 4 {
            0 => Some(problem(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")),
            1 => Some(problem(StatusCode::NOT_FOUND, "NOT_FOUND")),
            2 => Some(broken()),
            _ => None,
        }
    })
    .await;
    let mix = Mix::of([(Operation::Product, 3), (Operation::List, 1)]);
    let report = Load::run(Plan { mix, ..plan(&shop, 400.0, SECOND) }).await.unwrap();
    let mut asked = HashMap::<u32, u64>::new();
    for call in shop.calls() {
        if let Some(n) = call.path.strip_prefix("/products/p").and_then(|n| n.parse::<u32>().ok()) {
            *asked.entry(n % 4).or_default() += 1;
        }
    }
    assert_eq!(count(&report, Operation::Product, 503, "UNAVAILABLE"), asked[&0], "{report}");
    assert_eq!(count(&report, Operation::Product, 404, "NOT_FOUND"), asked[&1], "{report}");
    assert_eq!(count(&report, Operation::Product, 0, "CONNECTION_BROKEN"), asked[&2], "{report}");
    let fine = count(&report, Operation::Product, 200, "") + count(&report, Operation::Product, 304, "");
    assert_eq!(fine, asked[&3], "{report}");
    assert!(count(&report, Operation::Product, 304, "") > 0, "versions that are known are asked for as such");
    assert_eq!(report.failed, asked[&0] + asked[&1] + asked[&2], "{report}");
    assert_eq!(report.intended, report.expected + report.failed, "{report}");
    assert_eq!(report.operations.iter().map(|of| of.intended).sum::<u64>(), 400);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up() {
    let shop = FakeShop::that(Box::new(|call| {
        Box::pin(async move { if call.is_product() { std::future::pending().await } else { None } })
    }))
    .await;
    let mix = Mix::of([(Operation::Product, 1)]);
    let timeout = Duration::from_millis(100);
    let report = Load::run(Plan { mix, timeout, ..plan(&shop, 50.0, SECOND) }).await.unwrap();
    assert_eq!((report.failed, count(&report, Operation::Product, 0, "TIMED_OUT")), (50, 50), "{report}");
    assert!(report.latency.p50_ms >= 100.0, "{report}");
}

#[tokio::test]
async fn nothing_is_sent_twice_unless_told() {
    let shop = FakeShop::answering(|call| call.is_order().then(broken)).await;
    let mix = Mix::of([(Operation::Order, 1)]);
    let report = Load::run(Plan { mix, ..plan(&shop, 100.0, SECOND) }).await.unwrap();
    assert_eq!((report.failed, report.retried), (100, 0), "{report}");
    let orders: Vec<_> = shop.calls().into_iter().filter(Call::is_order).collect();
    let keys: HashSet<_> = orders.iter().filter_map(|call| call.key()).collect();
    assert_eq!((orders.len(), keys.len()), (100, 100));
}

#[tokio::test]
async fn an_order_whose_connection_died_is_settled_under_its_key() {
    let shop = FakeShop::answering(|call| (call.is_order() && call.earlier == 0).then(broken)).await;
    let mix = Mix::of([(Operation::Order, 1)]);
    let keyed_retry = KeyedRetry::Unanswered;
    let report = Load::run(Plan { mix, keyed_retry, ..plan(&shop, 100.0, SECOND) }).await.unwrap();
    assert_eq!((report.expected, report.failed, report.retried), (100, 0, 100), "{report}");
    let mut bodies = HashMap::<String, Vec<_>>::new();
    for call in shop.calls().into_iter().filter(Call::is_order) {
        bodies.entry(call.key().unwrap().to_owned()).or_default().push(call.body);
    }
    assert_eq!(bodies.len(), 100);
    assert!(bodies.values().all(|tries| tries.len() == 2 && tries[0] == tries[1]));
}

#[tokio::test]
async fn a_503_leaves_open_whether_there_is_an_order() {
    let pending = |call: Call| {
        (call.is_order() && call.earlier == 0).then(|| problem(StatusCode::SERVICE_UNAVAILABLE, "ORDER_PENDING"))
    };
    for (keyed_retry, failed) in [(KeyedRetry::Unanswered, 20), (KeyedRetry::Unsettled, 0)] {
        let shop = FakeShop::answering(pending).await;
        let mix = Mix::of([(Operation::Order, 1)]);
        let report = Load::run(Plan { mix, keyed_retry, ..plan(&shop, 20.0, SECOND) }).await.unwrap();
        assert_eq!((report.failed, report.retried), (failed, 20 - failed), "{keyed_retry:?}: {report}");
    }
}

#[tokio::test]
async fn orders_are_paid_and_cancelled_once_each() {
    let shop = FakeShop::start().await;
    let plan = plan(&shop, 300.0, SECOND).with_staff("staff@example.com", "secret");
    let mix = Mix::of([(Operation::Order, 2), (Operation::Pay, 1), (Operation::Cancel, 1)]);
    let report = Load::run(Plan { mix, ..plan }).await.unwrap();
    assert_eq!(report.expected, 300, "{report}");
    let mut settled = HashSet::new();
    for call in shop.calls() {
        if call.path.ends_with("/payments") || call.path.ends_with("/cancel") {
            let order = call.path.split('/').nth(2).unwrap().to_owned();
            assert!(settled.insert(order), "{} came twice", call.path);
        }
    }
    assert!(settled.len() > 100, "{report}");
}

#[tokio::test]
async fn a_shop_that_cant_be_prepared_is_an_error() {
    let refused = FakeShop::answering(|call| {
        (call.path == "/auth/login").then(|| problem(StatusCode::UNAUTHORIZED, "LOGIN_FAILED"))
    })
    .await;
    let error = Load::start(plan(&refused, 1.0, SECOND)).await.unwrap_err();
    assert!(matches!(error, LoadError::Preparation { .. }), "{error}");
    assert!(error.to_string().contains("LOGIN_FAILED"), "{error}");
}
