//! Orders with all that belongs to them, a page at a time, for the audit.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseConnection, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use shop_storage::{StorageError, clock};
use shop_types::{Instant, Uuid};

use super::{
    entity::{due, history, item, key, order, outbox, payment, refund, saga},
    rows,
};
use crate::domain::{Status, Step};

/// What the audit reads of an order, at one moment.
#[derive(Debug)]
pub(crate) struct Audited {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) status: Status,
    pub(crate) version: i64,
    pub(crate) total: Option<(i64, String)>,
    pub(crate) created_at: Instant,
    pub(crate) updated_at: Instant,
    /// Product and pieces.
    pub(crate) lines: Vec<(Uuid, i64)>,
    /// By currency: received, refunded and due.
    pub(crate) money: HashMap<String, Money>,
    /// By version: from, to and when.
    pub(crate) history: Vec<(i64, Option<Status>, Status, Instant)>,
    /// By version: whether it was sent.
    pub(crate) events: HashMap<i64, bool>,
    pub(crate) saga: Option<AuditedSaga>,
    /// The users whose keys lead here.
    pub(crate) keys: Vec<Uuid>,
}

/// Sums in minor units, wide enough for any number of payments.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Money {
    pub(crate) received: i128,
    pub(crate) refunded: i128,
    pub(crate) due: i128,
}

/// A saga as it stands.
#[derive(Debug)]
pub(crate) struct AuditedSaga {
    /// With since when it is outstanding, and when it may be taken.
    pub(crate) outstanding: Option<(Step, Instant, Instant)>,
}

#[derive(FromQueryResult)]
struct EventRow {
    order_id: Uuid,
    version: i64,
    sent_at: Option<i64>,
}

/// At most `limit` orders after an id, in id order, and the time by the database's clock.
pub(crate) async fn page(
    connection: &DatabaseConnection,
    after: Option<Uuid>,
    limit: u64,
) -> Result<(Instant, Vec<Audited>), StorageError> {
    let snapshot = shop_storage::snapshot(connection).await?;
    let now = clock::read(&snapshot).await?;
    let mut query = order::Entity::find().order_by_asc(order::Column::Id).limit(limit);
    if let Some(after) = after {
        query = query.filter(order::Column::Id.gt(after));
    }
    let mut page = Vec::new();
    for row in query.all(&snapshot).await? {
        page.push(Audited {
            id: row.id,
            user_id: row.user_id,
            status: rows::status(&row.status)?,
            version: row.version,
            total: row.total_amount.zip(row.total_currency),
            created_at: Instant::from_micros(row.created_at),
            updated_at: Instant::from_micros(row.updated_at),
            lines: Vec::new(),
            money: HashMap::new(),
            history: Vec::new(),
            events: HashMap::new(),
            saga: None,
            keys: Vec::new(),
        });
    }
    let mut parts = Parts { ids: page.iter().map(|order| order.id).collect(), page: &mut page };
    parts.add_lines_and_saga(&snapshot).await?;
    parts.add_money(&snapshot).await?;
    parts.add_history_and_events(&snapshot).await?;
    snapshot.rollback().await?;
    Ok((now, page))
}

/// Fills in what other tables have. The page is in id order.
struct Parts<'p> {
    ids: Vec<Uuid>,
    page: &'p mut [Audited],
}

impl Parts<'_> {
    fn of(&mut self, id: Uuid) -> Option<&mut Audited> {
        self.page.binary_search_by_key(&id, |order| order.id).ok().map(|at| &mut self.page[at])
    }

    async fn add_lines_and_saga(&mut self, snapshot: &impl ConnectionTrait) -> Result<(), StorageError> {
        let items = item::Entity::find().filter(item::Column::OrderId.is_in(self.ids.clone()));
        for row in items.all(snapshot).await? {
            if let Some(order) = self.of(row.order_id) {
                order.lines.push((row.product_id, row.quantity));
            }
        }
        let sagas = saga::Entity::find().filter(saga::Column::OrderId.is_in(self.ids.clone()));
        for row in sagas.all(snapshot).await? {
            let step = row.step.as_deref().map(super::sagas::step).transpose()?;
            let at = |micros: Option<i64>| Instant::from_micros(micros.unwrap_or_default());
            let outstanding = step.map(|step| (step, at(row.since), at(row.due_at)));
            if let Some(order) = self.of(row.order_id) {
                order.saga = Some(AuditedSaga { outstanding });
            }
        }
        let keys = key::Entity::find().filter(key::Column::OrderId.is_in(self.ids.clone()));
        for row in keys.all(snapshot).await? {
            if let Some(order) = self.of(row.order_id) {
                order.keys.push(row.user_id);
            }
        }
        Ok(())
    }

    async fn add_money(&mut self, snapshot: &impl ConnectionTrait) -> Result<(), StorageError> {
        let payments = payment::Entity::find().filter(payment::Column::OrderId.is_in(self.ids.clone()));
        for row in payments.all(snapshot).await? {
            if let Some(order) = self.of(row.order_id) {
                order.money.entry(row.currency).or_default().received += i128::from(row.amount);
            }
        }
        let refunds = refund::Entity::find().filter(refund::Column::OrderId.is_in(self.ids.clone()));
        for row in refunds.all(snapshot).await? {
            if let Some(order) = self.of(row.order_id) {
                order.money.entry(row.currency).or_default().refunded += i128::from(row.amount);
            }
        }
        let dues = due::Entity::find().filter(due::Column::OrderId.is_in(self.ids.clone()));
        for row in dues.all(snapshot).await? {
            if let Some(order) = self.of(row.order_id) {
                order.money.entry(row.currency).or_default().due += i128::from(row.amount);
            }
        }
        Ok(())
    }

    async fn add_history_and_events(&mut self, snapshot: &impl ConnectionTrait) -> Result<(), StorageError> {
        let entries = history::Entity::find()
            .filter(history::Column::OrderId.is_in(self.ids.clone()))
            .order_by_asc(history::Column::OrderId)
            .order_by_asc(history::Column::Version);
        for row in entries.all(snapshot).await? {
            let from = row.from_status.as_deref().map(rows::status).transpose()?;
            let entry = (row.version, from, rows::status(&row.to_status)?, Instant::from_micros(row.at));
            if let Some(order) = self.of(row.order_id) {
                order.history.push(entry);
            }
        }
        // Without their data, which is most of it.
        let events: Vec<EventRow> = outbox::Entity::find()
            .select_only()
            .columns([outbox::Column::OrderId, outbox::Column::Version, outbox::Column::SentAt])
            .filter(outbox::Column::OrderId.is_in(self.ids.clone()))
            .into_model()
            .all(snapshot)
            .await?;
        for row in events {
            if let Some(order) = self.of(row.order_id) {
                order.events.insert(row.version, row.sent_at.is_some());
            }
        }
        Ok(())
    }
}
