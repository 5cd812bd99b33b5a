//! What all pods of a shop have in common: they fit the restricted Pod Security Standard, and what they mount.

use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath, LocalObjectReference,
        PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, SeccompProfile, SecretVolumeSource,
        TopologySpreadConstraint, Volume,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::names;
use crate::shop::{Component, SecretKeyReference, Shop};

/// Where files are mounted.
pub(super) mod folder {
    pub(in super::super) const SETTINGS: &str = "/etc/shop/settings";
    pub(in super::super) const KEYS: &str = "/etc/shop/keys";
    pub(in super::super) const SIGNING: &str = "/etc/shop/signing";
    pub(in super::super) const CONSUL_TOKEN: &str = "/etc/shop/consul-token";
    pub(in super::super) const TOKEN_FILE: &str = "token";
    pub(in super::super) const CONSUL_CA: &str = "/etc/shop/consul-ca";
    pub(in super::super) const CA_FILE: &str = "ca.pem";
    pub(in super::super) const DATA: &str = "/var/lib/shop";
    pub(in super::super) const TEMPORARY: &str = "/tmp";
}

/// The user and group that the images name.
const USER: i64 = 65532;
/// SIGTERM, 5 s of lead at most, 20 s for requests in flight, 3 s to leave Consul and flush, and some.
const GRACE_SECONDS: i64 = 40;
/// Nothing of the shop writes there but SQLite when it sorts.
const TEMPORARY_LIMIT: &str = "64Mi";
/// Only the owner and the pod's group read a secret file: 0440.
const SECRET_MODE: i32 = 0o440;

/// Without containers and volumes.
pub(super) fn base(shop: &Shop) -> PodSpec {
    let pull = &shop.spec.image.pull_secrets;
    PodSpec {
        service_account_name: Some(names::service_account(shop)),
        automount_service_account_token: Some(false),
        // Variables for every Service of the namespace, which nothing reads and which might shadow an option.
        enable_service_links: Some(false),
        image_pull_secrets: (!pull.is_empty())
            .then(|| pull.iter().map(|secret| LocalObjectReference { name: secret.name.clone() }).collect()),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            // A large volume is not walked through at each start.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        ..PodSpec::default()
    }
}

/// A process's pods apart, on nodes and in zones; where that can't be they run all the same.
pub(super) fn spread(shop: &Shop, component: Component) -> Vec<TopologySpreadConstraint> {
    let over = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(names::select(names::process_selector(shop, component))),
        // Pods that are on their way out do not count.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    };
    ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map(over).into()
}

/// A volume and where it is mounted.
#[derive(Clone)]
pub(super) struct Mounted {
    pub(super) volume: Volume,
    pub(super) path: &'static str,
    pub(super) read_only: bool,
}

/// For temporary files.
pub(super) fn temporary() -> Mounted {
    let source = EmptyDirVolumeSource {
        size_limit: Some(Quantity(TEMPORARY_LIMIT.to_owned())),
        ..EmptyDirVolumeSource::default()
    };
    let volume = Volume { name: "tmp".to_owned(), empty_dir: Some(source), ..Volume::default() };
    Mounted { volume, path: folder::TEMPORARY, read_only: false }
}

/// What the steps before it need of that: the file, and room to sort.
pub(super) fn of_steps(mounted: &[Mounted]) -> Vec<Mounted> {
    mounted.iter().filter(|mounted| !mounted.read_only).cloned().collect()
}

/// What a process that serves reads and, on SQLite, writes.
pub(super) fn serving(shop: &Shop, component: Component) -> Vec<Mounted> {
    let consul = &shop.spec.consul;
    let mut mounted = vec![
        temporary(),
        config("settings", names::settings(shop), folder::SETTINGS),
        config("keys", names::keys(shop), folder::KEYS),
        secret("signing", names::signing_keys(shop, component), None, folder::SIGNING),
    ];
    let one = |reference: &SecretKeyReference, file: &str, name, path| {
        let item = KeyToPath { key: reference.key.clone(), path: file.to_owned(), mode: None };
        secret(name, reference.name.clone(), Some(item), path)
    };
    if let Some(reference) = &consul.service_token_secret_ref {
        mounted.push(one(reference, folder::TOKEN_FILE, "consul-token", folder::CONSUL_TOKEN));
    }
    if let Some(reference) = &consul.ca_secret_ref {
        mounted.push(one(reference, folder::CA_FILE, "consul-ca", folder::CONSUL_CA));
    }
    if let Some(service) = component.database().filter(|_| shop.spec.has_file(component)) {
        let claim = PersistentVolumeClaimVolumeSource { claim_name: names::claim(shop, service), read_only: None };
        let volume = Volume { name: "data".to_owned(), persistent_volume_claim: Some(claim), ..Volume::default() };
        mounted.push(Mounted { volume, path: folder::DATA, read_only: false });
    }
    mounted
}

fn config(name: &str, config_map: String, path: &'static str) -> Mounted {
    let source = ConfigMapVolumeSource { name: config_map, ..ConfigMapVolumeSource::default() };
    let volume = Volume { name: name.to_owned(), config_map: Some(source), ..Volume::default() };
    Mounted { volume, path, read_only: true }
}

fn secret(name: &str, secret: String, item: Option<KeyToPath>, path: &'static str) -> Mounted {
    let source = SecretVolumeSource {
        secret_name: Some(secret),
        default_mode: Some(SECRET_MODE),
        items: item.map(|item| vec![item]),
        optional: None,
    };
    Mounted {
        volume: Volume { name: name.to_owned(), secret: Some(source), ..Volume::default() },
        path,
        read_only: true,
    }
}
