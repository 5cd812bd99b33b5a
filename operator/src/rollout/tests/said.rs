//! What is said of a Shop, and what is done about Consul.

use k8s_openapi::{
    api::core::v1::{PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::SignedDuration,
};
use kube::ResourceExt as _;

use super::cluster::{Cluster, Image};
use crate::{
    fixtures,
    rollout::{compare_versions, decide, is_worth_a_probe},
    shop::{Component, ConditionType, Phase},
};

fn serving() -> Cluster {
    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.until_ready();
    cluster
}

#[test]
fn conditions_turn_when_their_status_does_and_are_about_a_generation() {
    let mut cluster = serving();
    let since = cluster.condition("Ready").last_transition_time.clone();
    cluster.go_on();
    assert_eq!(cluster.condition("Ready").last_transition_time, since);
    let names: Vec<_> = cluster.decision.as_ref().unwrap().conditions.iter().map(|it| it.type_.clone()).collect();
    assert_eq!(names, ConditionType::ALL.map(ConditionType::as_str));
    cluster.edit(|shop| shop.spec.settings.maintenance = Some(true));
    cluster.reconcile();
    assert_eq!(cluster.condition("Ready").observed_generation, cluster.shop.metadata.generation);
    cluster.images.insert(2, Image::MigrationFails);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    assert!(cluster.condition("Ready").last_transition_time > since);
}

/// Survival 24: another error is told in other words, and the same one after a recovery is told again.
#[test]
fn what_is_said_is_about_now() {
    let mut cluster = serving();
    cluster.probe = Err("503 Service Unavailable".to_owned());
    cluster.reconcile();
    cluster.says("Ready", "False", "ProbeFailed", &["503 Service Unavailable"]);
    cluster.says("Degraded", "True", "ProbeFailed", &["503"]);
    assert_eq!(cluster.phase(), Phase::Degraded);
    let first = cluster.condition("Ready").last_transition_time.clone();
    cluster.probe = Err("connection refused".to_owned());
    cluster.reconcile();
    cluster.says("Ready", "False", "ProbeFailed", &["connection refused"]);
    assert_eq!(cluster.condition("Ready").last_transition_time, first);
    cluster.probe = Ok(());
    cluster.until_ready();
    cluster.says("Degraded", "False", "AsExpected", &[]);
    cluster.now += SignedDuration::from_secs(5);
    cluster.probe = Err("connection refused".to_owned());
    cluster.reconcile();
    assert!(cluster.condition("Ready").last_transition_time > first);
}

/// Survival 10: a spec that is not carried out yet is not Ready, be everything of the last one in order.
#[test]
fn an_edit_is_not_ready_before_it_is_carried_out() {
    let mut cluster = serving();
    let resources = fixtures::production().spec.services.user.resources;
    cluster.edit(|shop| shop.spec.services.order.resources = resources);
    cluster.reconcile();
    cluster.says("Ready", "False", "RollingOut", &["order: 1 of 1 pods are ready"]);
    assert_eq!(cluster.phase(), Phase::RollingOut);
    cluster.until_ready();
    cluster.edit(|shop| shop.spec.services.order.replicas = Some(2));
    cluster.reconcile();
    assert!(!cluster.is_ready());
    cluster.until_ready();
    assert_eq!(cluster.ready(Component::Order), 2);
}

#[test]
fn a_pod_that_is_missing_is_not_a_roll_out() {
    let mut cluster = serving();
    cluster.pods.retain(|pod| crate::rollout::pods::component(pod) != Some(Component::User));
    cluster.tick();
    for pod in &mut cluster.pods {
        if crate::rollout::pods::component(pod) == Some(Component::User) {
            pod.status = None;
        }
    }
    cluster.deployments.user.as_mut().unwrap().status.as_mut().unwrap().ready_replicas = None;
    cluster.reconcile();
    cluster.says("Ready", "False", "PodsNotReady", &["user: 0 of 1 pods are ready"]);
    assert_eq!(cluster.phase(), Phase::Degraded);
    cluster.until_ready();
}

/// Survival 6: requests that no node can meet, then reverted.
#[test]
fn a_pod_that_finds_no_node_is_named_after_a_while() {
    let mut cluster = serving();
    let resources = fixtures::production().spec.services.user.resources;
    cluster.edit(|shop| shop.spec.services.order.resources = resources);
    cluster.reconcile();
    cluster.tick();
    let newest = cluster.pods.iter().rfind(|pod| crate::rollout::pods::component(pod) == Some(Component::Order));
    let uid = newest.unwrap().uid();
    let pend = |cluster: &mut Cluster| {
        let pod = cluster.pods.iter_mut().find(|pod| pod.uid() == uid).unwrap();
        pod.status = Some(PodStatus {
            conditions: Some(vec![PodCondition {
                type_: "PodScheduled".to_owned(),
                status: "False".to_owned(),
                reason: Some("Unschedulable".to_owned()),
                message: Some("0/1 nodes are available: insufficient cpu".to_owned()),
                ..PodCondition::default()
            }]),
            ..PodStatus::default()
        });
        let status = cluster.deployments.order.as_mut().unwrap().status.as_mut().unwrap();
        status.replicas = Some(2);
        cluster.reconcile();
    };
    pend(&mut cluster);
    assert_eq!(cluster.phase(), Phase::RollingOut);
    cluster.now += SignedDuration::from_secs(10);
    pend(&mut cluster);
    cluster.says("Degraded", "True", "Unschedulable", &["order", "insufficient cpu"]);
    cluster.edit(|shop| shop.spec.services.order.resources = None);
    cluster.until_ready();
}

#[test]
fn paused_is_left_alone_but_for_the_dead() {
    let mut cluster = serving();
    cluster.edit(|shop| {
        shop.spec.paused = true;
        shop.spec.version = "2.0.0".to_owned();
    });
    cluster.instances.insert("gone".to_owned(), Component::User);
    cluster.reconcile();
    let decision = cluster.decision.as_ref().unwrap();
    assert!(decision.blueprint.is_none() && !decision.write_settings && decision.obsolete_jobs.is_empty());
    assert_eq!((decision.phase, decision.dead_instances.clone()), (Phase::Paused, vec!["gone".to_owned()]));
    cluster.edit(|shop| shop.spec.paused = false);
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
}

#[test]
fn a_shop_that_goes_is_left_alone() {
    let mut cluster = serving();
    cluster.shop.metadata.deletion_timestamp = Some(Time(cluster.now));
    cluster.reconcile();
    let decision = cluster.decision.as_ref().unwrap();
    assert!(decision.blueprint.is_none());
    assert_eq!(decision.phase, Phase::Deleting);
}

/// Survival 18 and 19: gone, ended or overdue is dead; on its way out is not, and nothing is when nobody can say.
#[test]
fn dead_is_whose_pod_is_gone() {
    let cluster = serving();
    let decided = |change: &dyn Fn(&mut crate::observed::Observed)| {
        let mut observed = cluster.observe(&cluster.shop);
        change(&mut observed);
        decide(&cluster.shop, &observed).dead_instances
    };
    let user = cluster.pods.iter().find(|pod| crate::rollout::pods::component(pod) == Some(Component::User)).unwrap();
    let uid = user.uid().unwrap();
    let leaving = |seconds: i64| {
        let (now, uid) = (cluster.now, uid.clone());
        move |observed: &mut crate::observed::Observed| {
            let pod = observed.pods.iter_mut().find(|pod| pod.uid().as_ref() == Some(&uid)).unwrap();
            pod.metadata.deletion_timestamp = Some(Time(now + SignedDuration::from_secs(seconds)));
        }
    };
    assert!(decided(&|_| ()).is_empty());
    assert_eq!(decided(&|observed| observed.pods.retain(|pod| pod.uid().as_ref() != Some(&uid))), [uid.as_str()]);
    assert!(decided(&leaving(30)).is_empty());
    assert!(decided(&leaving(-5)).is_empty());
    assert_eq!(decided(&leaving(-6)), [uid.as_str()]);
    let ended = |observed: &mut crate::observed::Observed| {
        let pod = observed.pods.iter_mut().find(|pod| pod.uid().as_ref() == Some(&uid)).unwrap();
        pod.status.as_mut().unwrap().phase = Some("Failed".to_owned());
    };
    assert_eq!(decided(&ended), [uid.as_str()]);
    assert!(
        decided(&|observed| {
            observed.pods.clear();
            observed.consul = Err("timed out".to_owned());
        })
        .is_empty()
    );
}

#[test]
fn consul_is_in_step_when_it_has_the_settings_and_every_ready_pod() {
    let mut cluster = serving();
    cluster.settings_current = false;
    let decision = decide(&cluster.shop, &cluster.observe(&cluster.shop));
    assert!(decision.write_settings);
    let synced = &decision.conditions[4];
    assert_eq!((synced.status.as_str(), synced.reason.as_str()), ("False", "SettingsNotWritten"));
    cluster.settings_current = true;
    cluster.instances.retain(|_, component| *component != Component::Order);
    cluster.reconcile();
    cluster.says("ConsulSynced", "False", "NotRegistered", &["order: 0 of 1"]);
    cluster.says("Ready", "False", "NotRegistered", &[]);
    cluster.until_ready();
}

#[test]
fn a_request_is_tried_once_everything_serves() {
    let mut cluster = Cluster::new(fixtures::postgres());
    assert!(!is_worth_a_probe(&cluster.observe(&cluster.shop)));
    cluster.until_ready();
    assert!(is_worth_a_probe(&cluster.observe(&cluster.shop)));
}

#[test]
fn versions_are_compared_where_both_are_versions() {
    use std::cmp::Ordering::{Equal, Greater, Less};
    for (a, b, order) in [
        ("1.2.3", "1.2.4", Some(Less)),
        ("v1.10.0", "1.9.0", Some(Greater)),
        ("1.0.0-rc.1", "1.0.0", Some(Less)),
        ("1.0.0+a", "1.0.0+b", Some(Equal)),
        ("1.0", "1.0.0", None),
        ("latest", "1.0.0", None),
    ] {
        assert_eq!(compare_versions(a, b), order, "{a} {b}");
    }
}

/// What would pass within seconds and does not is for somebody to put right, whether it ever was otherwise or not.
#[test]
fn what_does_not_answer_or_register_for_long_is_a_fault() {
    let fails = |cluster: &mut Cluster| cluster.probe = Err("503 Service Unavailable".to_owned());
    let mut cluster = Cluster::new(fixtures::postgres());
    fails(&mut cluster);
    cluster.until("a request that fails", |cluster| cluster.condition("Ready").reason == "ProbeFailed");
    assert_eq!(cluster.phase(), Phase::RollingOut, "it may be a matter of moments");
    cluster.says("Degraded", "False", "AsExpected", &[]);
    cluster.says("Progressing", "True", "Verifying", &[]);
    cluster.now += SignedDuration::from_secs(15);
    cluster.reconcile();
    assert_eq!(cluster.phase(), Phase::Pending, "it was never ready");
    cluster.says("Degraded", "True", "ProbeFailed", &["503"]);
    cluster.says("Progressing", "False", "Blocked", &[]);
    cluster.probe = Ok(());
    cluster.until_ready();

    fails(&mut cluster);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    assert_eq!(cluster.phase(), Phase::Degraded, "it was ready");
    cluster.says("Degraded", "True", "ProbeFailed", &["503"]);
    cluster.says("Progressing", "False", "Blocked", &[]);
    // Somebody takes one out of Consul, and it stays so.
    cluster.instances.retain(|_, component| *component != Component::Order);
    cluster.reconcile();
    cluster.says("Degraded", "True", "NotRegistered", &["order: 0 of 1", "503"]);
    cluster.probe = Ok(());
    cluster.until_ready();
}
