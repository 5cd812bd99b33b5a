//! The operator, in this process: it does nothing outside one future, so that dropping it is what a SIGKILL would be.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use shop_operator::{
    controller::{Controller, ControllerOptions, Pulse, Rhythm},
    metrics::Metrics,
};
use tokio::task::JoinHandle;

/// So quick that tests see what is due after minutes.
pub(crate) const RHYTHM: Rhythm =
    Rhythm { resync: Duration::from_secs(10), relist: Duration::from_secs(5), watch_seconds: 5 };

/// A running operator.
pub(crate) struct Operator {
    running: JoinHandle<()>,
    pub(crate) pulse: Pulse,
}

impl Operator {
    /// One that looks after a namespace.
    pub(crate) async fn start(kubeconfig: PathBuf, namespace: &str, gateway: SocketAddr, rhythm: Rhythm) -> Self {
        let pulse = Pulse::default();
        let controller = Self::controller(kubeconfig, namespace, gateway, rhythm, &pulse).await;
        let running = tokio::spawn(async move { controller.run().await });
        Self { running, pulse }
    }

    /// The same, not yet running.
    pub(crate) async fn controller(
        kubeconfig: PathBuf,
        namespace: &str,
        gateway: SocketAddr,
        rhythm: Rhythm,
        pulse: &Pulse,
    ) -> Controller {
        let options = ControllerOptions {
            client: client(kubeconfig).await,
            namespace: Some(namespace.to_owned()),
            reporter: "operator-of-the-test".to_owned(),
            gateway_address: Some(Arc::new(move |_, _| gateway.to_string())),
            rhythm,
        };
        Controller::new(options, pulse.clone(), Metrics::new(pulse))
    }

    /// Whether it goes on: a panic would have ended it.
    pub(crate) fn runs(&self) -> bool {
        !self.running.is_finished()
    }

    /// Ends it wherever it is.
    pub(crate) async fn kill(mut self) {
        self.running.abort();
        let ended = (&mut self.running).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "the operator ended by itself");
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// As the operator's own process makes it.
pub(crate) async fn client(kubeconfig: PathBuf) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}
