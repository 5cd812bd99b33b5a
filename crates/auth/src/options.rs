//! Where a process finds its keys.

use std::path::PathBuf;

/// Key files, mounted or made by [`crate::keys::create`].
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Keys")]
pub struct AuthOptions {
    /// File with the public keys of every issuer; read again when it changes.
    #[arg(long, env = "SHOP_KEY_BUNDLE", value_name = "FILE")]
    pub key_bundle: PathBuf,
    /// File with this service's private signing keys; read again when it changes.
    #[arg(long, env = "SHOP_SIGNING_KEYS", value_name = "FILE")]
    pub signing_keys: PathBuf,
}
