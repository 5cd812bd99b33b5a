//! The command line.

use std::{
    io::{Write as _, stderr, stdout},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use shop_server::{Healthcheck, ServerOptions, TelemetryOptions};

use crate::{crd, plan::PlanOptions, run};

/// Runs Shops on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "shop-operator", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watches Shops and makes the cluster what they say, until it is asked to leave.
    Run(RunOptions),
    /// Exits with 0 if an operator is ready: for containers without a client in them.
    Healthcheck(Healthcheck),
    /// Shows what applying a manifest would create, change and delete, and writes nothing: the API server tries every write for
    /// whoever KUBECONFIG names. Exits with 0 if that is nothing, with 2 if it is something, with 1 if it can't be told.
    Plan(PlanOptions),
    /// Prints the CustomResourceDefinition of Shops.
    Crd,
}

/// What the operator is started with.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Only Shops of this namespace; all if not given.
    #[arg(long, env = "SHOP_OPERATOR_NAMESPACE", value_name = "NAMESPACE")]
    pub watch_namespace: Option<String>,

    /// Namespace of the Lease by which one of several instances acts; without one this instance acts at once.
    #[arg(long, env = "SHOP_OPERATOR_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// Name of the Lease.
    #[arg(long, env = "SHOP_OPERATOR_LEASE_NAME", value_name = "NAME", default_value = "shop-operator")]
    pub lease_name: String,

    /// Name of this instance, which no other has: the pod's. If not given it is made of the process's id, which tells instances
    /// apart on one machine alone.
    #[arg(long, env = "SHOP_OPERATOR_INSTANCE", value_name = "NAME")]
    pub instance: Option<String>,

    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "SHOP_ADMIN_LISTEN", value_name = "ADDRESS:PORT", default_value_t = ServerOptions::default().admin_listen)]
    pub admin_listen: std::net::SocketAddr,

    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
}

impl Cli {
    /// Does it.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(options) => {
                let mut telemetry = options.telemetry.clone();
                // What it says of each failed call is said again, with what the call was for. Who wants it can ask for it.
                telemetry.log_level = format!("kube_client=off,{}", telemetry.log_level);
                shop_server::run("shop-operator", telemetry, |shutdown| run::run(options, shutdown))
            }
            Command::Healthcheck(healthcheck) => healthcheck.run(),
            Command::Plan(options) => plan(options),
            Command::Crd => print_crd(),
        }
    }
}

/// Without the logs of a process that serves: what it has to say is the plan.
fn plan(options: PlanOptions) -> ExitCode {
    let planned = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let planned = planned.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(options.run()));
    planned.unwrap_or_else(|error| {
        // Nothing is left to do when stderr is gone.
        let _ = writeln!(stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}

fn print_crd() -> ExitCode {
    let printed = crd::yaml().map_err(anyhow::Error::from).and_then(|yaml| Ok(stdout().write_all(yaml.as_bytes())?));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when stderr is gone.
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
