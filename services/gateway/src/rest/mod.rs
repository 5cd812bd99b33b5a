//! The JSON of the interface and its conversions to and from the contracts' messages.
//!
//! Requests are types that refuse unknown fields; what a value means is the services' matter. Responses are total: a field
//! without a value is `null`.

mod address;
mod category;
mod inventory;
mod listing;
mod order;
mod patch;
mod payment;
mod product;
mod user;
mod value;

pub(crate) use address::{Address, AddressPage, AddressPatch, NewAddress, PostalAddress};
pub(crate) use category::{Category, CategoryPage, CategoryPatch, NewCategory};
pub(crate) use inventory::{Adjustment, Availability, Inventory, NewAdjustment};
pub(crate) use listing::{Cursor, Limit, Page, PageQuery};
pub(crate) use order::{Cancellation, Empty, HistoryEntry, HistoryPage, ListOrdersQuery, NewOrder, Order, OrderPage};
pub(crate) use patch::Patch;
pub(crate) use payment::{NewPayment, NewRefund, Payment, PaymentNotice, Refund, WebhookReceipt};
pub(crate) use product::{ListProductsQuery, NewProduct, Product, ProductPage, ProductPatch};
pub(crate) use user::{
    Credentials, NewUser, PasswordChange, ProfilePatch, RefreshToken, Tokens, User, UserPage, UserPatch,
};
pub(crate) use value::{Id, Money, SlugOrId, Timestamp};

/// A service answered something the contracts do not allow.
#[derive(Debug, thiserror::Error)]
#[error("the reply lacks a valid {0}")]
pub struct BadReply(pub &'static str);

impl From<BadReply> for crate::problem::Problem {
    fn from(error: BadReply) -> Self {
        Self::internal(error)
    }
}

/// A message that must be set in a reply, converted.
pub(crate) fn required<M, T>(message: Option<M>, name: &'static str) -> Result<T, BadReply>
where
    T: TryFrom<M>,
    BadReply: From<T::Error>,
{
    Ok(T::try_from(message.ok_or(BadReply(name))?)?)
}

/// A message that may be unset in a reply, converted.
pub(crate) fn optional<M, T>(message: Option<M>) -> Result<Option<T>, BadReply>
where
    T: TryFrom<M>,
    BadReply: From<T::Error>,
{
    Ok(message.map(T::try_from).transpose()?)
}

impl From<std::convert::Infallible> for BadReply {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The contracts write "none" as the empty string where the interface has `null`.
pub(crate) fn none_if_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// An enum of the interface and its twin in the contracts, whose zero value means "not stated".
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident = $wire:ty { $($(#[$doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// The value with a number of the contracts; the zero value is none.
            pub(crate) fn from_wire(number: i32) -> Result<Option<Self>, crate::rest::BadReply> {
                match <$wire>::try_from(number) {
                    Ok(<$wire>::Unspecified) => Ok(None),
                    $(Ok(<$wire>::$variant) => Ok(Some(Self::$variant)),)+
                    Err(_) => Err(crate::rest::BadReply(stringify!($name))),
                }
            }
        }

        impl From<$name> for $wire {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant,)+ }
            }
        }
    };
}
pub(crate) use wire_enum;
