//! Calls to user and product, and what their answers mean here.

use std::time::Duration;

use prost_types::Timestamp;
use shop_auth::{ServiceSigner, SignError};
use shop_discovery::Pool;
use shop_proto::{
    product::{
        CommitRequest, RefusalReason, ReleaseRequest, ReservationLine, ReserveRequest, ReturnRequest,
        reservation_service_client::ReservationServiceClient, reserve_response,
    },
    status::{ERROR_DOMAIN, Reason},
    types,
    user::{Standing, ValidateUserRequest, user_service_client::UserServiceClient},
};
use shop_server::deadline::{self, Deadline};
use shop_types::{Instant, Money, Uuid};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::domain::{Line, LineRefusal, ShippingAddress};

const USER: &str = "user";
const PRODUCT: &str = "product";

/// The other services, by pools that find and tend their instances.
#[derive(Clone)]
pub(crate) struct Upstream {
    users: UserServiceClient<Pool>,
    reservations: ReservationServiceClient<Pool>,
    signer: ServiceSigner,
    timeout: Duration,
}

/// Why a call gave nothing to act on. It is made again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no service token could be signed")]
    Token(#[source] SignError),
    #[error("the call failed")]
    Status(#[source] Box<Status>),
    /// It breaks the contract.
    #[error("the answer makes no sense: {0}")]
    Answer(&'static str),
}

impl CallError {
    /// Whether the other side is busy, away or leaving, rather than wrong.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Token(_) | Self::Answer(_) => false,
            Self::Status(status) => matches!(
                status.code(),
                Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled | Code::Aborted
            ),
        }
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// Whether a user may order, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserAnswer {
    /// With the address, if one was asked for.
    Good(Option<ShippingAddress>),
    /// Unknown or disabled.
    Refused,
    /// The user is good; the address is not theirs or gone.
    AddressUnknown,
}

/// What became of a Reserve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReserveAnswer {
    Held(Vec<HeldLine>),
    /// At least one.
    Refused(Vec<(Uuid, LineRefusal)>),
    /// The state of the order's reservation does not allow it.
    Conflict,
}

/// A line that is held, as product knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldLine {
    pub(crate) product_id: Uuid,
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) unit_price: Money,
}

/// What became of a Commit, Release or Return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MoveAnswer {
    Done,
    /// The state of the order's reservation does not allow it.
    Conflict,
}

impl Upstream {
    /// `timeout` bounds each call; it must be well below the lease of a step.
    pub(crate) fn new(users: Pool, products: Pool, signer: ServiceSigner, timeout: Duration) -> Self {
        Self {
            users: UserServiceClient::new(users),
            reservations: ReservationServiceClient::new(products),
            signer,
            timeout,
        }
    }

