//! Which Shops want which host. Known from the watch of Shops, as a hint where to look: a conflict is only told after the
//! other Shop was read.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::ObjectMeta;
use parking_lot::Mutex;
use serde_json::Value;

use super::{queue::Key, world::is_controlled_by};
use crate::{
    cluster::{ApiError, Cluster, Kind, Object},
    names,
    observed::{Conflict, Scope},
    shop::{Component, Shop},
};

/// Where a Shop names its host.
const HOST: &str = "/spec/gateway/ingress/host";

/// Hosts and who wants them.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<BTreeMap<Key, Claim>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    host: String,
    rank: Rank,
}

/// Of several Shops that have nothing yet the oldest has the host; of equally old ones any, but always the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(String, String);

impl Rank {
    fn of(metadata: &ObjectMeta) -> Self {
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
        Self(created, metadata.uid.clone().unwrap_or_default())
    }
}

impl Claims {
    /// Takes down what a Shop wants; the others that wanted what it wanted before.
    pub(super) fn note(&self, key: &Key, shop: &Object) -> BTreeSet<Key> {
        match host_of(&shop.data) {
            Some(host) => {
                let claim = Claim { host: host.to_owned(), rank: Rank::of(&shop.metadata) };
                let before = self.0.lock().insert(key.clone(), claim.clone());
                before.filter(|before| *before != claim).map(|before| self.claimants(&before.host)).unwrap_or_default()
            }
            None => self.forget(key),
        }
    }

    /// Forgets a Shop; the others that wanted what it wanted.
    pub(super) fn forget(&self, key: &Key) -> BTreeSet<Key> {
        let before = self.0.lock().remove(key);
        before.map(|before| self.claimants(&before.host)).unwrap_or_default()
    }

    fn claimants(&self, host: &str) -> BTreeSet<Key> {
        self.0.lock().iter().filter(|(_, claim)| claim.host == host).map(|(key, _)| key.clone()).collect()
    }

    /// Whether another Shop has the host: it serves it now, or comes first where none of the two does, or both do.
    pub(super) async fn conflict(&self, cluster: &Cluster, shop: &Shop) -> Result<Option<Conflict>, ApiError> {
        let Some(ingress) = &shop.spec.gateway.ingress else { return Ok(None) };
        let host = &ingress.host;
        let own = Rank::of(&shop.metadata);
        let others: Vec<(Key, Claim)> = {
            let claims = self.0.lock();
            let other = |claim: &Claim| claim.host == *host && claim.rank != own;
            claims.iter().filter(|(_, claim)| other(claim)).map(|(key, claim)| (key.clone(), claim.clone())).collect()
        };
        if others.is_empty() {
            return Ok(None);
        }
        let key = Key { namespace: names::namespace_of(shop).to_owned(), name: names::name_of(shop).to_owned() };
        let serves = serves(cluster, &key, &own, host).await?;
        for (key, claim) in others {
            let found = cluster.get(Kind::Shop, &key.namespace, &key.name).await?;
            let same = |found: &Object| {
                host_of(&found.data) == Some(&claim.host) && found.metadata.uid.as_ref() == Some(&claim.rank.1)
            };
            if !found.is_some_and(|found| same(&found)) {
                continue;
            }
            let theirs = (self::serves(cluster, &key, &claim.rank, host).await?, &claim.rank);
            if comes_first(theirs, (serves, &own)) {
                return Ok(Some(Conflict {
                    what: format!("the host {host}"),
                    owner: format!("the Shop {}/{}", key.namespace, key.name),
                    reason: "HostConflict",
                    scope: Scope::Ingress,
                }));
            }
        }
        Ok(None)
    }
}

/// Of two that want a host, each given as whether it serves it and how old it is: whether it is the first one's. Age does not
/// take a host away from clients that reach somebody else by it.
fn comes_first((serves, rank): (bool, &Rank), than: (bool, &Rank)) -> bool {
    (!serves, rank) < (!than.0, than.1)
}

/// Whether a Shop has an Ingress with this host.
async fn serves(cluster: &Cluster, key: &Key, rank: &Rank, host: &str) -> Result<bool, ApiError> {
    let name = format!("{}-{}", key.name, Component::Gateway.name());
    let found = cluster.get(Kind::Ingress, &key.namespace, &name).await?;
    Ok(found.is_some_and(|ingress| {
        let rules = ingress.data.pointer("/spec/rules").and_then(Value::as_array);
        is_controlled_by(&ingress.metadata, &rank.1)
            && rules.is_some_and(|rules| rules.iter().any(|it| it["host"] == host))
    }))
}

fn host_of(data: &Value) -> Option<&str> {
    data.pointer(HOST)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop(name: &str, host: Option<&str>) -> (Key, Object) {
        let object = json!({
            "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop",
            "metadata": {"name": name, "namespace": "a", "uid": name, "creationTimestamp": "2026-11-27T10:00:00Z"},
            "spec": {"gateway": {"ingress": host.map(|host| json!({"host": host}))}},
        });
        (Key { namespace: "a".to_owned(), name: name.to_owned() }, serde_json::from_value(object).unwrap())
    }

    #[test]
    fn whoever_waits_for_a_host_hears_when_it_is_let_go() {
        let claims = Claims::default();
        let (one, with_host) = shop("one", Some("shop.localhost"));
        let (two, second) = shop("two", Some("shop.localhost"));
        assert!(claims.note(&one, &with_host).is_empty());
        assert!(claims.note(&two, &second).is_empty());
        assert!(claims.note(&one, &with_host).is_empty(), "nothing new");
        assert!(claims.note(&one, &shop("one", None).1).contains(&two));
        assert!(claims.note(&one, &with_host).is_empty());
        assert!(claims.note(&one, &shop("one", Some("other.localhost")).1).contains(&two));
        assert!(claims.forget(&two).is_empty());
    }

    #[test]
    fn who_serves_a_host_keeps_it_and_age_decides_the_rest() {
        let (old, young) =
            (Rank("2026-01-01".to_owned(), "b".to_owned()), Rank("2026-01-02".to_owned(), "a".to_owned()));
        for (old_serves, young_serves, is_of_old) in
            [(false, false, true), (true, false, true), (false, true, false), (true, true, true)]
        {
            let (old, young) = ((old_serves, &old), (young_serves, &young));
            assert_eq!(comes_first(old, young), is_of_old, "{old:?} {young:?}");
            assert_eq!(comes_first(young, old), !is_of_old, "one of them has it: {old:?} {young:?}");
        }
    }
}
