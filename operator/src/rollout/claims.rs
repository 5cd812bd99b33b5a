//! The volumes of SQLite files, as far as they can be what the spec says.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;

use super::problems::{Problem, blocks};
use crate::{
    build::{ClaimPlan, names, resources::amount},
    observed::Observed,
    shop::{DatabaseService, Engine, Shop},
};

/// Enough for some hundred thousand orders.
const STORAGE: &str = "1Gi";

/// A volume that is there keeps its class and never shrinks: neither can be changed. One that is somebody else's, or is on
/// its way out, is left alone.
pub(super) fn plan(shop: &Shop, observed: &Observed, problems: &[Problem]) -> Vec<ClaimPlan> {
    if shop.spec.database.engine != Engine::Sqlite {
        return Vec::new();
    }
    let wanted = shop.spec.database.sqlite.clone().unwrap_or_default();
    let plan = |service: DatabaseService| {
        let name = names::claim(shop, service);
        let there = observed.claims.iter().find(|claim| claim.name_any() == name);
        let asked = wanted.storage.clone().filter(|storage| amount(storage).is_some());
        let asked = asked.unwrap_or_else(|| STORAGE.to_owned());
        let has = there.and_then(size).filter(|has| wanted.storage.is_none() || amount(has) > amount(&asked));
        ClaimPlan {
            service,
            storage: has.map_or(asked.clone(), str::to_owned),
            storage_class: match there {
                Some(claim) => claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone()),
                None => wanted.storage_class_name.clone(),
            },
        }
    };
    let allowed = |service: &DatabaseService| !blocks(problems, service.component());
    DatabaseService::ALL.into_iter().filter(allowed).map(plan).collect()
}

/// How large a volume was asked to be.
pub(super) fn size(claim: &PersistentVolumeClaim) -> Option<&str> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(&requests.get("storage")?.0)
}
