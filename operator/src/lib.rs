//! The operator of Shops: reads `Shop` resources and makes the cluster, Consul and the databases what they say.
//!
//! One reconciliation is `dereference → validate → decide → build → apply → update_status`. [`shop`] has the types that
//! users write, [`observed`] what was read of the world, [`rollout`] what follows from both, and [`build`] the objects that
//! this makes; these are pure. [`controller`] reads, writes and repeats, [`registry`] deals with Consul and [`secrets`] with
//! what a shop keeps to itself; [`election`] makes sure that one instance acts at a time.

pub mod build;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod crd;
pub mod election;
pub mod events;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod metrics;
mod names;
pub mod observed;
pub mod plan;
pub mod registry;
pub mod rollout;
mod run;
pub mod secrets;
pub mod shop;
