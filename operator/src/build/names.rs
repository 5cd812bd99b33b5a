//! What the objects of a shop are called, and the labels and annotations they carry.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};

use crate::shop::{Component, DatabaseService, Shop};

/// Whose field is what the operator sets.
pub const FIELD_MANAGER: &str = "shop-operator";
/// Whose field is the number of pods while it passes from the spec to an autoscaler.
pub const REPLICAS_MANAGER: &str = "shop-operator-replicas";

/// On everything of a shop: its name.
pub const SHOP_LABEL: &str = "shop-operator.io/shop";
/// On pods and Jobs: the process that they are, or whose database they work on.
pub const SERVICE_LABEL: &str = "shop-operator.io/service";
/// On Jobs and their pods: what they do.
pub const TASK_LABEL: &str = "shop-operator.io/task";
/// The process, or what the Job does.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// The shop.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// On pod templates and Jobs: the tag of the image.
pub const VERSION: &str = "shop-operator.io/version";
/// On Jobs: the image.
pub const IMAGE: &str = "shop-operator.io/image";
/// On pod templates: digest of what the pods read only when they start.
pub const CHECKSUM: &str = "shop-operator.io/checksum";
/// On Deployments: digest of the pod template as the operator made it.
pub const TEMPLATE: &str = "shop-operator.io/template";
/// On Deployments and Jobs: digest of where the database is.
pub const DATABASE: &str = "shop-operator.io/database";
/// On Deployments and Jobs: the generation of the spec by which they were last written. One that is older is a stale read.
pub const GENERATION: &str = "shop-operator.io/generation";
/// On Deployments: the image and the version that ran before, until what runs now is ready.
pub const PREVIOUS_IMAGE: &str = "shop-operator.io/previous-image";
/// See [`PREVIOUS_IMAGE`].
pub const PREVIOUS_VERSION: &str = "shop-operator.io/previous-version";
/// On Deployments: the image that failed and was taken back.
pub const FAILED_IMAGE: &str = "shop-operator.io/failed-image";
/// On Deployments: digest of the pods that failed and were taken back.
pub const FAILED_TEMPLATE: &str = "shop-operator.io/failed-template";
/// On claims: the uid of the Shop whose data they hold.
pub const SHOP_UID: &str = "shop-operator.io/shop-uid";
/// On a Shop: `"true"` lets it take over volumes and the admin's Secret that an earlier one of its name left.
pub const ADOPT: &str = "shop-operator.io/adopt";
/// On a Shop: seconds after which a migration that has not ended is given up.
pub const MIGRATION_DEADLINE: &str = "shop-operator.io/migration-deadline-seconds";

/// The shop's name.
pub(crate) fn shop(shop: &Shop) -> String {
    shop.name_any()
}

/// The Deployment, Service, budget, autoscaler and Ingress of a process, all of one name.
pub fn process(shop: &Shop, component: Component) -> String {
    format!("{}-{}", shop.name_any(), component.name())
}

/// The ServiceAccount of all pods.
pub fn service_account(shop: &Shop) -> String {
    shop.name_any()
}

/// The ConfigMap with the settings, under [`SETTINGS_KEY`].
pub fn settings(shop: &Shop) -> String {
    format!("{}-settings", shop.name_any())
}

/// The ConfigMap with the public keys, under [`KEYS_KEY`].
pub fn keys(shop: &Shop) -> String {
    format!("{}-keys", shop.name_any())
}

/// The Secret with the keys that a process signs with, under [`SIGNING_KEYS_KEY`].
pub fn signing_keys(shop: &Shop, component: Component) -> String {
    format!("{}-{}-signing-keys", shop.name_any(), component.name())
}

/// The Secret with what the processes share, under [`CURSOR_SECRET_KEY`] and its like.
pub fn secrets(shop: &Shop) -> String {
    format!("{}-secrets", shop.name_any())
}

/// The Secret with the first admin's e-mail and password, under [`ADMIN_EMAIL_KEY`] and [`ADMIN_PASSWORD_KEY`].
pub fn admin(shop: &Shop) -> String {
    format!("{}-admin", shop.name_any())
}

/// The volume of a service's SQLite file.
pub fn claim(shop: &Shop, service: DatabaseService) -> String {
    format!("{}-{}-data", shop.name_any(), service.name())
}

/// Key of [`settings`].
pub const SETTINGS_KEY: &str = "settings.json";
/// Key of [`keys`].
pub const KEYS_KEY: &str = "bundle.json";
/// Key of [`signing_keys`].
pub const SIGNING_KEYS_KEY: &str = "keys.json";
/// Key of [`secrets`]: what page cursors are signed with.
pub const CURSOR_SECRET_KEY: &str = "cursor-secret";
/// Key of [`secrets`]: what payment webhooks are signed with.
pub const PAYMENT_WEBHOOK_SECRET_KEY: &str = "payment-webhook-secret";
/// Key of [`secrets`]: what events are signed with.
pub const EVENT_SECRET_KEY: &str = "event-secret";
/// Key of [`admin`].
pub const ADMIN_EMAIL_KEY: &str = "email";
/// Key of [`admin`].
pub const ADMIN_PASSWORD_KEY: &str = "password";

/// Labels of what belongs to the shop as a whole.
pub fn shared_labels(shop: &Shop) -> BTreeMap<String, String> {
    labels(shop, "shop", "shared")
}

/// Labels of what belongs to a process.
pub fn process_labels(shop: &Shop, component: Component) -> BTreeMap<String, String> {
    let role = if component == Component::Gateway { "gateway" } else { "service" };
    let mut labels = labels(shop, component.name(), role);
    labels.insert(SERVICE_LABEL.to_owned(), component.name().to_owned());
    labels
}

/// Labels: the same for each child, so that one selector finds all that is of a shop.
pub(super) fn labels(shop: &Shop, name: &str, component: &str) -> BTreeMap<String, String> {
    [
        (NAME_LABEL, name),
        (INSTANCE_LABEL, &shop.name_any()),
        ("app.kubernetes.io/component", component),
        ("app.kubernetes.io/part-of", "shop"),
        ("app.kubernetes.io/managed-by", FIELD_MANAGER),
        (SHOP_LABEL, &shop.name_any()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The pods of a process. It can't change once a Deployment has it.
pub(super) fn process_selector(shop: &Shop, component: Component) -> BTreeMap<String, String> {
    [(NAME_LABEL, component.name()), (INSTANCE_LABEL, &shop.name_any())]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Pods by labels.
pub(super) fn select(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

/// The metadata of a child that goes with its Shop.
pub(super) fn metadata(shop: &Shop, name: String, labels: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: shop.namespace(),
        labels: Some(labels),
        owner_references: Some(owner(shop).into_iter().collect()),
        ..ObjectMeta::default()
    }
}

/// The Shop as the owner; only what was never stored has no uid.
pub fn owner(shop: &Shop) -> Option<OwnerReference> {
    shop.controller_owner_ref(&())
}

/// The value of a label for what might not fit one: a tag may be longer and may end in a dot.
pub(super) fn label_value(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let value: String = text.chars().map(|c| if allowed(c) { c } else { '_' }).take(63).collect();
    value.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// The name of the port that a process serves on.
pub(super) const fn port(component: Component) -> &'static str {
    match component {
        Component::Gateway => "http",
        Component::User | Component::Product | Component::Order => "grpc",
    }
}

/// The name of the port for probes and metrics.
pub(super) const ADMIN_PORT_NAME: &str = "admin";
/// Where every process answers probes and shows its metrics.
pub(super) const ADMIN_PORT: i32 = 9090;