    fn request<T>(&self, audience: &'static str, message: T) -> Result<Request<T>, CallError> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.signer.bearer(audience).map_err(CallError::Token)?);
        Ok(request)
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    /// May the user order, and what is the address?
    pub(crate) async fn validate_user(&self, user_id: Uuid, address: Option<Uuid>) -> Result<UserAnswer, CallError> {
        let address_id = address.map_or_else(String::new, |id| id.to_string());
        let request = self.request(USER, ValidateUserRequest { user_id: user_id.to_string(), address_id })?;
        let mut users = self.users.clone();
        let answer = deadline::scope(self.deadline(), users.validate_user(request)).await?.into_inner();
        match answer.standing() {
            Standing::Good => match (address, answer.address) {
                (Some(_), None) => Err(CallError::Answer("a good address is missing")),
                (_, found) => Ok(UserAnswer::Good(found.as_ref().map(snapshot))),
            },
            Standing::Unknown | Standing::Disabled => Ok(UserAnswer::Refused),
            Standing::AddressUnknown => Ok(UserAnswer::AddressUnknown),
            Standing::Unspecified => Err(CallError::Answer("the standing is unspecified")),
        }
    }

    /// Holds stock for an order, all lines or none.
    pub(crate) async fn reserve(
        &self,
        order_id: Uuid,
        lines: impl Iterator<Item = Line>,
        hold_until: Instant,
    ) -> Result<ReserveAnswer, CallError> {
        let lines =
            lines.map(|line| ReservationLine { product_id: line.product_id.to_string(), quantity: line.quantity });
        let message = ReserveRequest {
            order_id: order_id.to_string(),
            lines: lines.collect(),
            hold_until: Some(timestamp(hold_until)),
        };
        let request = self.request(PRODUCT, message)?;
        let mut reservations = self.reservations.clone();
        let answer = match deadline::scope(self.deadline(), reservations.reserve(request)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if is_state_conflict(&status) => return Ok(ReserveAnswer::Conflict),
            Err(status) => return Err(status.into()),
        };
        match answer.outcome {
            Some(reserve_response::Outcome::Reserved(reserved)) => {
                let held = reserved.lines.into_iter().map(|line| {
                    Ok(HeldLine {
                        product_id: product_id(&line.product_id)?,
                        unit_price: money(line.unit_price.as_ref())?,
                        sku: line.sku,
                        name: line.name,
                    })
                });
                held.collect::<Result<_, _>>().map(ReserveAnswer::Held)
            }
            Some(reserve_response::Outcome::Refused(refused)) if !refused.lines.is_empty() => {
                let refused = refused.lines.iter().map(|line| {
                    let refusal = match line.reason() {
                        RefusalReason::OutOfStock => LineRefusal::OutOfStock { available: line.available },
                        RefusalReason::NotOrderable => LineRefusal::NotOrderable,
                        RefusalReason::Unspecified => return Err(CallError::Answer("the refusal is unspecified")),
                    };
                    Ok((product_id(&line.product_id)?, refusal))
                });
                refused.collect::<Result<_, _>>().map(ReserveAnswer::Refused)
            }
            _ => Err(CallError::Answer("neither reserved nor refused")),
        }
    }

    /// The order is paid: the held goods are its own.
    pub(crate) async fn commit(&self, order_id: Uuid) -> Result<MoveAnswer, CallError> {
        let request = self.request(PRODUCT, CommitRequest { order_id: order_id.to_string() })?;
        let mut reservations = self.reservations.clone();
        moved(deadline::scope(self.deadline(), reservations.commit(request)).await)
    }

    /// Gives held stock back.
    pub(crate) async fn release(&self, order_id: Uuid) -> Result<MoveAnswer, CallError> {
        let request = self.request(PRODUCT, ReleaseRequest { order_id: order_id.to_string() })?;
        let mut reservations = self.reservations.clone();
        moved(deadline::scope(self.deadline(), reservations.release(request)).await)
    }

    /// Brings committed goods back into stock.
    pub(crate) async fn give_back(&self, order_id: Uuid) -> Result<MoveAnswer, CallError> {
        let request = self.request(PRODUCT, ReturnRequest { order_id: order_id.to_string() })?;
        let mut reservations = self.reservations.clone();
        moved(deadline::scope(self.deadline(), reservations.r#return(request)).await)
    }
}

fn moved<T>(answer: Result<T, Status>) -> Result<MoveAnswer, CallError> {
    match answer {
        Ok(_) => Ok(MoveAnswer::Done),
        Err(status) if is_state_conflict(&status) => Ok(MoveAnswer::Conflict),
        Err(status) => Err(status.into()),
    }
}

/// Whether product itself says that the state of the reservation is in the way. Any other refusal of a precondition, a
/// proxy's for example, says nothing of the goods.
fn is_state_conflict(status: &Status) -> bool {
    status
        .get_error_details()
        .error_info()
        .is_some_and(|info| info.domain == ERROR_DOMAIN && info.reason == Reason::StateConflict.code())
}

fn product_id(text: &str) -> Result<Uuid, CallError> {
    Uuid::try_parse(text).map_err(|_| CallError::Answer("a product id is no UUID"))
}

fn money(money: Option<&types::Money>) -> Result<Money, CallError> {
    let money = money.ok_or(CallError::Answer("a price is missing"))?;
    let currency = money.currency.parse().map_err(|_| CallError::Answer("a currency is unknown"))?;
    Ok(Money::new(money.amount, currency))
}

fn snapshot(address: &types::PostalAddress) -> ShippingAddress {
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ShippingAddress {
        recipient: address.recipient.clone(),
        line1: address.line1.clone(),
        line2: optional(&address.line2),
        city: address.city.clone(),
        region: optional(&address.region),
        postal_code: address.postal_code.clone(),
        country: address.country.clone(),
    }
}

fn timestamp(at: Instant) -> Timestamp {
    let micros = at.as_micros();
    // The remainder is below a million.
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

#[cfg(test)]
mod tests {
    use shop_proto::status::Refusal;

    use super::*;

    #[test]
    fn only_what_product_calls_a_conflict_of_state_is_one() {
        let answer = |status: Status| moved::<()>(Err(status)).ok();
        assert_eq!(answer(Refusal::new(Reason::StateConflict, "Released.").into()), Some(MoveAnswer::Conflict));
        for other in [
            Refusal::new(Reason::StaleVersion, "Another version.").into(),
            Status::failed_precondition("from a proxy"),
            Status::unavailable("away"),
        ] {
            assert_eq!(answer(other), None);
        }
    }
}
