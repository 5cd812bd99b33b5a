//! The command.

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use kube::{Client, Config};
use serde_json::json;

use super::{
    manifest,
    text::{self, Style},
};
use crate::{
    cluster::Cluster,
    controller::{Preview, preview},
    names,
};

/// What `plan` exits with if something would change.
const CHANGES: u8 = 2;

/// What to show.
#[derive(Debug, Clone, Args)]
pub struct PlanOptions {
    /// Manifest with one Shop or several, as `kubectl apply` takes it; `-` for stdin. Secrets in it count as applied, whatever
    /// else is in it is not looked at.
    #[arg(long, short, value_name = "FILE")]
    filename: PathBuf,

    /// Namespace of Shops that name none; the kubeconfig's if not given.
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// How the plan is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Shows what would be created or deleted whole.
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people: one line for what comes or goes, the differing lines of what changes.
    Text,
    /// For programs: every object before and after.
    Json,
}

impl PlanOptions {
    /// Prints the plan. Exits with 0 if nothing would change, with 2 if something would, with 1 if there is no plan.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::infer().await.context("there is no way to a cluster: set KUBECONFIG")?;
        let namespace = &self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let manifest = manifest::read(&self.filename, namespace)?;
        let cluster = Cluster::new(Client::try_from(config).context("the way to the cluster can't be used")?);
        let mut previews = Vec::new();
        for shop in &manifest.shops {
            let there = |secret: &&k8s_openapi::api::core::v1::Secret| {
                secret.metadata.namespace.as_ref().unwrap_or(namespace)
                    == shop.metadata.namespace.as_ref().unwrap_or(namespace)
            };
            let secrets: Vec<_> = manifest.secrets.iter().filter(there).cloned().collect();
            previews.push(Box::pin(preview(&cluster, shop, &secrets)).await?);
        }
        self.print(&previews)?;
        let changes = previews.iter().any(|preview| !preview.changes.is_empty());
        Ok(if changes { ExitCode::from(CHANGES) } else { ExitCode::SUCCESS })
    }

    fn print(&self, previews: &[Preview]) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        match self.output {
            Output::Text => {
                let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
                for preview in previews {
                    out.write_all(text::render(preview, Style { colour, full: self.full }).as_bytes())?;
                }
            }
            Output::Json => {
                let shops: Vec<_> = previews.iter().map(document).collect();
                serde_json::to_writer_pretty(&mut out, &json!({"shops": shops}))?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    }
}

fn document(preview: &Preview) -> serde_json::Value {
    json!({
        "namespace": names::namespace_of(&preview.shop),
        "name": names::name_of(&preview.shop),
        "changes": preview.changes.iter().map(crate::controller::Change::document).collect::<Vec<_>>(),
        "steps": text::steps(preview),
        "obstacles": preview.settled.obstacles,
    })
}
