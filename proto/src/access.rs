//! The static table method → access rule and idempotency level, built from the options in the contracts.

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// No credentials needed; one that is presented must still be valid.
    Public,
    /// Any signed-in user.
    Authenticated,
    /// Any signed-in user, for what is theirs; the query carries the owner.
    Owner,
    /// Role staff or admin.
    Staff,
    /// Role admin.
    Admin,
    /// The named services, by service token.
    Service(&'static [&'static str]),
}

/// What a repeat of a call may do, from the method's `idempotency_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// Not stated: a repeat may have another effect, so nothing repeats it unasked.
    Unknown,
    /// A repeat has the effect of one call.
    Idempotent,
    /// A read.
    NoSideEffects,
}

impl Idempotency {
    /// Whether a client may repeat a call whose fate is unknown.
    pub fn retryable(self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

/// One method of the contracts.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// The gRPC path, `/shop.user.v1.UserService/Login`.
    pub path: &'static str,
    /// Who may call.
    pub rule: Rule,
    /// Whether a repeat is safe.
    pub idempotency: Idempotency,
    /// Whether the client sends a stream.
    pub client_streaming: bool,
    /// Whether the server answers with a stream.
    pub server_streaming: bool,
}

/// Every method of every service, in the order of the contracts.
pub const METHODS: &[Method] = include!(concat!(env!("OUT_DIR"), "/access_table.rs"));

/// The method at a gRPC path, if the contracts have it.
pub fn method(path: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contracts_is_in_the_table_once() {
        let rpcs: usize = [
            include_str!("../shop/user/v1/user.proto"),
            include_str!("../shop/product/v1/product.proto"),
            include_str!("../shop/order/v1/order.proto"),
        ]
        .iter()
        .map(|source| source.lines().filter(|line| line.trim_start().starts_with("rpc ")).count())
        .sum();
        assert_eq!(METHODS.len(), rpcs);
        let mut paths: Vec<_> = METHODS.iter().map(|method| method.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), rpcs);
    }

    #[test]
    fn rules_and_levels_are_read_from_the_options() {
        let validate = method("/shop.user.v1.UserService/ValidateUser").unwrap();
        assert_eq!(validate.rule, Rule::Service(&["order"]));
        assert_eq!(validate.idempotency, Idempotency::NoSideEffects);
        let create = method("/shop.order.v1.OrderService/CreateOrder").unwrap();
        assert_eq!(create.rule, Rule::Owner);
        assert!(create.idempotency.retryable());
        let ship = method("/shop.order.v1.OrderService/ShipOrder").unwrap();
        assert_eq!(ship.rule, Rule::Staff);
        assert!(!ship.idempotency.retryable());
        assert!(method("/shop.order.v1.OrderService/Nothing").is_none());
    }
}
