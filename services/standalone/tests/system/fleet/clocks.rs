//! Replicas whose clocks are hours apart work on the same databases, whose clocks decide.

use std::{
    path::PathBuf,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use futures::future::join_all;
use shop_auth::keys::KeyPaths;

use super::{Consul, Fleet, Layout, Process, SERVICES, server};
use crate::{SETTLE_BOUND, client::Client, crash::Stage, shop::Reached, sink::EventSink};

/// Far beyond every payment time-out, lease and idempotency key.
const HOURS_AHEAD: [u32; 2] = [30, 60];
/// Long enough for each replica's workers to have turned many times, and its housekeeping at least once.
const WATCHED: Duration = Duration::from_secs(12);
const CUSTOMERS_EACH: usize = 2;

/// A whole shop beside the fleet, on its databases, whose clocks are ahead. It is a whole one since tokens are judged by the
/// clocks of processes: what has to stand their difference is the work in the databases.
struct Zone<'a> {
    fleet: &'a Fleet,
    gateway: Arc<RwLock<String>>,
    _processes: Vec<Process>,
}

impl<'a> Zone<'a> {
    async fn ahead(fleet: &'a Fleet, hours: u32) -> Self {
        let mut processes = Vec::new();
        let mut addresses = Vec::new();
        for service in SERVICES {
            let mut environment = fleet.environment_of(service);
            environment.retain(|(name, _)| !name.starts_with("SHOP_CONSUL_"));
            environment.extend(addresses.iter().cloned());
            for (name, value) in [
                ("SHOP_LISTEN", "127.0.0.1:0".to_owned()),
                ("LD_PRELOAD", faketime().display().to_string()),
                ("FAKETIME", format!("+{hours}h")),
                // Pauses take as long as ever.
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ] {
                environment.push((name.to_owned(), value));
            }
            let name = format!("{service}-{hours}-hours-ahead");
            let process = Process::start(service, name, &environment, fleet.folder()).await;
            addresses.push((format!("SHOP_{}_ADDRESS", service.to_uppercase()), process.serve.to_string()));
            processes.push(process);
        }
        for process in &processes {
            process.ready().await;
            assert!(process.shown_time() > shop_types::Instant::now().plus(Duration::from_hours(u64::from(hours) - 1)));
        }
        let gateway = Arc::new(RwLock::new(format!("http://{}", processes.last().unwrap().serve)));
        Self { fleet, gateway, _processes: processes }
    }
}

impl Reached for Zone<'_> {
    fn gateway(&self) -> Arc<RwLock<String>> {
        Arc::clone(&self.gateway)
    }

    fn keys(&self) -> KeyPaths {
        self.fleet.keys()
    }

    fn shop_uid(&self) -> &str {
        self.fleet.shop_uid()
    }

    async fn is_settled_clean(&self, bound: Duration) {
        self.fleet.settled_clean(bound).await;
    }
}

impl Process {
    /// What its clock shows by its log.
    fn shown_time(&self) -> shop_types::Instant {
        let log = self.log_text();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.next_back().unwrap()["timestamp"].as_str().unwrap().parse().unwrap()
    }
}

/// The library of Debian's `libfaketime`.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    libraries.find(|library| library.exists()).expect("libfaketime, which ./setup test installs")
}

async fn clocks_that_are_hours_apart_change_nothing(server: String) {
    let sink = EventSink::start().await;
    let consul = Consul::start().await;
    let one = Layout { user: 1, product: 1, order: 1, gateway: 1, ..Layout::three(server) };
    let fleet = Fleet::start(one.with("SHOP_EVENT_SINK", sink.url()), &consul).await;
    let mut stages = Vec::new();
    let mut zones = Vec::new();
    for hours in HOURS_AHEAD {
        zones.push(Zone::ahead(&fleet, hours).await);
    }
    for _ in 0..CUSTOMERS_EACH {
        stages.push(Stage::set(&fleet).await);
        for zone in &zones {
            stages.push(Stage::set(zone).await);
        }
    }
    let count = stages.len();
    let played = join_all(stages.into_iter().map(Stage::play)).await;

    // Nobody expires what is not overdue, or forgets a key before its time, because of his own clock.
    let expiring = tokio::spawn(join_all(played.into_iter().map(|(stage, orders)| stage.let_expire(orders))));
    let admin = Client::admin(&fleet).await;
    let begun = Instant::now();
    while admin.orders("reserved").await < count {
        assert!(begun.elapsed() < SETTLE_BOUND, "the orders are not reserved");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, database) = fleet.databases.iter().find(|(service, _)| *service == "order").unwrap();
    let keys = "SELECT count(*) AS n FROM idempotency_keys";
    let in_use = database.count(keys).await;
    let watched = Instant::now();
    while watched.elapsed() < WATCHED {
        assert_eq!(admin.orders("reserved").await, count, "an order expired before its time");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(database.count(keys).await, in_use, "a key was forgotten before its time");

    // Their time comes for the database, and so for everyone.
    database.execute("UPDATE orders SET expires_at = 1 WHERE expires_at IS NOT NULL").await;
    let ended = expiring.await.unwrap();
    fleet.settled_clean(SETTLE_BOUND).await;
    for (stage, orders) in ended {
        stage.ended_well(&orders, "clocks apart").await;
        sink.has_all_events_in_order(&orders.ids(), "clocks apart").await;
    }
}

#[tokio::test]
async fn on_postgresql_clocks_that_are_hours_apart_change_nothing() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    clocks_that_are_hours_apart_change_nothing(server).await;
}

#[tokio::test]
async fn on_mariadb_clocks_that_are_hours_apart_change_nothing() {
    let Some(server) = server("SHOP_TEST_MYSQL_URL") else { return };
    clocks_that_are_hours_apart_change_nothing(server).await;
}
