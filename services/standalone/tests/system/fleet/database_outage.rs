//! The database is away, or hangs, and the shop says so, keeps its memory, and goes on by itself.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use shop_bench::load::{Mix, Report};
use shop_testing::OwnServer;
use uuid::Uuid;

use super::{Consul, Fleet, Layout, load, server};
use crate::{SETTLE_BOUND, client::Client, shop::Reached as _};

/// How long it is away.
const OUTAGE: Duration = Duration::from_mins(1);
/// How long it hangs: longer than any request, and than the statement time-outs.
const HANG: Duration = Duration::from_secs(20);
/// The load before, between and after.
const CALM: Duration = Duration::from_secs(10);
/// How soon everything is served again. It takes seconds; what a loaded machine needs besides.
const RECOVERY: Duration = Duration::from_mins(1);
/// What a process may take more than before while it has no database: requests that wait for a connection, and no more
/// than may be in flight.
const MORE_KIB: u64 = 64 * 1024;

async fn the_database_is_away_and_hangs(server: &str) {
    let mut database = OwnServer::like(server).await;
    let consul = Consul::start().await;
    let fleet = Fleet::start(Layout { user: 2, product: 2, order: 2, ..Layout::three(database.url()) }, &consul).await;
    let staff = Client::admin(&fleet).await;
    let product = staff.product(100, 1).await;
    let before = load::on(&fleet, Mix::default()).await;
    tokio::time::sleep(CALM).await;
    load::all_served(before, &fleet).await;

    let usual = memory(&fleet);
    let outage = load::on(&fleet, Mix::default()).await;
    database.stop().await;
    stays_small(&fleet, &usual, OUTAGE).await;
    database.start().await;
    serves_again(&fleet, &staff, product).await;
    says_that_it_is_away(&outage.finish().await.unwrap(), &[503]);

    let hang = load::on(&fleet, Mix::default()).await;
    database.hang();
    stays_small(&fleet, &usual, HANG).await;
    database.resume();
    serves_again(&fleet, &staff, product).await;
    says_that_it_is_away(&hang.finish().await.unwrap(), &[503, 504]);

    let after = load::on(&fleet, Mix::default()).await;
    tokio::time::sleep(CALM).await;
    load::all_served(after, &fleet).await;
    fleet.is_settled_clean(SETTLE_BOUND).await;
}

fn memory(fleet: &Fleet) -> Vec<u64> {
    fleet.processes.iter().map(super::Process::pss_kib).collect()
}

async fn stays_small(fleet: &Fleet, usual: &[u64], time: Duration) {
    let begun = Instant::now();
    let mut most = 0;
    while begun.elapsed() < time {
        for ((process, usual), now) in fleet.processes.iter().zip(usual).zip(memory(fleet)) {
            most = most.max(now.saturating_sub(*usual));
            assert!(now < usual + MORE_KIB, "{} takes {now} KiB, usually {usual}", process.instance);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("no process took more than {most} KiB beyond the usual");
}

/// Waits until each database is read and written again, by every replica and for staff, too, who are refused for as long as
/// a replica has not heard what was revoked meanwhile.
async fn serves_again(fleet: &Fleet, staff: &Client, product: Uuid) {
    let begun = Instant::now();
    Client::customer(fleet).await;
    let inventory = format!("/products/{product}/inventory");
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let served = ["/products?limit=1", inventory.as_str(), "/orders?limit=1", "/users?limit=1"]
            .map(|path| staff.try_send(Method::GET, path, &[], None));
        let served = join_all(served).await.into_iter().all(|answer| answer.is_ok_and(|answer| answer.status == 200));
        in_a_row = if served { in_a_row + 1 } else { 0 };
        assert!(begun.elapsed() < RECOVERY, "not served again after {RECOVERY:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("served again after {} ms", begun.elapsed().as_millis());
}

/// Every request that was not served was told so, as a problem with a code.
fn says_that_it_is_away(report: &Report, statuses: &[u16]) {
    println!("{report}");
    let unserved: Vec<_> = report.answers.iter().filter(|answer| !answer.expected).collect();
    assert!(unserved.iter().map(|answer| answer.count).sum::<u64>() > 100, "the outage was not noticed: {report}");
    for answer in unserved {
        assert!(statuses.contains(&answer.status) && !answer.code.is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn postgresql_is_away_and_hangs() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    the_database_is_away_and_hangs(&server).await;
}

#[tokio::test]
async fn mariadb_is_away_and_hangs() {
    let Some(server) = server("SHOP_TEST_MYSQL_URL") else { return };
    the_database_is_away_and_hangs(&server).await;
}
