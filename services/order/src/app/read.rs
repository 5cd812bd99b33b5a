//! Looking at orders: one's own, or any for staff. The owner is in the query.

use serde::{Deserialize, Serialize};
use shop_storage::page;
use shop_types::Uuid;

use super::{Error, Orders};
use crate::{
    domain::{Filter, HistoryEntry, Invalid, Order, Status, Viewer, parse_id},
    store::{listing, orders},
};

/// Some of a listing, and how to go on.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// `None` on the last page.
    pub(crate) next_cursor: Option<String>,
}

/// A listing of orders that was asked for.
#[derive(Debug)]
pub(crate) struct ListQuery<'a> {
    pub(crate) status: Option<Status>,
    /// Empty is nobody in particular.
    pub(crate) user_id: &'a str,
    pub(crate) refund_due: Option<bool>,
    pub(crate) limit: i32,
    /// Empty is the beginning.
    pub(crate) cursor: &'a str,
}

/// The last row of a page.
#[derive(Debug, Serialize, Deserialize)]
struct Position<T>(T);

impl Orders {
    pub(crate) async fn get(&self, viewer: Viewer, id: Uuid) -> Result<Order, Error> {
        orders::find(self.parts.database.reader(), id, viewer.owner()).await?.ok_or(Error::UnknownOrder)
    }

    /// Orders, newest first. A customer that names another user sees none.
    pub(crate) async fn list(&self, viewer: Viewer, query: &ListQuery<'_>) -> Result<Page<Order>, Error> {
        let mut invalid = Invalid::default();
        let limit = invalid.take("limit", page::limit(query.limit));
        let named = if query.user_id.is_empty() { Ok(None) } else { parse_id("user_id", query.user_id).map(Some) };
        let named = invalid.take("user_id", named.map_err(|_| "must be a UUID"));
        let (limit, named) = invalid.or(limit.zip(named))?;
        let owner = match (viewer.owner(), named) {
            (None, named) => named,
            (Some(own), None) => Some(own),
            (Some(own), Some(named)) if named == own => Some(own),
            (Some(_), Some(_)) => return Ok(Page { items: Vec::new(), next_cursor: None }),
        };
        let filter = Filter { owner, status: query.status, refund_due: query.refund_due };
        let scope = filter.scope(viewer);
        let before = self.open::<Uuid>(&scope, query.cursor)?;
        let found = listing::orders(self.parts.database.reader(), &filter, before, limit + 1).await?;
        Ok(self.page(found, limit, &scope, |order| order.id))
    }

    /// How an order came to be what it is, oldest first.
    pub(crate) async fn history(
        &self,
        viewer: Viewer,
        id: Uuid,
        limit: i32,
        cursor: &str,
    ) -> Result<Page<HistoryEntry>, Error> {
        let limit = page::limit(limit).map_err(|error| Invalid::field("limit", error))?;
        let scope = format!("history of={id} for={}", viewer.user_id);
        let after = self.open::<i64>(&scope, cursor)?.unwrap_or(0);
        let reader = self.parts.database.reader();
        orders::find(reader, id, viewer.owner()).await?.ok_or(Error::UnknownOrder)?;
        let found = listing::history(reader, id, after, limit + 1).await?;
        Ok(self.page(found, limit, &scope, |entry| entry.version))
    }

    fn open<T: serde::de::DeserializeOwned>(&self, scope: &str, cursor: &str) -> Result<Option<T>, Error> {
        if cursor.is_empty() {
            return Ok(None);
        }
        let Position(position) = self.parts.cursor_key.open(scope, cursor)?;
        Ok(Some(position))
    }

    /// A page of what was found, one row more than it takes when there is a next one.
    fn page<T, P: Serialize>(&self, mut found: Vec<T>, limit: u64, scope: &str, position: impl Fn(&T) -> P) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next_cursor = last.map(|last| self.parts.cursor_key.seal(scope, &Position(position(last))));
        Page { items: found, next_cursor }
    }
}
