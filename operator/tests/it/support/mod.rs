//! What tests stand on.

mod gateway;
mod kubelet;
mod objects;
mod operator;
mod shops;
mod world;

use kube::CustomResourceExt as _;
use shop_operator::shop::Shop;
use shop_testing_kubernetes::Kubernetes;

pub(crate) use kubelet::{Fate, component_of, is_job, version_of};
pub(crate) use objects::{KINDS, all_of, api};
pub(crate) use operator::{Operator, RHYTHM, client};
pub(crate) use shops::{condition, message_of, postgres, reason_of, smallest};
pub(crate) use world::World;

/// The Kubernetes that all tests share, which knows Shops; `None`, with a line that says so, where there is none.
pub(crate) async fn kubernetes() -> Option<&'static Kubernetes> {
    Kubernetes::shared(&[Shop::crd()]).await
}
