//! What an account, a session and an address are, and the rules they obey. No transport and no storage here.

mod address;
mod email;
mod password;
mod refresh;
mod revocation;
mod throttle;
mod user;

pub(crate) use address::{Address, AddressChange, AddressPart, Label, MAX_ADDRESSES};
pub(crate) use email::Email;
pub(crate) use password::Password;
pub(crate) use refresh::{Presented, RefreshToken, SESSION_TTL, Session, SessionSecret};
pub(crate) use revocation::{Revocation, Subject, forget_after};
pub(crate) use shop_types::{Check, Invalid};
pub(crate) use throttle::{ClientAddress, Failures, Limit, SPACING, Verdict, WINDOW, account_key, judge};
pub(crate) use user::{DisplayName, Standing, User};
