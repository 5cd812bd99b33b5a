//! The contracts: messages, clients and servers generated from `shop/<name>/v1/*.proto`, the descriptor set that
//! reflection serves, the table of access rules ([`access`]) and the closed list of error reasons ([`status`]).
//!
//! No business rules and no transport live here.

pub mod access;
mod codec;
pub mod status;

pub use codec::MessageCodec;

/// Generated from the `.proto` files: one module for each package.
#[expect(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod generated {
    pub mod shop {
        pub mod access {
            pub mod v1 {
                tonic::include_proto!("shop.access.v1");
            }
        }
        pub mod types {
            pub mod v1 {
                tonic::include_proto!("shop.types.v1");
            }
        }
        pub mod user {
            pub mod v1 {
                tonic::include_proto!("shop.user.v1");
            }
        }
        pub mod product {
            pub mod v1 {
                tonic::include_proto!("shop.product.v1");
            }
        }
        pub mod order {
            pub mod v1 {
                tonic::include_proto!("shop.order.v1");
            }
        }
    }
}

pub use generated::shop::{order::v1 as order, product::v1 as product, types::v1 as types, user::v1 as user};

/// The encoded `FileDescriptorSet` of every package, imports and custom options included.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.binpb"));

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_descriptor_set_is_the_present_one() {
        let committed = include_bytes!("../descriptor.binpb");
        assert!(
            committed == super::DESCRIPTOR_SET,
            "proto/descriptor.binpb is stale: run `make generate` and commit it"
        );
    }
}
