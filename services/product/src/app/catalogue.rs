//! Products: listing, finding, making and changing them.

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use shop_storage::{
    Database,
    page::{self, CursorKey},
};
use shop_types::{Currency, Instant, Uuid, new_id};

use super::Error;
use crate::{
    domain::{
        Availability, Filter, Invalid, NewProduct, Position, Product, ProductChange, ProductStatus, RawChange,
        RawProduct, Slug, Sort,
    },
    store::{inventory, products},
};

/// The use cases of the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    database: Database,
    cursors: CursorKey,
    currency: Currency,
}

/// How a product is found.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    Id(Uuid),
    Slug(Slug),
}

/// A page of a listing, as asked for.
#[derive(Debug, Clone)]
pub(crate) struct ListQuery<'a> {
    pub(crate) filter: Filter,
    pub(crate) sort: Sort,
    /// 0 when not given.
    pub(crate) limit: i32,
    /// Empty for the first page.
    pub(crate) cursor: &'a str,
    pub(crate) with_availability: bool,
}

/// A page of a listing.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) products: Vec<(Product, Option<Availability>)>,
    /// None on the last page.
    pub(crate) next_cursor: Option<String>,
}

impl Catalogue {
    pub(crate) fn new(database: Database, cursors: CursorKey, currency: Currency) -> Self {
        Self { database, cursors, currency }
    }

    /// Who may see a listing is asked before anything else of the request is.
    pub(crate) fn may_list(status: ProductStatus, is_staff: bool) -> Result<(), Error> {
        match status {
            ProductStatus::Archived if !is_staff => Err(Error::ArchivedForStaff),
            ProductStatus::Archived | ProductStatus::Active => Ok(()),
        }
    }

    pub(crate) async fn list(&self, query: ListQuery<'_>) -> Result<Page, Error> {
        let ListQuery { filter, sort, limit, cursor, with_availability } = query;
        let limit = page::limit(limit).map_err(|error| Invalid::field("limit", error.to_string()))?;
        let scope = filter.scope(sort);
        let after: Option<Position> = if cursor.is_empty() { None } else { Some(self.cursors.open(&scope, cursor)?) };
        // One more than asked for tells whether there is a next page.
        let reader = self.database.reader();
        let mut products = products::list(reader, &filter, sort, after.as_ref(), limit + 1, with_availability).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = products.len() > limit;
        products.truncate(limit);
        let last = products.last().filter(|_| more);
        let next_cursor = last.map(|(product, _)| self.cursors.seal(&scope, &Position::of(product, sort)));
        Ok(Page { products, next_cursor })
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Product, Error> {
        let found = match key {
            Key::Id(id) => products::find(self.database.reader(), *id).await?,
            Key::Slug(slug) => products::find_by_slug(self.database.reader(), slug).await?,
        };
        found.ok_or(Error::UnknownProduct)
    }

    pub(crate) async fn create(&self, raw: &RawProduct<'_>) -> Result<Product, Error> {
        let product = Arc::new(NewProduct::parse(raw, self.currency)?.into_product(new_id(), Instant::now()));
        self.database
            .write(move |transaction| {
                let product = Arc::clone(&product);
                Box::pin(async move {
                    insert(transaction, &product).await?;
                    Ok(Product::clone(&product))
                })
            })
            .await
    }

    pub(crate) async fn update(&self, id: Uuid, expected: i64, raw: &RawChange<'_>) -> Result<Product, Error> {
        let change = ProductChange::parse(raw, self.currency)?;
        self.change(id, expected, change).await
    }

    /// Archiving what is archived already changes nothing.
    pub(crate) async fn archive(&self, id: Uuid, expected: i64) -> Result<Product, Error> {
        self.change(id, expected, ProductChange::archive()).await
    }

    async fn change(&self, id: Uuid, expected: i64, change: ProductChange) -> Result<Product, Error> {
        let now = Instant::now();
        self.database
            .write(move |transaction| {
                let change = change.clone();
                Box::pin(async move {
                    let present = products::find_locked(transaction, id).await?.ok_or(Error::UnknownProduct)?;
                    if present.version != expected {
                        return Err(Error::StaleVersion { present: present.version });
                    }
                    let next = change.apply(&present, now)?;
                    if next == present {
                        return Ok(next);
                    }
                    if next.slug != present.slug && !products::claim_slug(transaction, &next.slug, id).await? {
                        return Err(Error::SlugTaken);
                    }
                    if !products::update(transaction, &next).await? {
                        return Err(Error::StaleVersion { present: next.version });
                    }
                    Ok(next)
                })
            })
            .await
    }
}

/// Adds a product with its slug and an empty stock.
pub(super) async fn insert(connection: &impl ConnectionTrait, product: &Product) -> Result<(), Error> {
    if !products::insert(connection, product).await? {
        return Err(Error::SkuTaken);
    }
    if !products::claim_slug(connection, &product.slug, product.id).await? {
        return Err(Error::SlugTaken);
    }
    inventory::insert_empty(connection, product.id).await?;
    Ok(())
}
