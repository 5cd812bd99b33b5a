//! Orders and their history a page at a time.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _,
};
use shop_storage::StorageError;
use shop_types::Uuid;

use super::{
    entity::{due, history, item, order},
    rows,
};
use crate::domain::{Filter, HistoryEntry, Order};

/// At most `limit` orders older than `before`, newest first. Ids grow with time.
pub(crate) async fn orders(
    connection: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Order>, StorageError> {
    let mut query = order::Entity::find().order_by_desc(order::Column::Id).limit(limit);
    if let Some(owner) = filter.owner {
        query = query.filter(order::Column::UserId.eq(owner));
    }
    if let Some(status) = filter.status {
        query = query.filter(order::Column::Status.eq(status.as_str()));
    }
    if let Some(wanted) = filter.refund_due {
        let owed = due::Entity::find().select_only().column(due::Column::OrderId).into_query();
        query = query.filter(if wanted {
            order::Column::Id.in_subquery(owed)
        } else {
            order::Column::Id.not_in_subquery(owed)
        });
    }
    if let Some(before) = before {
        query = query.filter(order::Column::Id.lt(before));
    }
    with_parts(connection, query.all(connection).await?).await
}

/// Adds items and dues with one query each.
async fn with_parts(connection: &impl ConnectionTrait, found: Vec<order::Model>) -> Result<Vec<Order>, StorageError> {
    let ids: Vec<Uuid> = found.iter().map(|order| order.id).collect();
    let mut items: HashMap<Uuid, Vec<item::Model>> = HashMap::with_capacity(ids.len());
    let item_rows = item::Entity::find()
        .filter(item::Column::OrderId.is_in(ids.clone()))
        .order_by_asc(item::Column::OrderId)
        .order_by_asc(item::Column::Position)
        .all(connection)
        .await?;
    for row in item_rows {
        items.entry(row.order_id).or_default().push(row);
    }
    let mut dues: HashMap<Uuid, Vec<due::Model>> = HashMap::new();
    for row in due::Entity::find().filter(due::Column::OrderId.is_in(ids)).all(connection).await? {
        dues.entry(row.order_id).or_default().push(row);
    }
    found
        .into_iter()
        .map(|row| {
            let items = items.remove(&row.id).unwrap_or_default();
            let dues = dues.remove(&row.id).unwrap_or_default();
            rows::order(row, items, &dues)
        })
        .collect()
}

/// At most `limit` changes of an order after version `after`, oldest first.
pub(crate) async fn history(
    connection: &impl ConnectionTrait,
    id: Uuid,
    after: i64,
    limit: u64,
) -> Result<Vec<HistoryEntry>, StorageError> {
    let found = history::Entity::find()
        .filter(history::Column::OrderId.eq(id))
        .filter(history::Column::Version.gt(after))
        .order_by_asc(history::Column::Version)
        .limit(limit)
        .all(connection)
        .await?;
    found.into_iter().map(rows::history_entry).collect()
}
