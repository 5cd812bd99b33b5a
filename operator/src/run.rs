//! The process: probes and metrics, the election, and the controller while this instance leads.

use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config};
use shop_server::{AdminServer, Shutdown};

use crate::{
    cli::RunOptions,
    controller::{Controller, ControllerOptions, Pulse, Rhythm},
    election::{ApiLeases, Elector},
    metrics::Metrics,
};

/// A watch that has been silent for this long does not come back by itself: a restart is the next thing to try.
const WATCH_LIMIT: Duration = Duration::from_mins(10);
/// To connect to the API server, which is in the same network.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Runs the operator until it is asked to leave.
pub(crate) async fn run(options: RunOptions, shutdown: Shutdown) -> anyhow::Result<()> {
    let pulse = Pulse::default();
    let metrics = Metrics::new(&pulse);
    let alive = {
        let pulse = pulse.clone();
        move || match pulse.oldest() {
            Some((kind, age)) if age > WATCH_LIMIT => {
                Err(format!("the watch of {kind}s has been silent for {} s", age.as_secs()))
            }
            _ => Ok(()),
        }
    };
    let admin = AdminServer::start(options.admin_listen, alive).await?;
    let client = client().await?;
    let instance = options.instance.unwrap_or_else(|| format!("shop-operator-{}", std::process::id()));
    let controller = Controller::new(
        ControllerOptions {
            client: client.clone(),
            namespace: options.watch_namespace,
            reporter: instance.clone(),
            gateway_address: None,
            rhythm: Rhythm::default(),
        },
        pulse,
        metrics.clone(),
    );
    admin.ready();
    let act = || async {
        metrics.leads(true);
        controller.run().await;
    };
    if let Some(namespace) = options.lease_namespace {
        let leases = ApiLeases::new(client, &namespace, &options.lease_name);
        let mut elector = Elector::new(leases, instance);
        let lead = async {
            loop {
                elector.lead(act).await;
                metrics.leads(false);
            }
        };
        tokio::select! {
            () = shutdown.leaving() => {}
            () = lead => {}
        }
        // Nothing is done any more, and the next one need not wait.
        elector.release().await;
    } else {
        tokio::select! {
            () = shutdown.leaving() => {}
            () = act() => {}
        }
    }
    admin.close().await;
    Ok(())
}

async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer().await.context("there is no way to a cluster: neither a kubeconfig nor a pod's")?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    // Each call has a time of its own, and what failed is tried again as a whole.
    config.default_retry = false;
    Client::try_from(config).context("the way to the cluster can't be used")
}
