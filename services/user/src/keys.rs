//! The commands that make and rotate the shop's signing keys.

use std::{io::Write as _, path::PathBuf};

use clap::Subcommand;
use shop_types::Instant;

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make keys for the services that have none, and the bundle of public ones.
    Create {
        #[command(flatten)]
        folder: Folder,
        /// The services that sign.
        #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "user,product,order,gateway")]
        issuers: Vec<String>,
    },
    /// Take the next step of a service's rotation: publish a new key, which is signed with five minutes later and
    /// outlives the old one. Nothing has to be restarted.
    Rotate {
        #[command(flatten)]
        folder: Folder,
        /// The service whose key it is.
        #[arg(long, value_name = "NAME")]
        issuer: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Folder {
    /// Folder of the key files.
    #[arg(long, env = "SHOP_KEYS_DIR", value_name = "FOLDER")]
    keys_dir: PathBuf,
}

/// Does what the command says and prints what came of it.
pub(crate) fn run(command: &Keys) -> anyhow::Result<()> {
    match command {
        Keys::Create { folder, issuers } => {
            let issuers: Vec<_> = issuers.iter().map(String::as_str).collect();
            let paths = shop_auth::keys::create(&folder.keys_dir, &issuers)?;
            writeln!(std::io::stdout(), "{}", paths.bundle().display())?;
        }
        Keys::Rotate { folder, issuer } => {
            let rotation = shop_auth::keys::rotate(&folder.keys_dir, issuer, Instant::now())?;
            let (kid, sign_from) = (rotation.kid, rotation.sign_from);
            writeln!(std::io::stdout(), "{{\"kid\":\"{kid}\",\"sign_from\":\"{sign_from}\"}}")?;
        }
    }
    Ok(())
}
