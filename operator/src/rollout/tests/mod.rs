//! What is decided, in a cluster in memory: branch by branch, and in walks at random.

mod blocked;
mod cluster;
mod contract;
mod controllers;
mod files;
mod said;
mod servers;
mod walk;

use cluster::Cluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::shop::{Component, Phase};

/// Longer than any way to an end takes here, in seconds.
const BOUND: usize = 200;

impl Cluster {
    /// Reconciles each second until a condition holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..BOUND {
            self.reconcile();
            if holds(self) {
                return;
            }
            self.tick();
        }
        panic!("{what} did not come about: {:#?}", self.decision.as_ref().map(|it| (it.phase, &it.conditions)));
    }

    fn until_ready(&mut self) {
        self.until("Ready", Self::is_ready);
    }

    fn is_ready(&self) -> bool {
        let decision = self.decision.as_ref().unwrap();
        decision.phase == Phase::Ready && self.condition("Ready").status == "True"
    }

    /// Goes on for longer than anything takes here.
    fn go_on(&mut self) {
        for _ in 0..60 {
            self.reconcile();
            self.tick();
        }
        self.reconcile();
    }

    fn phase(&self) -> Phase {
        self.decision.as_ref().unwrap().phase
    }

    fn condition(&self, kind: &str) -> &Condition {
        let decision = self.decision.as_ref().unwrap();
        decision.conditions.iter().find(|condition| condition.type_ == kind).unwrap()
    }

    /// That a condition has this status and reason, and its message these words.
    #[track_caller]
    fn says(&self, kind: &str, status: &str, reason: &str, words: &[&str]) {
        let condition = self.condition(kind);
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (status, reason), "{condition:?}");
        for word in words {
            assert!(condition.message.contains(word), "{word:?} is not in {:?}", condition.message);
        }
    }

    fn told_all(&self) -> [Option<i32>; 4] {
        Component::ROLL_ORDER.map(|component| self.told(component))
    }

    /// Whether each process has a pod that serves this version.
    fn all_serve(&self, version: i32) -> bool {
        Component::ROLL_ORDER.into_iter().all(|component| self.serving(component).contains(&version))
    }

    fn job_names(&self) -> Vec<String> {
        self.jobs.iter().map(kube::ResourceExt::name_any).collect()
    }
}
