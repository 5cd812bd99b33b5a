//! A shop's part of Consul: its settings, and the entries of its processes under the node that stands for it. The processes
//! write their entries themselves; what is done here is to write the settings, to take out the entries of pods that are
//! gone, and to remove everything at the end. Nothing outside the shop's own node and key is ever touched.

mod clients;

use std::collections::BTreeMap;

use serde_json::Value;
use shop_consul::{Client, NodeEntry, Status};
use shop_types::settings::{InvalidSettings, Settings};

use crate::{
    names,
    observed::Registered,
    shop::{Component, Components, Shop},
};

pub use clients::{Access, Clients};

/// The owner that the processes write to the node and their entries, as `shop-discovery` has it.
const OWNER: &str = "shop";
const META_OWNER: &str = "owner";
const META_SHOP_UID: &str = "shop_uid";

/// Why Consul is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The address in the spec is none.
    #[error("spec.consul.address {address:?}: {source}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        source: shop_consul::InvalidConsulAddress,
    },
    /// A Secret with the token or the certificates is not as it must be.
    #[error("{0}")]
    Access(String),
    /// It did not answer a moment ago, and is not asked again yet.
    #[error("{reason}")]
    Away {
        /// What was found a moment ago.
        reason: String,
    },
    /// Consul, or the way to it.
    #[error("{}", told(.0))]
    Consul(Box<shop_consul::Error>),
    /// The node is there and not ours.
    #[error("the node {node} in Consul is not this Shop's (owner {owner:?}, shop_uid {uid:?}): remove or rename it")]
    Foreign {
        /// The node.
        node: String,
        /// Its owner, as its metadata has it.
        owner: Option<String>,
        /// Its Shop, as its metadata has it.
        uid: Option<String>,
    },
    /// The settings are no settings.
    #[error("spec.settings: {0}")]
    Settings(InvalidSettings),
}

impl RegistryError {
    /// Whether it may be over by itself.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Consul(error) => error.is_outage(),
            Self::Address { .. } | Self::Access(_) | Self::Foreign { .. } | Self::Settings(_) => false,
        }
    }
}

/// What to do about an error, in terms of the spec rather than of a process's options.
fn told(error: &shop_consul::Error) -> String {
    match error {
        shop_consul::Error::Unreachable { address, source } => {
            let mut cause: &dyn std::error::Error = source;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            format!("Consul at {address} can't be reached ({cause}): check that it runs, and spec.consul.address")
        }
        shop_consul::Error::Denied { request, message } => format!(
            "Consul refuses {request}: the ACL token of spec.consul.operatorTokenSecretRef is missing, unknown or lacks \
             a rule; Consul says: {message}"
        ),
        other => other.to_string(),
    }
}

/// The settings of a Shop as Consul is to have them.
pub fn settings_document(shop: &Shop) -> Result<Vec<u8>, RegistryError> {
    let document = serde_json::to_vec(&shop.spec.settings).unwrap_or_default();
    Settings::parse(&document).map_err(RegistryError::Settings)?;
    Ok(document)
}

/// One Shop's part of Consul.
#[derive(Debug, Clone)]
pub struct Registry {
    client: Client,
    node: String,
    uid: String,
    key: String,
    services: Components<String>,
}

impl Registry {
    /// The part of this Shop.
    pub fn new(client: Client, shop: &Shop) -> Self {
        let (namespace, name, uid) = (names::namespace_of(shop), names::name_of(shop), names::uid_of(shop));
        Self {
            client,
            node: format!("shop-{uid}"),
            uid: uid.to_owned(),
            key: format!("shops/{namespace}/{name}/config"),
            services: Components::from_fn(|component| format!("{name}-{}", component.name())),
        }
    }

    /// What Consul has of the shop. `settings` is what it should have; with invalid ones the last good ones stay.
    pub async fn read(&self, settings: Option<&[u8]>) -> Result<Registered, RegistryError> {
        let (node, stored) = futures::try_join!(self.own_node(), self.stored())?;
        let node = node.unwrap_or_default();
        let mut passing = Components::<i32>::default();
        let mut instances = BTreeMap::new();
        for found in node.services {
            if let Some(component) = self.component_of(&found.service)
                && found.status == Status::Passing
            {
                passing[component] += 1;
            }
            instances.insert(found.id, found.service);
        }
        let settings_current = settings.is_none_or(|wanted| {
            let value = |document: &[u8]| serde_json::from_slice::<Value>(document).ok();
            stored.is_some_and(|stored| value(&stored) == value(wanted))
        });
        Ok(Registered { passing, instances, settings_current })
    }

    /// Where the settings are.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Writes the settings.
    pub async fn write_settings(&self, document: Vec<u8>) -> Result<(), RegistryError> {
        self.client.set_key(&self.key, document).await.map_err(consul)
    }

    /// Takes out the entry of a pod that is gone.
    pub async fn remove_instance(&self, id: &str) -> Result<(), RegistryError> {
        // The node is the shop's or is not there; see `own_node`.
        self.client.deregister_from_catalog(&self.node, id).await.map_err(consul)
    }

    /// Removes all that Consul has of the shop, and looks whether it is gone: a process that had not left yet may have
    /// come back.
    pub async fn remove(&self) -> Result<(), RegistryError> {
        if self.own_node().await?.is_some() {
            self.client.deregister_node(&self.node).await.map_err(consul)?;
        }
        if self.stored().await?.is_some() {
            self.client.remove_key(&self.key).await.map_err(consul)?;
        }
        Ok(())
    }

    /// The node, if it is there; it is an error if it is somebody else's.
    async fn own_node(&self) -> Result<Option<NodeEntry>, RegistryError> {
        let Some(node) = self.client.node(&self.node).await.map_err(consul)? else { return Ok(None) };
        let (owner, uid) = (node.meta.get(META_OWNER), node.meta.get(META_SHOP_UID));
        if owner.is_some_and(|owner| owner == OWNER) && uid == Some(&self.uid) {
            return Ok(Some(node));
        }
        Err(RegistryError::Foreign { node: self.node.clone(), owner: owner.cloned(), uid: uid.cloned() })
    }

    async fn stored(&self) -> Result<Option<Vec<u8>>, RegistryError> {
        Ok(self.client.key(&self.key, None).await.map_err(consul)?.value)
    }

    fn component_of(&self, service: &str) -> Option<Component> {
        Component::ROLL_ORDER.into_iter().find(|component| self.services[*component] == service)
    }
}

fn consul(error: shop_consul::Error) -> RegistryError {
    RegistryError::Consul(Box::new(error))
}
