//! What is known of a method before its first call: names for span and metrics, and whether it streams.

use std::collections::HashMap;

use shop_proto::access;

/// A method as spans and metrics name it. Unknown paths share one, so that callers can't grow the metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method {
    pub(super) full_name: &'static str,
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) server_streaming: bool,
}

const UNKNOWN: Method = Method { full_name: "unknown", service: "unknown", name: "unknown", server_streaming: false };

/// Path and whether the server streams, for what this crate serves itself.
const BUILT_IN: [(&str, bool); 4] = [
    ("/grpc.health.v1.Health/Check", false),
    ("/grpc.health.v1.Health/Watch", true),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true),
];

#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<&'static str, Method>,
}

impl Methods {
    pub(super) fn new() -> Self {
        let contracts = access::METHODS.iter().map(|method| (method.path, method.server_streaming));
        let by_path = contracts.chain(BUILT_IN).map(|(path, streaming)| (path, method(path, streaming))).collect();
        Self { by_path }
    }

    pub(super) fn at(&self, path: &str) -> Method {
        self.by_path.get(path).copied().unwrap_or(UNKNOWN)
    }
}

fn method(path: &'static str, server_streaming: bool) -> Method {
    let full_name = path.trim_start_matches('/');
    let (service, name) = full_name.split_once('/').unwrap_or((full_name, ""));
    Method { full_name, service, name, server_streaming }
}
