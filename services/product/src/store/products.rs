//! Products and slugs.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, IntoActiveModel as _, JoinType, Order,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, RelationTrait as _, Select, Value,
};
use shop_storage::{StorageError, insert_new};
use shop_types::{Currency, Instant, Money, Uuid};

use super::entity::{self, product, slug, stock};
use crate::domain::{Attributes, Availability, Filter, Position, Product, ProductStatus, Slug, Sort, SortKey};

impl From<ProductStatus> for product::Status {
    fn from(status: ProductStatus) -> Self {
        match status {
            ProductStatus::Active => Self::Active,
            ProductStatus::Archived => Self::Archived,
        }
    }
}

impl From<product::Status> for ProductStatus {
    fn from(status: product::Status) -> Self {
        match status {
            product::Status::Active => Self::Active,
            product::Status::Archived => Self::Archived,
        }
    }
}

impl TryFrom<product::Model> for Product {
    type Error = DbErr;

    fn try_from(row: product::Model) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id,
            sku: row.sku,
            slug: row.slug,
            name: row.name,
            description: row.description,
            price: money(row.price_amount, &row.price_currency)?,
            attributes: Attributes::stored(row.attributes.0),
            image_url: row.image_url,
            status: row.status.into(),
            version: row.version,
            created_at: Instant::from_micros(row.created_at),
            updated_at: Instant::from_micros(row.updated_at),
        })
    }
}

impl From<&Product> for product::Model {
    fn from(product: &Product) -> Self {
        Self {
            id: product.id,
            sku: product.sku.clone(),
            slug: product.slug.clone(),
            name: product.name.clone(),
            sort_name: product.sort_name(),
            description: product.description.clone(),
            price_amount: product.price.amount(),
            price_currency: product.price.currency().as_str().to_owned(),
            attributes: entity::Attributes(product.attributes.clone().into_map()),
            image_url: product.image_url.clone(),
            status: product.status.into(),
            version: product.version,
            created_at: product.created_at.as_micros(),
            updated_at: product.updated_at.as_micros(),
        }
    }
}

pub(super) fn money(amount: i64, currency: &str) -> Result<Money, DbErr> {
    let currency: Currency = currency.parse().map_err(|error| DbErr::Type(format!("stored currency: {error}")))?;
    Ok(Money::new(amount, currency))
}

/// Adds a product; false when its SKU is taken. Its slug has to be claimed in the same transaction.
pub(crate) async fn insert(connection: &impl ConnectionTrait, product: &Product) -> Result<bool, StorageError> {
    let row = product::Model::from(product).into_active_model();
    insert_new(connection, product::Entity::insert(row)).await
}

/// Makes a slug the product's for ever; false when it is, or ever was, another's.
pub(crate) async fn claim_slug(
    connection: &impl ConnectionTrait,
    slug: &str,
    product_id: Uuid,
) -> Result<bool, StorageError> {
    if let Some(taken) = slug::Entity::find_by_id(slug.to_owned()).one(connection).await? {
        return Ok(taken.product_id == product_id);
    }
    let row = slug::ActiveModel { slug: Set(slug.to_owned()), product_id: Set(product_id) };
    insert_new(connection, slug::Entity::insert(row)).await
}

/// Stores the next version of a product; false when `product.version - 1` is no longer the present one.
pub(crate) async fn update(connection: &impl ConnectionTrait, product: &Product) -> Result<bool, StorageError> {
    let mut row = product::Model::from(product).into_active_model().reset_all();
    row.id = NotSet;
    let updated = product::Entity::update_many()
        .set(row)
        .filter(product::Column::Id.eq(product.id))
        .filter(product::Column::Version.eq(product.version - 1))
        .exec(connection)
        .await?;
    Ok(updated.rows_affected == 1)
}

pub(crate) async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Product>, StorageError> {
    let row = product::Entity::find_by_id(id).one(connection).await?;
    Ok(row.map(Product::try_from).transpose()?)
}

