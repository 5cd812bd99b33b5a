//! Reservations against orders, which live in two databases: both are read in id order, side by side.

use std::{cmp::Ordering, time::Duration};

use sea_orm::DatabaseConnection;
use shop_order::{
    Status,
    audit::{self as orders, OrderRecord},
};
use shop_product::audit::{self as product, ReservationRecord, ReservationState as State};
use shop_storage::StorageError;
use shop_types::{Instant, Uuid};

use super::report::Finding;

/// Rows read at once from each side.
const PAGE: u64 = 500;
/// The two databases are read a moment apart, and a worker may be late by a moment.
const SLACK: Duration = Duration::from_secs(5);
/// Findings that are kept: a reader wants to know that there are many, not all of them.
const MAX_FINDINGS: usize = 100;

/// Finds orders and reservations that don't fit. Those that changed within a lease are in flight.
pub(crate) async fn compare(
    order_database: &DatabaseConnection,
    product_database: &DatabaseConnection,
    lease: Duration,
) -> Result<Vec<Finding>, StorageError> {
    let mut orders =
        Orders { connection: order_database, page: Vec::new().into_iter().peekable(), after: None, done: false };
    let mut reservations = Reservations {
        connection: product_database,
        page: Vec::new().into_iter().peekable(),
        after: None,
        done: false,
    };
    let now = Instant::now();
    let young = |changed: Instant| now.since(changed) <= lease + SLACK;
    let mut findings = Vec::new();
    while findings.len() < MAX_FINDINGS {
        orders.fill().await?;
        reservations.fill().await?;
        let side = match (orders.page.peek(), reservations.page.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(order), Some(reservation)) => order.id.cmp(&reservation.order_id),
        };
        let order = if side.is_le() { orders.page.next() } else { None };
        let reservation = if side.is_ge() { reservations.page.next() } else { None };
        findings.extend(mismatch(order.as_ref(), reservation.as_ref(), young));
    }
    Ok(findings)
}

fn mismatch(
    order: Option<&OrderRecord>,
    reservation: Option<&ReservationRecord>,
    young: impl Fn(Instant) -> bool,
) -> Option<Finding> {
    let Some(order) = order else {
        let reservation = reservation?;
        let detail =
            format!("reservation {} is {:?}, and there is no such order", reservation.order_id, reservation.state);
        return Some(Finding { detail, in_flight: young(reservation.changed_at) });
    };
    let state = reservation.map(|reservation| reservation.state);
    let found = state.map_or("none".to_owned(), |state| format!("{state:?}").to_lowercase());
    let detail = if !fits(order.status, state) {
        format!("order {} is {}, its reservation is {found}", order.id, order.status)
    } else if reservation
        .is_some_and(|reservation| !reservation.lines.is_empty() && sorted(&reservation.lines) != sorted(&order.lines))
    {
        format!("order {} and its reservation ({found}) are of different goods", order.id)
    } else {
        return None;
    };
    let changed = reservation.map_or(order.updated_at, |reservation| reservation.changed_at.max(order.updated_at));
    Some(Finding { detail, in_flight: order.step.is_some() || young(changed) })
}

/// What a status asks of the reservation once no step is outstanding.
fn fits(status: Status, reservation: Option<State>) -> bool {
    match status {
        // Its saga is at work; that it has one is the saga's invariant.
        Status::Pending => true,
        Status::Reserved => reservation == Some(State::Held),
        Status::Paid | Status::Shipped | Status::Delivered => reservation == Some(State::Committed),
        Status::Refunded => matches!(reservation, Some(State::Committed | State::Returned)),
        Status::Expired => reservation == Some(State::Released),
        Status::Cancelled => matches!(reservation, None | Some(State::Released | State::Refused | State::Returned)),
        Status::Rejected => matches!(reservation, None | Some(State::Released | State::Refused)),
    }
}

fn sorted(lines: &[(Uuid, i64)]) -> Vec<(Uuid, i64)> {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines
}

/// Orders in id order, a page in memory at a time.
struct Orders<'a> {
    connection: &'a DatabaseConnection,
    page: std::iter::Peekable<std::vec::IntoIter<OrderRecord>>,
    after: Option<Uuid>,
    done: bool,
}

impl Orders<'_> {
    async fn fill(&mut self) -> Result<(), StorageError> {
        if self.page.peek().is_none() && !self.done {
            let page = orders::orders(self.connection, self.after, PAGE).await?;
            self.done = (page.len() as u64) < PAGE;
            self.after = page.last().map(|order| order.id).or(self.after);
            self.page = page.into_iter().peekable();
        }
        Ok(())
    }
}

/// Reservations in order-id order, a page in memory at a time.
struct Reservations<'a> {
    connection: &'a DatabaseConnection,
    page: std::iter::Peekable<std::vec::IntoIter<ReservationRecord>>,
    after: Option<Uuid>,
    done: bool,
}

impl Reservations<'_> {
    async fn fill(&mut self) -> Result<(), StorageError> {
        if self.page.peek().is_none() && !self.done {
            let page = product::reservations(self.connection, self.after, PAGE).await?;
            self.done = (page.len() as u64) < PAGE;
            self.after = page.last().map(|reservation| reservation.order_id).or(self.after);
            self.page = page.into_iter().peekable();
        }
        Ok(())
    }
}
