//! Between the contract's messages and the domain.

use prost_types::Timestamp;
use shop_auth::Role;
use shop_proto::{types, user as proto};
use shop_types::{Instant, PostalAddress, RawAddress, Uuid};

use crate::{
    app::{Tokens, UserChange},
    domain::{Address, AddressChange, AddressPart, Invalid, Revocation, Standing, Subject, User},
};

impl From<User> for proto::User {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email,
            display_name: user.display_name,
            role: role(user.role).into(),
            disabled: user.disabled,
            created_at: Some(timestamp(user.created_at)),
            updated_at: Some(timestamp(user.updated_at)),
        }
    }
}

fn role(role: Role) -> proto::Role {
    match role {
        Role::Customer => proto::Role::Customer,
        Role::Staff => proto::Role::Staff,
        Role::Admin => proto::Role::Admin,
    }
}

impl From<Tokens> for proto::Tokens {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access,
            refresh_token: tokens.refresh,
            expires_in: i64::try_from(tokens.expires_in.as_secs()).unwrap_or(i64::MAX),
        }
    }
}

impl From<Address> for proto::Address {
    fn from(address: Address) -> Self {
        Self {
            id: address.id.to_string(),
            label: address.label.map(shop_types::Text::into_string).unwrap_or_default(),
            address: Some(postal(&address.postal)),
        }
    }
}

fn postal(address: &PostalAddress) -> types::PostalAddress {
    types::PostalAddress {
        recipient: address.recipient().to_owned(),
        line1: address.line1().to_owned(),
        line2: address.line2().unwrap_or_default().to_owned(),
        city: address.city().to_owned(),
        region: address.region().unwrap_or_default().to_owned(),
        postal_code: address.postal_code().to_owned(),
        country: address.country().to_owned(),
    }
}

/// An address before it is checked; an absent one has nothing but empty fields.
pub(super) fn raw_address(address: Option<&types::PostalAddress>) -> RawAddress<'_> {
    address.map_or_else(RawAddress::default, |address| RawAddress {
        recipient: &address.recipient,
        line1: &address.line1,
        line2: &address.line2,
        city: &address.city,
        region: &address.region,
        postal_code: &address.postal_code,
        country: &address.country,
    })
}

impl From<proto::UpdateAddressRequest> for AddressChange {
    fn from(request: proto::UpdateAddressRequest) -> Self {
        let parts = [
            (AddressPart::Label, request.label),
            (AddressPart::Recipient, request.recipient),
            (AddressPart::Line1, request.line1),
            (AddressPart::Line2, request.line2),
            (AddressPart::City, request.city),
            (AddressPart::Region, request.region),
            (AddressPart::PostalCode, request.postal_code),
            (AddressPart::Country, request.country),
        ];
        Self(parts.into_iter().filter_map(|(part, text)| Some((part, text?))).collect())
    }
}

impl TryFrom<&proto::UpdateUserRequest> for UserChange {
    type Error = Invalid;

    fn try_from(request: &proto::UpdateUserRequest) -> Result<Self, Invalid> {
        let role = request.role.map(|number| match proto::Role::try_from(number) {
            Ok(proto::Role::Customer) => Ok(Role::Customer),
            Ok(proto::Role::Staff) => Ok(Role::Staff),
            Ok(proto::Role::Admin) => Ok(Role::Admin),
            Ok(proto::Role::Unspecified) | Err(_) => Err(Invalid::field("/role", shop_auth::UnknownRole.to_string())),
        });
        Ok(Self { role: role.transpose()?, disabled: request.disabled })
    }
}

impl From<Standing> for proto::ValidateUserResponse {
    fn from(standing: Standing) -> Self {
        let (standing, address) = match standing {
            Standing::Good(address) => (proto::Standing::Good, address),
            Standing::Unknown => (proto::Standing::Unknown, None),
            Standing::Disabled => (proto::Standing::Disabled, None),
            Standing::AddressUnknown => (proto::Standing::AddressUnknown, None),
        };
        Self { standing: standing.into(), address: address.as_ref().map(postal) }
    }
}

impl From<Revocation> for proto::Revocation {
    fn from(revocation: Revocation) -> Self {
        use proto::revocation::Subject as ProtoSubject;
        let subject = match revocation.subject {
            Subject::Session(id) => ProtoSubject::SessionId(id.to_string()),
            Subject::User { id, epoch } => ProtoSubject::UserEpoch(proto::UserEpoch { user_id: id.to_string(), epoch }),
        };
        Self {
            position: revocation.position,
            subject: Some(subject),
            forget_after: Some(timestamp(revocation.forget_after)),
        }
    }
}

/// What can't be an id is nobody's.
pub(super) fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const NANOS_PER_MICRO: i32 = 1_000;

fn timestamp(instant: Instant) -> Timestamp {
    let micros = instant.as_micros().rem_euclid(MICROS_PER_SECOND);
    // Below a million, so it fits.
    let nanos = i32::try_from(micros).unwrap_or_default() * NANOS_PER_MICRO;
    Timestamp { seconds: instant.as_seconds(), nanos }
}
