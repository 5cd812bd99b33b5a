//! The operator of Shops: reads `Shop` resources and makes the cluster, Consul and the databases what they say.
//!
//! One reconciliation is `dereference → validate → decide → build → apply → update_status`. [`shop`] has the types that
//! users write, [`observed`] what was read of the world, [`rollout`] what follows from both, and [`build`] the objects that
//! this makes; these are pure. [`controller`] reads, writes and repeats.

pub mod build;
pub mod controller;
pub mod crd;
pub mod observed;
pub mod rollout;
pub mod shop;
