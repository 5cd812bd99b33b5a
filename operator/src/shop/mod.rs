//! The `Shop` resource: what users write, with its schema, defaults and rules, and the status they read.

#![expect(unreachable_pub, reason = "the copies that KubeSchema makes of each type stand in functions")]

mod component;
mod database;
mod gateway;
mod image;
mod process;
mod reference;
mod rule;
mod schema;
mod settings;
mod spec;
mod status;

pub use component::{Autoscaling, Component, Components, DatabaseService, ServiceSpec, Services};
pub use database::{Database, Engine, ServerDatabase, Sqlite};
pub use gateway::{Gateway, Ingress};
pub use image::{Digests, Image, PullPolicy};
pub use reference::{LocalReference, SecretKeyReference};
pub use settings::{RateLimit, Settings};
pub use spec::{Consul, Shop, ShopSpec, Telemetry};
pub use status::{ConditionType, Phase, ServiceStatus, ShopStatus};
