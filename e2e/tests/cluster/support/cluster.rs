//! The cluster, and what is installed in it once for all tests.

use std::{path::PathBuf, process::Command};

use kube::{Client, Config, config::KubeConfigOptions};
use tokio::sync::OnceCell;

/// Where the operator is.
pub(crate) const OPERATOR_NAMESPACE: &str = "shop-operator";
/// Where Consul is.
const CONSUL_NAMESPACE: &str = "consul";
/// Set where images come from `images/stand-ins` instead of a registry.
const STAND_INS: &str = "SHOP_E2E_STAND_INS";

/// The way to it.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// The same, to what is behind the API server.
    pub(crate) through: Client,
}

impl Cluster {
    /// With Consul and the operator, which are installed by the first test.
    pub(crate) async fn ready() -> Self {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        INSTALLED.get_or_init(install).await;
        Self::reach().await
    }

    /// As it is.
    async fn reach() -> Self {
        let config = Config::from_kubeconfig(&KubeConfigOptions::default()).await.expect("KUBECONFIG names a cluster");
        // It is no answer of the API server's own that a Service has nobody behind it: that is not asked again.
        let mut once = config.clone();
        once.default_retry = false;
        Self { client: Client::try_from(config).unwrap(), through: Client::try_from(once).unwrap() }
    }
}

async fn install() {
    let mut consul = vec!["upgrade", "--install", "consul", "charts/consul-dev", "--create-namespace", "--wait"];
    consul.extend(["--namespace", CONSUL_NAMESPACE, "--timeout", "4m"]);
    if stand_ins() {
        consul.extend(["--set", "image.repository=localhost/consul,image.tag=1.20.1"]);
    }
    helm(&consul);
    helm(&operator_install(&[]));
}

/// The arguments that install the operator, or upgrade it.
pub(crate) fn operator_install<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["upgrade", "--install", "shop-operator", "charts/shop-operator", "--create-namespace"];
    arguments.extend(["--namespace", OPERATOR_NAMESPACE, "--wait", "--timeout", "4m"]);
    // What an earlier call set is not set any more.
    arguments.push("--reset-values");
    arguments.extend(more);
    arguments
}

/// Whether images are those that were made here.
pub(crate) fn stand_ins() -> bool {
    std::env::var_os(STAND_INS).is_some()
}

/// The project's folder, from that of this package, in which Cargo runs its tests: checkouts may share what is built.
pub(crate) fn project() -> PathBuf {
    PathBuf::from("..")
}

/// Runs Helm to its end, and gives what it printed.
pub(crate) fn helm(arguments: &[&str]) -> String {
    run("helm", arguments).unwrap_or_else(|said| panic!("{said}"))
}

/// The same with kubectl.
pub(crate) fn kubectl(arguments: &[&str]) -> String {
    run("kubectl", arguments).unwrap_or_else(|said| panic!("{said}"))
}

/// Runs a program in the project's folder to its end; what it said, if that was bad.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).current_dir(project()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {arguments:?} ended with {}:\n{said}{error}", output.status))
}
