//! The point of no return of a version: it is not passed before the version has answered.

use super::cluster::Cluster;
use crate::fixtures;

fn serving(version: &str) -> Cluster {
    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.shop.spec.version = version.to_owned();
    cluster.until_ready();
    cluster
}

/// There is a way back from a version that does not answer.
#[test]
fn a_version_that_does_not_answer_is_not_contracted_for() {
    let mut cluster = serving("1.0.0");
    cluster.probe = Err("500 Internal Server Error".to_owned());
    cluster.upgrade("2.0.0");
    cluster.go_on();
    assert!(cluster.all_serve(2));
    cluster.says("DatabaseMigrated", "False", "ContractHeld", &["a request through the gateway"]);
    cluster.says("Ready", "False", "ProbeFailed", &["500"]);
    assert!(cluster.schemas.values().all(|schema| *schema == Some((2, 1))));
    cluster.probe = Ok(());
    cluster.upgrade("1.0.0");
    cluster.until("version 1", |cluster| cluster.is_ready() && cluster.all_serve(1));
    cluster.upgrade("2.0.0");
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
    assert!(cluster.schemas.values().all(|schema| *schema == Some((2, 2))));
}

/// A contract may itself be what a request waits for: to end it and begin it again would never end.
#[test]
fn a_contract_that_has_begun_goes_on_though_no_request_is_answered() {
    let mut cluster = serving("1.0.0");
    cluster.upgrade("2.0.0");
    cluster.until("a contract", |cluster| {
        cluster.condition("DatabaseMigrated").reason == "Contracting" && cluster.jobs.len() > 3
    });
    let begun = cluster.job_names();
    cluster.probe = Err("timed out".to_owned());
    cluster.reconcile();
    assert_eq!(cluster.job_names(), begun);
    cluster.go_on();
    assert!(cluster.schemas.values().all(|schema| *schema == Some((2, 2))));
}
