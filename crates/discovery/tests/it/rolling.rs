//! Servers that leave one after another, without a word beforehand, under calls that must be done once and not twice.

use shop_server::{Tls, TlsOptions};

use crate::{
    authority::{Authority, Files},
    real::{Instances, Ledger, Load, RealServer},
    support::eventually,
};

/// How many servers leave; more by this variable, for a soak.
const LEAVING: usize = 10;
const LEAVING_VARIABLE: &str = "SHOP_TEST_LEAVING";
const SERVERS: usize = 3;

fn leaving() -> usize {
    std::env::var(LEAVING_VARIABLE).map_or(LEAVING, |count| count.parse().unwrap())
}

async fn no_call_fails(options: TlsOptions, tls: Option<Tls>) {
    let ledger = Ledger::default();
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        servers.push(RealServer::start(&ledger, options.clone()).await);
    }
    let instances = Instances::of(&servers);
    let load = Load::start(instances.pool(tls), &ledger);
    for _ in 0..leaving() {
        let next = RealServer::start(&ledger, options.clone()).await;
        instances.add(&next);
        servers.push(next);
        // It leaves while it is used, as one does that nobody took out of the resolver.
        let before = ledger.lock().len();
        eventually("calls go on", async || ledger.lock().len() > before + 20).await;
        let oldest = servers.remove(0);
        let address = oldest.address();
        oldest.leave().await;
        instances.remove(address);
    }
    load.none_failed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_or_is_done_twice_while_servers_leave() {
    no_call_fails(TlsOptions::default(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_or_is_done_twice_while_servers_leave_under_tls() {
    let authority = Authority::new("ca");
    let files = Files::new(&authority.issue("user"), &[&authority]);
    let tls = Tls::load(&files.options(), None).unwrap();
    no_call_fails(files.options(), tls).await;
}
