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
        Availability, Filter, Invalid, Key, NewProduct, Position, Product, ProductChange, ProductStatus, RawChange,
        RawProduct, Sort, Tree, UNKNOWN_CATEGORY,
    },
    store::{
        categories, inventory,
        listing::{self, Listing},
        products::{self, Stored},
    },
};

/// The use cases of the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    database: Database,
    cursors: CursorKey,
    currency: Currency,
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
        let categories = match filter.category() {
            None => None,
            Some(category) => Some(self.with_descendants(category).await?),
        };
        let listing = Listing {
            filter: &filter,
            categories: categories.as_deref(),
            sort,
            after: after.as_ref(),
            limit: limit + 1,
            with_availability,
        };
        let mut products = listing::list(reader, listing).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = products.len() > limit;
        products.truncate(limit);
        let last = products.last().filter(|_| more);
        let next_cursor = last.map(|(product, _)| self.cursors.seal(&scope, &Position::of(product, sort)));
        Ok(Page { products, next_cursor })
    }

    /// A category and all below it, by id or slug; none when it is not there.
    async fn with_descendants(&self, category: &str) -> Result<Vec<Uuid>, Error> {
        let Some(key) = Key::parse(category) else { return Ok(Vec::new()) };
        let Some(category) = categories::find(self.database.reader(), &key).await? else { return Ok(Vec::new()) };
        let tree = Tree::new(categories::links(self.database.reader()).await?);
        Ok(tree.with_descendants(category.id))
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
                    settle(products::update(transaction, &next).await?, &next)?;
                    Ok(next)
                })
            })
            .await
    }
}

/// Adds a product with its slug and an empty stock.
async fn insert(connection: &impl ConnectionTrait, product: &Product) -> Result<(), Error> {
    settle(products::insert(connection, product).await?, product)?;
    if !products::claim_slug(connection, &product.slug, product.id).await? {
        return Err(Error::SlugTaken);
    }
    inventory::insert_all(connection, std::iter::once((product.id, None))).await?;
    Ok(())
}

fn settle(stored: Stored, product: &Product) -> Result<(), Error> {
    match stored {
        Stored::Done => Ok(()),
        Stored::SkuTaken => Err(Error::SkuTaken),
        Stored::Stale => Err(Error::StaleVersion { present: product.version }),
        Stored::UnknownCategory => Err(Invalid::field("/category_id", UNKNOWN_CATEGORY).into()),
    }
}
