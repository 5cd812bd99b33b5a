//! `load` as a program: what it prints, and how it exits.

use std::process::Output;

use http::StatusCode;
use serde_json::Value;
use tokio::process::Command;

use crate::fake_shop::{FakeShop, problem};

async fn load(shop: &FakeShop, arguments: &[&str]) -> (Option<i32>, String, String) {
    let common = ["--rate", "100", "--duration", "1s", "--warm-up", "0s", "--shoppers", "1"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.arg(shop.url()).args(common).args(arguments).kill_on_drop(true);
    let Output { status, stdout, stderr } =
        command.env_remove("SHOP_STAFF_EMAIL").env_remove("SHOP_STAFF_PASSWORD").output().await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn a_load_that_holds_its_thresholds_exits_0() {
    let shop = FakeShop::start().await;
    let bounds = ["--arrivals", "even", "--max-error-rate", "0", "--p99", "10s", "--p99", "product=10s"];
    let (code, stdout, stderr) = load(&shop, &bounds).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("100 requests were due"), "{stdout}");
    assert!(stderr.contains("1 s "), "no progress: {stderr}");
}

#[tokio::test]
async fn a_missed_threshold_exits_1_and_says_which() {
    let shop = FakeShop::answering(|call| {
        call.path.ends_with("/availability").then(|| problem(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"))
    })
    .await;
    let mix = ["--mix", "availability=1,product=1", "--quiet"];
    let (code, _, stderr) = load(&shop, &[&mix[..], &["--max-error-rate", "0.001"]].concat()).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.starts_with("missed: error rate 0."), "{stderr}");
    let (code, stdout, stderr) = load(&shop, &[&mix[..], &["--p99", "search=1s"]].concat()).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("missed: p99 of search: there was no such request"), "{stderr}");
    assert!(stdout.contains("500  INTERNAL"), "{stdout}");
}

#[tokio::test]
async fn the_report_is_had_as_json() {
    let shop = FakeShop::start().await;
    let (code, stdout, _) = load(&shop, &["--arrivals", "even", "--json", "-", "--quiet"]).await;
    assert_eq!(code, Some(0));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["intended"], 100);
    assert_eq!(report["expected"], 100);
    assert!(report["latency"]["p99_ms"].is_number() && report["operations"][0]["operation"].is_string(), "{report:#}");
}

#[tokio::test]
async fn what_cant_be_done_exits_2_and_what_makes_no_sense_64() {
    let shop = FakeShop::answering(|call| {
        (call.path == "/auth/login").then(|| problem(StatusCode::UNAUTHORIZED, "LOGIN_FAILED"))
    })
    .await;
    let (code, _, stderr) = load(&shop, &["--quiet"]).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains("LOGIN_FAILED"), "{stderr}");
    for wrong in [["--p99", "soon"], ["--mix", "dance=1"], ["--arrivals", "late"]] {
        let (code, _, stderr) = load(&shop, &wrong).await;
        assert_eq!(code, Some(64), "{stderr}");
        assert!(stderr.contains(wrong[0]), "{stderr}");
    }
}
