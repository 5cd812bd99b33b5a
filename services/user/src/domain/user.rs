//! Accounts.

use shop_auth::Role;
use shop_types::{Instant, PostalAddress, Text, Uuid};

/// What a user is called.
pub(crate) type DisplayName = Text<100>;

/// An account that is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) role: Role,
    pub(crate) disabled: bool,
    /// Access tokens with a lower one are void.
    pub(crate) epoch: i64,
    pub(crate) created_at: Instant,
    pub(crate) updated_at: Instant,
}

impl User {
    /// Whether the shop can be run with this account.
    pub(crate) fn is_active_admin(&self) -> bool {
        self.role == Role::Admin && !self.disabled
    }
}

/// Whether a user may place orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// May, to this address if one was asked for.
    Good(Option<PostalAddress>),
    /// Deleted or never there.
    Unknown,
    Disabled,
    /// The user may; the address is not theirs.
    AddressUnknown,
}
