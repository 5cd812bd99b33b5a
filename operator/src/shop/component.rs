//! The four processes of a shop, and what a user may say of each.

use std::ops::{Index, IndexMut};

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{rule, schema};

/// A process of a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// Accounts.
    User,
    /// Catalogue and stock.
    Product,
    /// Orders.
    Order,
    /// HTTP to gRPC.
    Gateway,
}

/// A process that has a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DatabaseService {
    /// Accounts.
    User,
    /// Catalogue and stock.
    Product,
    /// Orders.
    Order,
}

impl Component {
    /// All of them, in the order in which an upgrade rolls them: callers after those they call.
    pub const ROLL_ORDER: [Self; 4] = [Self::Product, Self::User, Self::Order, Self::Gateway];

    /// As in names of objects, images and Consul.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Product => "product",
            Self::Order => "order",
            Self::Gateway => "gateway",
        }
    }

    /// Where it serves.
    pub const fn port(self) -> i32 {
        match self {
            Self::User => 5001,
            Self::Order => 5002,
            Self::Product => 5003,
            Self::Gateway => 8080,
        }
    }

    /// Which others it calls; product and order follow the credentials that user revokes.
    pub const fn calls(self) -> &'static [Self] {
        match self {
            Self::User => &[],
            Self::Product => &[Self::User],
            Self::Order => &[Self::User, Self::Product],
            Self::Gateway => &[Self::User, Self::Product, Self::Order],
        }
    }

    /// The same one, if it has a database.
    pub const fn database(self) -> Option<DatabaseService> {
        match self {
            Self::User => Some(DatabaseService::User),
            Self::Product => Some(DatabaseService::Product),
            Self::Order => Some(DatabaseService::Order),
            Self::Gateway => None,
        }
    }
}

impl DatabaseService {
    /// All of them, in the order in which an upgrade rolls them.
    pub const ALL: [Self; 3] = [Self::Product, Self::User, Self::Order];

    /// The same one among all processes.
    pub const fn component(self) -> Component {
        match self {
            Self::User => Component::User,
            Self::Product => Component::Product,
            Self::Order => Component::Order,
        }
    }

    /// As in names of objects, images and Consul.
    pub const fn name(self) -> &'static str {
        self.component().name()
    }
}

/// One of something for each process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Components<T> {
    /// For user.
    pub user: T,
    /// For product.
    pub product: T,
    /// For order.
    pub order: T,
    /// For the gateway.
    pub gateway: T,
}

impl<T> Components<T> {
    /// Makes each of them.
    pub fn from_fn(mut make: impl FnMut(Component) -> T) -> Self {
        Self {
            user: make(Component::User),
            product: make(Component::Product),
            order: make(Component::Order),
            gateway: make(Component::Gateway),
        }
    }

    /// All of them, in the order in which an upgrade rolls them.
    pub fn iter(&self) -> impl Iterator<Item = (Component, &T)> {
        Component::ROLL_ORDER.into_iter().map(|component| (component, &self[component]))
    }
}

impl<T> Index<Component> for Components<T> {
    type Output = T;

    fn index(&self, component: Component) -> &T {
        match component {
            Component::User => &self.user,
            Component::Product => &self.product,
            Component::Order => &self.order,
            Component::Gateway => &self.gateway,
        }
    }
}

impl<T> IndexMut<Component> for Components<T> {
    fn index_mut(&mut self, component: Component) -> &mut T {
        match component {
            Component::User => &mut self.user,
            Component::Product => &mut self.product,
            Component::Order => &mut self.order,
            Component::Gateway => &mut self.gateway,
        }
    }
}

/// The three gRPC services.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// Accounts.
    #[serde(default)]
    pub user: ServiceSpec,
    /// Catalogue and stock.
    #[serde(default)]
    pub product: ServiceSpec,
    /// Orders.
    #[serde(default)]
    pub order: ServiceSpec,
}

/// How many pods a process has, and what each may use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(rule::not_both("replicas", "autoscaling")).message(rule::REPLICAS_OR_AUTOSCALING))]
pub struct ServiceSpec {
    /// Pods, unless `autoscaling` says how many; 1 if neither is given.
    #[schemars(range(min = 1, max = rule::MAX_REPLICAS))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Lets a HorizontalPodAutoscaler choose the number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// What a pod asks for and may use. What is left out: requests of 100m CPU and 64Mi of memory, and a limit of 256Mi of
    /// memory, or of what it asks for if that is more; CPU has no limit.
    #[schemars(schema_with = "schema::resources")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// Between how many pods the autoscaler chooses, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas").message("minReplicas must be at most maxReplicas"))]
pub struct Autoscaling {
    /// Pods at least.
    #[schemars(range(min = 1, max = rule::MAX_REPLICAS))]
    pub min_replicas: i32,
    /// Pods at most.
    #[schemars(range(min = 1, max = rule::MAX_REPLICAS))]
    pub max_replicas: i32,
    /// Share of the requested CPU, in per cent, that it aims at; 70 if not given.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, rename = "targetCPUUtilizationPercentage", skip_serializing_if = "Option::is_none")]
    pub target_cpu_utilization_percentage: Option<i32>,
}
