//! What is missing, wrong or in the way: it is named, and holds up only what needs it.

use k8s_openapi::{
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time},
    jiff::SignedDuration,
};
use kube::ResourceExt as _;

use super::cluster::Cluster;
use crate::{
    cluster::Kind,
    fixtures,
    observed::{Conflict, Reference, Scope},
    rollout::decide,
    shop::{Component, DatabaseService, Phase, SecretKeyReference, Shop},
};

fn serving() -> Cluster {
    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.until_ready();
    cluster
}

/// Survival 7: one missing Secret holds up one process, and its field is named.
#[test]
fn a_missing_secret_holds_up_what_needs_it() {
    for (reference, reason, words) in [
        (Reference::NoSecret, "SecretNotFound", "there is no Secret database"),
        (Reference::NoKey, "SecretKeyNotFound", "has no key order"),
        (Reference::Unknown("forbidden".to_owned()), "SecretUnreadable", "forbidden"),
    ] {
        let mut cluster = Cluster::new(fixtures::postgres());
        cluster.references.insert(DatabaseService::Order, reference.clone());
        cluster.go_on();
        assert_eq!(cluster.phase(), Phase::Pending);
        cluster.says("Degraded", "True", reason, &["spec.database.postgres.order.urlSecretRef", words]);
        cluster.says("DatabaseMigrated", "False", "Blocked", &["order"]);
        assert_eq!(cluster.told_all(), [Some(1), Some(1), None, Some(1)]);
        cluster.references.insert(DatabaseService::Order, super::cluster::found("first"));
        cluster.until_ready();
    }
}

/// Survival 13 and 17: what goes, or can't be read, while all is well changes nothing but what is said.
#[test]
fn what_can_not_be_read_leaves_what_runs() {
    for reference in [Reference::Unknown("timed out".to_owned()), Reference::NoSecret] {
        let mut cluster = serving();
        let before = cluster.deployments.clone();
        cluster.references.insert(DatabaseService::User, reference);
        cluster.go_on();
        assert_eq!(cluster.deployments, before);
        assert_eq!(cluster.phase(), Phase::Degraded);
        cluster.says(
            "Ready",
            "False",
            &cluster.condition("Degraded").reason,
            &["spec.database.postgres.user.urlSecretRef"],
        );
        assert!(cluster.all_serve(1));
    }
}

#[test]
fn an_upgrade_waits_for_a_missing_secret_and_the_old_version_serves() {
    let mut cluster = serving();
    cluster.references.insert(DatabaseService::User, Reference::NoSecret);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    assert!(cluster.all_serve(1) && cluster.told_all() == [Some(1); 4]);
    cluster.references.insert(DatabaseService::User, super::cluster::found("first"));
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
}

fn broken(change: impl FnOnce(&mut Shop)) -> Cluster {
    let mut cluster = serving();
    cluster.edit(change);
    cluster.go_on();
    assert!(cluster.all_serve(1));
    cluster
}

/// Survival 7: each of these names its field, and the rest goes on.
#[test]
fn a_bad_field_is_named() {
    let resources = |name: &str, request: &str, limit: &str| {
        let map = |amount: &str| Some([(name.to_owned(), Quantity(amount.to_owned()))].into());
        Some(k8s_openapi::api::core::v1::ResourceRequirements {
            requests: map(request),
            limits: map(limit),
            claims: None,
        })
    };
    let cluster = broken(|shop| {
        shop.spec.services.user.resources = resources("memory", "plenty", "1Gi");
        shop.spec.services.order.replicas = Some(2);
    });
    cluster.says(
        "Degraded",
        "True",
        "InvalidResources",
        &["spec.services.user.resources.requests.memory", "\"plenty\""],
    );
    assert_eq!(cluster.ready(Component::Order), 2, "the others are as they are told");
    let cluster = broken(|shop| shop.spec.gateway.resources = resources("cpu", "2", "500m"));
    cluster.says(
        "Degraded",
        "True",
        "InvalidResources",
        &["spec.gateway.resources.requests.cpu: 2 is more than the limit, 500m"],
    );

    let cluster = broken(|shop| shop.spec.settings.payment_timeout = Some("soon".to_owned()));
    cluster.says("Degraded", "True", "InvalidSettings", &["spec.settings.paymentTimeout"]);
    assert!(!cluster.decision.as_ref().unwrap().write_settings);
}