/// The product, locked until the transaction ends where rows have locks.
pub(crate) async fn find_locked(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Product>, StorageError> {
    let row = product::Entity::find_by_id(id).lock_exclusive().one(connection).await?;
    Ok(row.map(Product::try_from).transpose()?)
}

pub(crate) async fn find_by_slug(
    connection: &impl ConnectionTrait,
    slug: &Slug,
) -> Result<Option<Product>, StorageError> {
    let row = product::Entity::find().filter(product::Column::Slug.eq(slug.as_str())).one(connection).await?;
    Ok(row.map(Product::try_from).transpose()?)
}

/// Whether some product has the SKU.
pub(crate) async fn has_sku(connection: &impl ConnectionTrait, sku: &str) -> Result<bool, StorageError> {
    let found: Option<Uuid> = product::Entity::find()
        .select_only()
        .column(product::Column::Id)
        .filter(product::Column::Sku.eq(sku))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(found.is_some())
}

/// The currency of the catalogue, if it has a product: all are of one.
pub(crate) async fn currency(connection: &impl ConnectionTrait) -> Result<Option<Currency>, StorageError> {
    let code: Option<String> = product::Entity::find()
        .select_only()
        .column(product::Column::PriceCurrency)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(code.map(|code| money(0, &code)).transpose()?.map(Money::currency))
}

/// At most `limit` products after a position, with what can be bought of each when asked for.
pub(crate) async fn list(
    connection: &impl ConnectionTrait,
    filter: &Filter,
    sort: Sort,
    after: Option<&Position>,
    limit: u64,
    with_availability: bool,
) -> Result<Vec<(Product, Option<Availability>)>, StorageError> {
    let mut query = product::Entity::find().filter(product::Column::Status.eq(product::Status::from(filter.status())));
    if let Some(min) = filter.min_price() {
        query = query.filter(product::Column::PriceAmount.gte(min));
    }
    if let Some(max) = filter.max_price() {
        query = query.filter(product::Column::PriceAmount.lte(max));
    }
    if with_availability || filter.in_stock().is_some() {
        query = query.join(JoinType::InnerJoin, product::Relation::Stock.def());
    }
    match (filter.status(), filter.in_stock()) {
        (_, None) | (ProductStatus::Archived, Some(false)) => {}
        (ProductStatus::Active, Some(true)) => query = query.filter(stock::Column::Available.gt(0)),
        (ProductStatus::Active, Some(false)) => query = query.filter(stock::Column::Available.eq(0)),
        // Nothing archived can be bought.
        (ProductStatus::Archived, Some(true)) => return Ok(Vec::new()),
    }
    let query = page(query, sort, after).limit(limit);
    if !with_availability {
        let rows = query.all(connection).await?;
        return rows.into_iter().map(|row| Ok((Product::try_from(row)?, None))).collect();
    }
    let rows = query.select_also(stock::Entity).all(connection).await?;
    rows.into_iter()
        .map(|(row, stock)| {
            let availability = stock.map(|stock| buyable(row.id, stock.available, row.status));
            Ok((Product::try_from(row)?, availability))
        })
        .collect()
}

/// Orders a listing and begins it after a position. The first comparison, which the second implies, is what an index
/// can be searched by.
fn page(query: Select<product::Entity>, sort: Sort, after: Option<&Position>) -> Select<product::Entity> {
    let (column, order) = match sort {
        Sort::Newest => (product::Column::CreatedAt, Order::Desc),
        Sort::PriceAscending => (product::Column::PriceAmount, Order::Asc),
        Sort::PriceDescending => (product::Column::PriceAmount, Order::Desc),
        Sort::Name => (product::Column::SortName, Order::Asc),
    };
    let query = query.order_by(column, order.clone()).order_by(product::Column::Id, order.clone());
    let Some(Position { key, id }) = after else { return query };
    let key = match key {
        SortKey::Number(number) => Value::from(*number),
        SortKey::Text(text) => Value::from(text.clone()),
    };
    let (at_or_after, beyond, id_beyond) = if order == Order::Asc {
        (column.gte(key.clone()), column.gt(key), product::Column::Id.gt(*id))
    } else {
        (column.lte(key.clone()), column.lt(key), product::Column::Id.lt(*id))
    };
    query.filter(at_or_after).filter(Condition::any().add(beyond).add(id_beyond))
}

/// What can be bought of each of the products, in no order; unknown ids are left out.
pub(crate) async fn availabilities(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Availability>, StorageError> {
    let rows: Vec<(Uuid, i64, product::Status)> = stock::Entity::find()
        .select_only()
        .column(stock::Column::ProductId)
        .column(stock::Column::Available)
        .column(product::Column::Status)
        .join(JoinType::InnerJoin, stock::Relation::Product.def())
        .filter(stock::Column::ProductId.is_in(ids))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|(product_id, available, status)| buyable(product_id, available, status)).collect())
}

/// A product that [`find_orderable`] found: what a reservation keeps of it.
pub(crate) struct Orderable {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) price: Money,
}

/// Those of the products that can be ordered; unknown and archived ones are left out.
pub(crate) async fn find_orderable(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Orderable>, StorageError> {
    let rows: Vec<(Uuid, String, String, i64, String)> = product::Entity::find()
        .select_only()
        .columns([
            product::Column::Id,
            product::Column::Sku,
            product::Column::Name,
            product::Column::PriceAmount,
            product::Column::PriceCurrency,
        ])
        .filter(product::Column::Id.is_in(ids))
        .filter(product::Column::Status.eq(product::Status::Active))
        .into_tuple()
        .all(connection)
        .await?;
    rows.into_iter()
        .map(|(id, sku, name, amount, currency)| Ok((id, Orderable { sku, name, price: money(amount, &currency)? })))
        .collect()
}

/// Nothing archived can be bought, whatever is in the warehouse.
fn buyable(product_id: Uuid, available: i64, status: product::Status) -> Availability {
    let available = match status {
        product::Status::Active => available,
        product::Status::Archived => 0,
    };
    Availability { product_id, available }
}
