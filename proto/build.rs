//! Compiles the contracts: Rust code, the descriptor set that reflection serves, and the table of access rules.
//!
//! protox compiles without a protoc on the machine. Its `FileDescriptorSet` value drops custom options; only the encoded
//! form keeps them, so the access rules are read back from those bytes through prost-reflect.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use prost::Message as _;
use prost_reflect::{DescriptorPool, MethodDescriptor, Value};

const FILES: [&str; 5] = [
    "shop/access/v1/access.proto",
    "shop/types/v1/types.proto",
    "shop/user/v1/user.proto",
    "shop/product/v1/product.proto",
    "shop/order/v1/order.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=shop");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;

    // Source info feeds the doc comments of the generated code; the served set goes without it.
    let with_source_info = compiler.file_descriptor_set();
    compiler.include_source_info(false);
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptor.binpb"), &encoded)?;
    fs::write(out.join("access_table.rs"), access_table(&encoded)?)?;

    tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::MessageCodec")
        .compile_fds(with_source_info)?;
    Ok(())
}

/// Every method with its access rule and idempotency level, as the source of a static slice.
fn access_table(encoded: &[u8]) -> Result<String, Box<dyn Error>> {
    let pool = DescriptorPool::decode(encoded)?;
    let set = prost_types::FileDescriptorSet::decode(encoded)?;
    let extension =
        pool.get_extension_by_name("shop.access.v1.access").ok_or("shop.access.v1.access is not defined")?;
    let mut table = String::from("&[\n");
    for service in pool.services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let options = method.options();
            if !options.has_extension(&extension) {
                return Err(format!("{path} has no access rule").into());
            }
            let access = options.get_extension(&extension);
            let Value::Message(access) = access.as_ref() else {
                return Err(format!("{path}: the access rule is not a message").into());
            };
            let level = access.get_field_by_name("level").and_then(|v| v.as_enum_number()).unwrap_or_default();
            let services: Vec<String> = access
                .get_field_by_name("services")
                .and_then(|v| {
                    v.as_list().map(|list| list.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect())
                })
                .unwrap_or_default();
            let rule = match (level, services.is_empty()) {
                (1, true) => "Rule::Public".to_owned(),
                (2, true) => "Rule::Authenticated".to_owned(),
                (3, true) => "Rule::Owner".to_owned(),
                (4, true) => "Rule::Staff".to_owned(),
                (5, true) => "Rule::Admin".to_owned(),
                (6, false) => format!("Rule::Service(&{services:?})"),
                _ => return Err(format!("{path}: level {level} with services {services:?} is no rule").into()),
            };
            writeln!(
                table,
                "    Method {{ path: {path:?}, rule: {rule}, idempotency: Idempotency::{}, client_streaming: {}, server_streaming: {} }},",
                idempotency(&set, &method),
                method.is_client_streaming(),
                method.is_server_streaming(),
            )?;
        }
    }
    table.push(']');
    Ok(table)
}

fn idempotency(set: &prost_types::FileDescriptorSet, method: &MethodDescriptor) -> &'static str {
    use prost_types::method_options::IdempotencyLevel;
    let level = set
        .file
        .iter()
        .filter(|file| file.package() == method.parent_service().package_name())
        .flat_map(|file| &file.service)
        .filter(|service| service.name() == method.parent_service().name())
        .flat_map(|service| &service.method)
        .find(|candidate| candidate.name() == method.name())
        .and_then(|found| found.options.as_ref())
        .map(prost_types::MethodOptions::idempotency_level);
    match level {
        Some(IdempotencyLevel::NoSideEffects) => "NoSideEffects",
        Some(IdempotencyLevel::Idempotent) => "Idempotent",
        _ => "Unknown",
    }
}
