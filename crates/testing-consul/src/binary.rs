//! Where the binary is.

use std::{env, path::PathBuf};

/// As `make consul` builds it.
const VERSION: &str = "1.20.1";

/// The binary of Consul: what `SHOP_TEST_CONSUL` names, or what `make consul` has built.
pub fn binary() -> PathBuf {
    if let Some(named) = env::var_os("SHOP_TEST_CONSUL") {
        return named.into();
    }
    let cache = env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"), PathBuf::from);
    let built = cache.join(format!("shop/consul-{VERSION}/bin/consul"));
    assert!(
        built.is_file(),
        "this test needs a Consul: `make consul` builds {}, or SHOP_TEST_CONSUL names another one",
        built.display()
    );
    built
}
