//! Reservations: the matrix of the domain, carried out.

use std::{collections::HashMap, sync::Arc};

use opentelemetry::{KeyValue, metrics::Counter};
use sea_orm::ConnectionTrait;
use shop_storage::Database;
use shop_types::{Instant, Uuid};

use super::Error;
use crate::{
    domain::{
        Conflict, Line, Lines, Move, MoveDecision, RefusalReason, RefusedLine, Reservation, ReserveDecision,
        ReservedLine, State, Transition, on_move, on_reserve,
    },
    store::{inventory, products, reservations},
};

/// The use cases of reservations.
#[derive(Debug, Clone)]
pub(crate) struct Reservations {
    database: Database,
    commands: Counter<u64>,
}

impl Reservations {
    pub(crate) fn new(database: Database) -> Self {
        let commands = opentelemetry::global::meter("shop")
            .u64_counter("shop.product.reservation.commands")
            .with_description("Commands on reservations, by what they came to")
            .build();
        Self { database, commands }
    }

    /// Takes every line or keeps the refusal; a repeat gives the same answer.
    pub(crate) async fn reserve(
        &self,
        order_id: Uuid,
        lines: Lines,
        hold_until: Instant,
    ) -> Result<Reservation, Error> {
        let lines = Arc::new(lines);
        let now = Instant::now();
        let answer = self
            .database
            .write(move |transaction| {
                let lines = Arc::clone(&lines);
                Box::pin(async move { reserve(transaction, order_id, &lines, hold_until, now).await })
            })
            .await;
        self.count(
            "reserve",
            match &answer {
                Ok(Reservation::Reserved(_)) => "reserved",
                Ok(Reservation::Refused(_)) => "refused",
                Err(error) => failure(error),
            },
        );
        answer
    }

    /// Commits, releases or returns.
    pub(crate) async fn make(&self, order_id: Uuid, movement: Move) -> Result<(), Error> {
        let now = Instant::now();
        let done = self
            .database
            .write(move |transaction| Box::pin(async move { make(transaction, order_id, movement, now).await }))
            .await;
        let command = match movement {
            Move::Commit => "commit",
            Move::Release => "release",
            Move::Return => "return",
        };
        self.count(command, done.as_ref().map_or_else(failure, |()| "done"));
        done
    }

    fn count(&self, command: &'static str, outcome: &'static str) {
        self.commands.add(1, &[KeyValue::new("command", command), KeyValue::new("outcome", outcome)]);
    }
}

fn failure(error: &Error) -> &'static str {
    if matches!(error, Error::Storage(_)) { "failed" } else { "conflict" }
}

async fn reserve(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    lines: &Lines,
    hold_until: Instant,
    now: Instant,
) -> Result<Reservation, Error> {
    let added = reservations::insert(connection, order_id, State::Held, Some(hold_until), now).await?;
    let state = if added { None } else { reservations::find_locked(connection, order_id).await? };
    match on_reserve(state) {
        ReserveDecision::Take => take(connection, order_id, lines, now).await,
        ReserveDecision::Replay => {
            let (asked, answer) = reservations::load(connection, order_id).await?;
            if asked != *lines {
                return Err(Error::LinesDiffer);
            }
            // Whoever asks again counts from now.
            reservations::hold_longer(connection, order_id, hold_until).await?;
            Ok(answer)
        }
        ReserveDecision::Refuse => Err(Conflict { state, movement: None }.into()),
    }
}

/// Takes every line of a reservation that was just added as held, or makes it a refused one.
async fn take(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    lines: &Lines,
    now: Instant,
) -> Result<Reservation, Error> {
    let mut orderable = products::find_orderable(connection, lines.product_ids()).await?;
    let all_orderable = lines.product_ids().all(|id| orderable.contains_key(&id));
    let short = if all_orderable { take_all(connection, order_id, lines, now).await? } else { None };
    if all_orderable && short.is_none() {
        let reserved: Vec<_> = lines
            .iter()
            .filter_map(|line| {
                let product = orderable.remove(&line.product_id)?;
                Some(ReservedLine { line, sku: product.sku, name: product.name, unit_price: product.price })
            })
            .collect();
        reservations::insert_reserved(connection, order_id, &reserved).await?;
        return Ok(Reservation::Reserved(reserved));
    }
    let available: HashMap<_, _> = inventory::available(connection, lines.product_ids()).await?.into_iter().collect();
    let refused: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let available = available.get(&line.product_id).copied().unwrap_or_default();
            let reason = if !orderable.contains_key(&line.product_id) {
                RefusalReason::NotOrderable
            } else if available < line.quantity.pieces() || short == Some(line) {
                RefusalReason::OutOfStock { available }
            } else {
                return None;
            };
            Some(RefusedLine { product_id: line.product_id, reason })
        })
        .collect();
    reservations::refuse(connection, order_id, now).await?;
    reservations::insert_refused(connection, order_id, lines, &refused).await?;
    Ok(Reservation::Refused(refused))
}

/// Takes the lines in product-id order. At the first that can't be had, what was taken goes back, and the answer is that
/// line.
async fn take_all(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    lines: &Lines,
    now: Instant,
) -> Result<Option<Line>, Error> {
    let mut taken = Vec::new();
    for line in lines.iter() {
        if !inventory::take(connection, line).await? {
            inventory::transition(connection, order_id, taken.into_iter(), Transition::GiveBack, now).await?;
            return Ok(Some(line));
        }
        taken.push(line);
    }
    Ok(None)
}

async fn make(connection: &impl ConnectionTrait, order_id: Uuid, movement: Move, now: Instant) -> Result<(), Error> {
    let mut state = reservations::find_locked(connection, order_id).await?;
    let mut decision = on_move(state, movement);
    if decision == MoveDecision::LeaveTombstone {
        if reservations::insert(connection, order_id, State::Released, None, now).await? {
            return Ok(());
        }
        // A reservation that was being made is there now.
        state = reservations::find_locked(connection, order_id).await?;
        decision = on_move(state, movement);
    }
    let conflict = Conflict { state, movement: Some(movement) };
    match decision {
        MoveDecision::Change(transition) => {
            if !reservations::change(connection, order_id, transition, now).await? {
                return Err(conflict.into());
            }
            let lines = reservations::lines(connection, order_id).await?;
            inventory::transition(connection, order_id, lines.into_iter(), transition, now).await?;
            Ok(())
        }
        MoveDecision::Nothing => Ok(()),
        MoveDecision::LeaveTombstone | MoveDecision::Refuse => Err(conflict.into()),
    }
}

/// Releases a reservation that is still held past its time by the database's clock; false when it is not, or no longer.
pub(super) async fn release_if_lapsed(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    now: Instant,
) -> Result<bool, Error> {
    if !reservations::is_lapsed(connection, order_id).await? {
        return Ok(false);
    }
    make(connection, order_id, Move::Release, now).await?;
    Ok(true)
}
