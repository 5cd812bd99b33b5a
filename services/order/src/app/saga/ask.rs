//! The calls of the steps, and what their answers are as outcomes.

use std::time::Duration;

use shop_storage::clock;
use shop_types::{MoneyError, Uuid};

use crate::{
    app::{
        Error, Orders,
        upstream::{CallError, HeldLine, MoveAnswer, ReserveAnswer, UserAnswer},
    },
    domain::{Item, ItemAnswer, LineRefusal, MAX_AMOUNT, Order, Outcome, Priced, Step, total},
};

/// How much longer product keeps a reservation than the order lasts: a net for orphans, far beyond any outage in which a
/// paid order could still wait for its Commit.
const HOLD_BEYOND_EXPIRY: Duration = Duration::from_hours(24);

/// What a step's call came to, with what it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The order's items with prices or refusals, after a Reserve.
    pub(super) items: Option<Vec<Item>>,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, items: None }
    }
}

impl Orders {
    /// Makes the call of a step. An error is no outcome: the step stays outstanding.
    pub(super) async fn ask(&self, step: Step, order: &Order, payment_timeout: Duration) -> Result<Answer, Error> {
        let upstream = &self.parts.upstream;
        Ok(match step {
            Step::ValidateUser => match upstream.validate_user(order.user_id, None).await? {
                UserAnswer::Good(_) => Outcome::UserGood.into(),
                UserAnswer::Refused | UserAnswer::AddressUnknown => Outcome::UserRefused.into(),
            },
            Step::Reserve => {
                let now = clock::read(self.parts.database.reader()).await?;
                let hold_until = now.plus(payment_timeout).plus(HOLD_BEYOND_EXPIRY);
                let lines = order.items.iter().map(|item| item.line);
                match upstream.reserve(order.id, lines, hold_until).await? {
                    ReserveAnswer::Held(held) => held_answer(order, &held)?,
                    ReserveAnswer::Refused(refused) => refused_answer(order, &refused),
                    ReserveAnswer::Conflict => Outcome::ReservationLapsed.into(),
                }
            }
            Step::Commit => match upstream.commit(order.id).await? {
                MoveAnswer::Done => Outcome::GoodsCommitted.into(),
                MoveAnswer::Conflict => Outcome::ReservationLapsed.into(),
            },
            Step::Release => match upstream.release(order.id).await? {
                MoveAnswer::Done => Outcome::StockReleased.into(),
                MoveAnswer::Conflict => Outcome::FoundCommitted.into(),
            },
            Step::Return => match upstream.give_back(order.id).await? {
                MoveAnswer::Done => Outcome::GoodsReturned.into(),
                MoveAnswer::Conflict => Outcome::FoundUncommitted.into(),
            },
        })
    }
}

/// Stock is held: the items with their prices, unless those can't be summed.
fn held_answer(order: &Order, held: &[HeldLine]) -> Result<Answer, CallError> {
    let mut items = Vec::with_capacity(order.items.len());
    for item in &order.items {
        let line = held
            .iter()
            .find(|line| line.product_id == item.line.product_id)
            .ok_or(CallError::Answer("a line of the order was not reserved"))?;
        let Ok(line_total) = line.unit_price.checked_mul(item.line.quantity) else {
            return Ok(Outcome::TotalTooLarge.into());
        };
        let priced = Priced { sku: line.sku.clone(), name: line.name.clone(), unit_price: line.unit_price, line_total };
        items.push(Item { line: item.line, answer: ItemAnswer::Priced(priced) });
    }
    match total(&items) {
        // It could not be paid.
        Ok(Some(total)) if total.amount() > MAX_AMOUNT => Ok(Outcome::TotalTooLarge.into()),
        Ok(_) => Ok(Answer { outcome: Outcome::StockHeld, items: Some(items) }),
        Err(MoneyError::Overflow) => Ok(Outcome::TotalTooLarge.into()),
        Err(MoneyError::CurrencyMismatch) => Err(CallError::Answer("the prices are of different currencies")),
    }
}

/// Nothing is held: the items with what is against them. A product that is not sold outweighs one that is out of stock,
/// since waiting does not help.
fn refused_answer(order: &Order, refused: &[(Uuid, LineRefusal)]) -> Answer {
    let items = order.items.iter().map(|item| {
        let refusal = refused.iter().find(|(product_id, _)| *product_id == item.line.product_id);
        Item { line: item.line, answer: refusal.map_or(ItemAnswer::None, |(_, refusal)| ItemAnswer::Refused(*refusal)) }
    });
    let unsold = refused.iter().any(|(_, refusal)| *refusal == LineRefusal::NotOrderable);
    let outcome = if unsold { Outcome::NotOrderable } else { Outcome::OutOfStock };
    Answer { outcome, items: Some(items.collect()) }
}
