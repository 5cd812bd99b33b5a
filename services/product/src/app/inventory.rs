//! Stock as staff and customers see it.

use std::{collections::HashMap, sync::Arc};

use sea_orm::ConnectionTrait;
use shop_storage::Database;
use shop_types::{Instant, Uuid, new_id};

use super::Error;
use crate::{
    domain::{Adjustment, AdjustmentError, AdjustmentRequest, Availability, Invalid, Stock},
    store::{inventory, products},
};

/// Products of one question for availability at most: a page of a listing.
const MAX_AVAILABILITIES: usize = 100;

/// The use cases of stock.
#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    database: Database,
}

impl Inventory {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// What can be bought, in the order asked for. Unknown ids, and texts that are no ids, are left out.
    pub(crate) async fn availability(&self, ids: &[String]) -> Result<Vec<Availability>, Error> {
        if !(1..=MAX_AVAILABILITIES).contains(&ids.len()) {
            let detail = format!("must have 1 to {MAX_AVAILABILITIES} entries");
            return Err(Invalid::field("/product_ids", detail).into());
        }
        let ids: Vec<Uuid> = ids.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
        let found = products::availabilities(self.database.reader(), ids.iter().copied()).await?;
        let mut found: HashMap<_, _> = found.into_iter().map(|found| (found.product_id, found)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    pub(crate) async fn stock(&self, product_id: Uuid) -> Result<Stock, Error> {
        inventory::find(self.database.reader(), product_id).await?.ok_or(Error::UnknownProduct)
    }

    /// Makes an adjustment once per key. True when it had been made before and nothing was changed now.
    pub(crate) async fn adjust(&self, request: AdjustmentRequest) -> Result<(Adjustment, bool), Error> {
        let request = Arc::new(request);
        let (id, now) = (new_id(), Instant::now());
        self.database
            .write(move |transaction| {
                let request = Arc::clone(&request);
                Box::pin(async move { adjust(transaction, &request, id, now).await })
            })
            .await
    }
}

/// The stock is locked before the key is looked up, so that two with one key come one after the other on any engine.
async fn adjust(
    connection: &impl ConnectionTrait,
    request: &AdjustmentRequest,
    id: Uuid,
    now: Instant,
) -> Result<(Adjustment, bool), Error> {
    let stock = inventory::find_locked(connection, request.product_id).await?.ok_or(Error::UnknownProduct)?;
    if let Some(made) = inventory::find_adjustment(connection, request.product_id, &request.key).await? {
        return if made.answers(request) { Ok((made, true)) } else { Err(Error::KeyReused) };
    }
    let stock = stock.adjusted(request.delta).map_err(|error| match error {
        AdjustmentError::BelowReserved(stock) => Error::InsufficientStock(stock),
        AdjustmentError::TooMuch => Error::Invalid(Invalid::field("/delta", error.to_string())),
    })?;
    let adjustment = request.made(id, now, stock);
    inventory::adjust(connection, request, &adjustment).await?;
    Ok((adjustment, false))
}
