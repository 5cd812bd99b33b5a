//! The database server is stopped for a minute under load, and comes back.

use std::time::Duration;

use shop_bench::load::{Mix, Operation};
use shop_testing::Postgres;

use super::{Consul, Fleet, Layout, load};
use crate::{SETTLE_BOUND, client::Client, shop::Reached as _};

const OUTAGE: Duration = Duration::from_mins(1);
/// How soon after it is back everything works again.
const RECOVERY: Duration = Duration::from_secs(20);
/// What a process may grow by while nothing it does can end: queues and bodies are bounded.
const GROWTH: u64 = 64 * 1024 * 1024;

#[tokio::test]
async fn a_stopped_database_is_answered_with_503_and_everything_recovers() {
    let Some(mut database) = Postgres::of_its_own().await else { return };
    let consul = Consul::start().await;
    let layout = Layout { user: 2, product: 2, order: 2, ..Layout::three(database.url()) };
    let fleet = Fleet::start(layout, &consul).await;
    let load = load::on(&fleet, Mix::default().without(Operation::SignIn)).await;
    let quiet: Vec<u64> = fleet.processes.iter().map(super::Process::resident).collect();

    database.stop().await;
    let anonymous = Client::anonymous(&fleet);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let refused = anonymous.get("/products").await;
    refused.problem(503, "UNAVAILABLE");
    assert!(refused.header("retry-after").is_some());
    tokio::time::sleep(OUTAGE).await;
    let during = load.so_far();
    for (process, quiet) in fleet.processes.iter().zip(quiet) {
        let grown = process.resident().saturating_sub(quiet);
        assert!(grown < GROWTH, "{} grew by {} KiB", process.instance, grown / 1024);
    }
    database.start().await;
    for process in &fleet.processes {
        process.ready().await;
    }
    tokio::time::sleep(RECOVERY).await;
    let recovered = load.so_far();
    let report = load.finish().await.unwrap();
    println!("{report}");
    assert!(during.failed > 0, "nobody noticed that the database was away");
    let refused: Vec<_> = report.answers.iter().filter(|answer| !answer.expected).collect();
    assert!(
        refused.iter().all(|answer| answer.status == 503),
        "what could not be done was refused otherwise than with 503: {refused:#?}"
    );
    let last = report.timeline.iter().rev().take(10);
    assert!(last.map(|second| second.failed).sum::<u64>() == 0, "not recovered: {recovered:?}");
    fleet.is_settled_clean(SETTLE_BOUND).await;
}
