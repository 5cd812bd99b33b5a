//! Where the services of a shop keep their data.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DatabaseService, SecretKeyReference, rule};

/// The databases of a shop: one for each service, all on one engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(rule::part_needed("postgres"))
        .message("engine postgres needs the URLs of the databases: set spec.database.postgres"),
    validation = Rule::new(rule::part_needed("mysql"))
        .message("engine mysql needs the URLs of the databases: set spec.database.mysql"),
    validation = Rule::new(rule::part_of("sqlite")).message("spec.database.sqlite is only for engine sqlite: remove it"),
    validation = Rule::new(rule::part_of("postgres")).message("spec.database.postgres is only for engine postgres: remove it"),
    validation = Rule::new(rule::part_of("mysql")).message("spec.database.mysql is only for engine mysql: remove it"),
)]
pub struct Database {
    /// What they run on; `sqlite` needs nothing besides, and allows one pod a service. It can't change.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("the engine can't change, since data is not moved: make another Shop and move the data yourself"))]
    #[serde(default)]
    pub engine: Engine,
    /// Volumes of the files, with `engine: sqlite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<Sqlite>,
    /// Databases on a PostgreSQL server, with `engine: postgres`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<ServerDatabase>,
    /// Databases on a MySQL or MariaDB server, with `engine: mysql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysql: Option<ServerDatabase>,
}

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Engine {
    /// A file for each service, on a volume of its own.
    #[default]
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

/// The volume of a service's file. A volume outlives its Shop.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(rule::unchanged("storageClassName"))
    .message("a volume's class can't change: make another Shop and move the data yourself"))]
pub struct Sqlite {
    /// How large it is, as a quantity; `1Gi` if not given. It can grow if its class allows that, and never shrinks: one that
    /// is larger stays so, and a condition tells.
    // What a volume is has to be compared with, not what was asked for: a growth that its class refuses can be taken back.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("dyn(self) == null || isQuantity(self)").message("must be a quantity, such as 1Gi"),
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Its StorageClass; the cluster's default if not given. It can't change.
    #[schemars(length(max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

/// The database of each service, which must be there and empty at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerDatabase {
    /// Of user.
    pub user: DatabaseUrl,
    /// Of product.
    pub product: DatabaseUrl,
    /// Of order.
    pub order: DatabaseUrl,
}

/// Where a database is, with user name and password: `postgres://…` or `mysql://…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseUrl {
    /// The Secret that has the URL.
    pub url_secret_ref: SecretKeyReference,
}

impl Database {
    /// Where the URL of a service's database is; nowhere for SQLite, or when the engine's own part is missing.
    pub fn url_of(&self, service: DatabaseService) -> Option<&SecretKeyReference> {
        let server = match self.engine {
            Engine::Sqlite => None,
            Engine::Postgres => self.postgres.as_ref(),
            Engine::Mysql => self.mysql.as_ref(),
        }?;
        Some(match service {
            DatabaseService::User => &server.user.url_secret_ref,
            DatabaseService::Product => &server.product.url_secret_ref,
            DatabaseService::Order => &server.order.url_secret_ref,
        })
    }
}