#[test]
fn bad_settings_leave_those_before_them_in_force() {
    let mut cluster = serving();
    let mut observed = cluster.observe(&cluster.shop);
    observed.settings = Some(r#"{"maintenance":true}"#.to_owned());
    cluster.shop.spec.settings.log_level = Some("loud".to_owned());
    let blueprint = decide(&cluster.shop, &observed).blueprint.unwrap();
    assert_eq!(blueprint.settings, r#"{"maintenance":true}"#);
    cluster.shop.spec.settings.log_level = Some("debug".to_owned());
    let blueprint = decide(&cluster.shop, &observed).blueprint.unwrap();
    assert_eq!(blueprint.settings, r#"{"logLevel":"debug"}"#);
}

#[test]
fn secrets_without_a_key_are_named_by_their_fields() {
    let mut cluster = serving();
    cluster.shop.spec.image.pull_secrets = fixtures::production().spec.image.pull_secrets;
    cluster.shop.spec.gateway.ingress = fixtures::production().spec.gateway.ingress;
    let mut observed = cluster.observe(&cluster.shop);
    observed.missing_secrets = vec!["registry".to_owned(), "shop-tls".to_owned()];
    let decision = decide(&cluster.shop, &observed);
    let degraded = &decision.conditions[2].message;
    assert!(degraded.contains("spec.image.pullSecrets: there is no Secret registry"), "{degraded}");
    assert!(degraded.contains("spec.gateway.ingress.tlsSecretName: there is no Secret shop-tls"), "{degraded}");
    // A node may have the image, and an Ingress works without its certificate.
    let blueprint = decision.blueprint.unwrap();
    assert!(blueprint.ingress && blueprint.processes.iter().all(|(_, process)| process.is_some()));
}

#[test]
fn certificates_of_consul_hold_up_everything() {
    let mut cluster = Cluster::new(fixtures::postgres());
    let ca = SecretKeyReference { name: "consul".to_owned(), key: "ca".to_owned() };
    cluster.shop.spec.consul.ca_secret_ref = Some(ca.clone());
    let mut observed = cluster.observe(&cluster.shop);
    observed.references.insert(ca, Reference::NoSecret);
    let decision = decide(&cluster.shop, &observed);
    assert!(decision.conditions[2].message.contains("spec.consul.caSecretRef: there is no Secret consul"));
    let blueprint = decision.blueprint.unwrap();
    assert!(blueprint.jobs.is_empty() && blueprint.processes.iter().all(|(_, process)| process.is_none()));
}

/// Survival 15: who comes second is told, and has everything but what is taken.
#[test]
fn a_host_that_is_taken_holds_up_the_ingress_alone() {
    let mut shop = fixtures::postgres();
    shop.spec.gateway.ingress = fixtures::production().spec.gateway.ingress;
    let mut cluster = Cluster::new(shop);
    cluster.conflicts = vec![Conflict {
        what: "the host shop.example".to_owned(),
        owner: "Shop other in shops".to_owned(),
        reason: "HostConflict",
        scope: Scope::Ingress,
    }];
    cluster.go_on();
    cluster.says("Ready", "False", "HostConflict", &["the host shop.example belongs to Shop other"]);
    assert!(cluster.all_serve(1));
    let children = cluster.children.as_ref().unwrap();
    assert!(children.ingresses.is_empty());
    // One that is there stays as it is, be it of another host; an autoscaler of that name is none of it.
    assert_eq!(children.untouched, [(Kind::Ingress, "demo-gateway".to_owned())]);
    cluster.conflicts.clear();
    cluster.until_ready();
    assert_eq!(cluster.children.as_ref().unwrap().ingresses.len(), 1);
}

#[test]
fn a_name_that_is_taken_holds_up_its_process() {
    let mut cluster = Cluster::new(fixtures::postgres());
    let conflict = |scope| Conflict {
        what: "Deployment demo-user".to_owned(),
        owner: "somebody else".to_owned(),
        reason: "NameConflict",
        scope,
    };
    cluster.conflicts = vec![conflict(Scope::Process(Component::User))];
    cluster.go_on();
    cluster.says("Degraded", "True", "NameConflict", &["Deployment demo-user belongs to somebody else"]);
    assert_eq!(cluster.told_all(), [Some(1), None, Some(1), Some(1)]);
    cluster.conflicts = vec![conflict(Scope::Shop)];
    cluster.reconcile();
    assert!(!cluster.decision.as_ref().unwrap().blueprint.as_ref().unwrap().ingress);
    cluster.conflicts.clear();
    cluster.until_ready();
}

/// Survival 16: what is on its way out is waited for, said, and made again.
#[test]
fn a_deployment_that_is_being_deleted_is_waited_for() {
    let mut cluster = serving();
    let now = Time(cluster.now);
    cluster.deployments.user.as_mut().unwrap().metadata.deletion_timestamp = Some(now);
    cluster.reconcile();
    cluster.says("Degraded", "True", "Terminating", &["the Deployment of user is being deleted"]);
    assert!(cluster.decision.as_ref().unwrap().blueprint.as_ref().unwrap().processes.user.is_none());
    cluster.delete_deployment(Component::User);
    cluster.until_ready();
}

#[test]
fn a_volume_and_a_job_that_are_being_deleted_are_waited_for() {
    let mut cluster = Cluster::new(fixtures::smallest());
    cluster.reconcile();
    cluster.delete_deployment(Component::Order);
    let now = Time(cluster.now);
    let order = cluster.claims.iter_mut().find(|claim| claim.name_any() == "demo-order-data").unwrap();
    order.metadata.deletion_timestamp = Some(now.clone());
    cluster.reconcile();
    cluster.says("Degraded", "True", "Terminating", &["the volume demo-order-data is being deleted"]);
    assert_eq!(cluster.told(Component::Order), None);
    cluster.claims.retain(|claim| claim.name_any() != "demo-order-data");
    cluster.until_ready();

    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.reconcile();
    for job in &mut cluster.jobs {
        job.metadata.deletion_timestamp = Some(now.clone());
    }
    cluster.reconcile();
    assert!(cluster.decision.as_ref().unwrap().blueprint.as_ref().unwrap().jobs.is_empty());
    assert!(cluster.decision.as_ref().unwrap().obsolete_jobs.is_empty());
    cluster.jobs.clear();
    cluster.until_ready();
}

#[test]
fn without_consul_nothing_that_runs_is_replaced() {
    let mut cluster = serving();
    cluster.consul = false;
    cluster.upgrade("2.0.0");
    cluster.go_on();
    assert!(cluster.all_serve(1) && cluster.told_all() == [Some(1); 4]);
    cluster.says("ConsulSynced", "False", "ConsulUnavailable", &["connection refused"]);
    cluster.says("Degraded", "True", "ConsulUnavailable", &[]);
    assert_eq!(cluster.phase(), Phase::Degraded);
    // Nor by an edit of the same version; but there may be more of it.
    cluster.upgrade("1.0.0");
    cluster.go_on();
    cluster.edit(|shop| {
        shop.spec.services.user.resources = fixtures::production().spec.services.user.resources;
        shop.spec.services.order.replicas = Some(2);
    });
    let before = cluster.deployments.user.clone();
    cluster.go_on();
    assert_eq!((&cluster.deployments.user, cluster.ready(Component::Order)), (&before, 2));
    cluster.consul = true;
    cluster.until_ready();
    assert_ne!(cluster.deployments.user, before);
}

#[test]
fn a_new_shop_is_made_before_consul_is_there_and_ready_after() {
    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.consul = false;
    cluster.go_on();
    assert!(cluster.all_serve(1));
    assert_eq!(cluster.phase(), Phase::Pending, "it was never ready");
    cluster.consul = true;
    cluster.until_ready();
}

/// A Job that a quota or an admission policy keeps without pods says nothing of that in its status.
#[test]
fn a_job_that_gets_no_pods_is_told_of() {
    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.reconcile();
    cluster.now += SignedDuration::from_secs(9);
    cluster.reconcile();
    assert_eq!(cluster.phase(), Phase::Migrating);
    cluster.says("Degraded", "False", "AsExpected", &[]);
    cluster.now += SignedDuration::from_secs(1);
    cluster.reconcile();
    let name = cluster.job_names().into_iter().find(|name| name.contains("order")).unwrap();
    let what_to_do = format!("kubectl describe job {name}");
    cluster.says("Degraded", "True", "FailedCreate", &["migrate up of order", &what_to_do]);
    cluster.until_ready();
}
