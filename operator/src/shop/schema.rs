//! Schemas of what Kubernetes' own types leave unbounded.

use schemars::{Schema, SchemaGenerator, json_schema};

/// More annotations than any Ingress controller has.
const MAX_ANNOTATIONS: u32 = 64;
/// Snippets of configuration are the longest values.
const MAX_ANNOTATION: u32 = 16 * 1024;
/// CPU, memory, ephemeral storage, huge pages and some devices.
const MAX_RESOURCES: u32 = 16;

/// [`k8s_openapi::api::core::v1::ResourceRequirements`] without claims, which a pod would have to name as well.
pub(super) fn resources(_generator: &mut SchemaGenerator) -> Schema {
    let quantities = |description: &str| {
        json_schema!({
            "type": "object",
            "description": description,
            "maxProperties": MAX_RESOURCES,
            "additionalProperties": {
                "x-kubernetes-int-or-string": true,
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "pattern": "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$",
                "maxLength": 32,
            },
        })
    };
    json_schema!({
        "type": "object",
        "nullable": true,
        "properties": {
            "requests": quantities("What the node keeps free for it."),
            "limits": quantities("What it may use."),
        },
    })
}

/// A bounded map of texts.
pub(super) fn annotations(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_ANNOTATIONS,
        "additionalProperties": {"type": "string", "maxLength": MAX_ANNOTATION},
    })
}
