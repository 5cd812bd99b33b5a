//! Who makes a call, as proved by the token it carried.

use std::{fmt, str::FromStr};

use http::Extensions;
use shop_types::Uuid;

/// What a user may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys.
    Customer,
    /// Runs catalogue, stock and orders.
    Staff,
    /// Runs accounts besides.
    Admin,
}

/// The text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be customer, staff or admin")]
pub struct UnknownRole;

impl Role {
    /// The role's name in tokens, databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "customer" => Ok(Self::Customer),
            "staff" => Ok(Self::Staff),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownRole),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCaller {
    /// The account.
    pub user_id: Uuid,
    /// The session the token belongs to; it outlives the token.
    pub session_id: Uuid,
    /// The role when the token was signed; a change of role voids the token through the epoch.
    pub role: Role,
    /// The account's epoch when the token was signed.
    pub epoch: i64,
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// A user of the shop.
    User(UserCaller),
    /// One of the shop's own services, by name.
    Service(String),
}

impl Caller {
    /// The user, if it is one.
    pub fn user(&self) -> Option<&UserCaller> {
        match self {
            Self::User(user) => Some(user),
            Self::Anonymous | Self::Service(_) => None,
        }
    }

    /// Whether it is a user of role staff or admin.
    pub fn is_staff(&self) -> bool {
        self.user().is_some_and(|user| user.role >= Role::Staff)
    }
}

/// The caller that the access layer found; [`Caller::Anonymous`] where no layer ran.
pub fn caller(extensions: &Extensions) -> Caller {
    extensions.get::<Caller>().cloned().unwrap_or(Caller::Anonymous)
}
