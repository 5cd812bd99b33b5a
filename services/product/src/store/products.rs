//! Products and slugs.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, IntoActiveModel as _, JoinType, QueryFilter as _,
    QuerySelect as _, RelationTrait as _, SqlErr,
};
use shop_storage::{StorageError, insert_new};
use shop_types::{Currency, Instant, Money, Uuid};

use super::entity::{self, product, slug, stock};
use crate::domain::{Attributes, Availability, Product, ProductStatus, Slug};

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
            category_id: row.category_id,
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
            search_text: product.words().text(),
            category_id: product.category_id,
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

/// What became of a product that was to be stored. But for `Done`, the transaction is to be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    Done,
    /// A new one's SKU is another's.
    SkuTaken,
    /// The version before a changed one is no longer the present one.
    Stale,
    /// Its category is not, or no longer, there.
    UnknownCategory,
}

/// Adds a product. Its slug has to be claimed in the same transaction.
pub(crate) async fn insert(connection: &impl ConnectionTrait, product: &Product) -> Result<Stored, StorageError> {
    let row = product::Model::from(product).into_active_model();
    match insert_new(connection, product::Entity::insert(row)).await {
        Ok(true) => Ok(Stored::Done),
        Ok(false) => Ok(Stored::SkuTaken),
        Err(error) if names_nothing(&error) => Ok(Stored::UnknownCategory),
        Err(error) => Err(error),
    }
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

/// Whether a row would refer to one that is not there: of a product, only the category can.
fn names_nothing(error: &StorageError) -> bool {
    let StorageError::Database(error) = error else { return false };
    matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_)))
}

/// Stores the next version of a product.
pub(crate) async fn update(connection: &impl ConnectionTrait, product: &Product) -> Result<Stored, StorageError> {
    let mut row = product::Model::from(product).into_active_model().reset_all();
    row.id = NotSet;
    let updated = product::Entity::update_many()
        .set(row)
        .filter(product::Column::Id.eq(product.id))
        .filter(product::Column::Version.eq(product.version - 1))
        .exec(connection)
        .await
        .map_err(StorageError::from);
    match updated {
        Ok(updated) if updated.rows_affected == 1 => Ok(Stored::Done),
        Ok(_) => Ok(Stored::Stale),
        Err(error) if names_nothing(&error) => Ok(Stored::UnknownCategory),
        Err(error) => Err(error),
    }
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

/// Those of new products whose SKU or slug some product has already, by id.
pub(crate) async fn find_present<'a>(
    connection: &impl ConnectionTrait,
    new: impl Iterator<Item = &'a Product> + Clone,
) -> Result<HashSet<Uuid>, StorageError> {
    let skus: Vec<String> = product::Entity::find()
        .select_only()
        .column(product::Column::Sku)
        .filter(product::Column::Sku.is_in(new.clone().map(|product| product.sku.as_str())))
        .into_tuple()
        .all(connection)
        .await?;
    let slugs: Vec<String> = slug::Entity::find()
        .select_only()
        .column(slug::Column::Slug)
        .filter(slug::Column::Slug.is_in(new.clone().map(|product| product.slug.as_str())))
        .into_tuple()
        .all(connection)
        .await?;
    let (skus, slugs): (HashSet<_>, HashSet<_>) = (skus.into_iter().collect(), slugs.into_iter().collect());
    Ok(new.filter(|new| skus.contains(&new.sku) || slugs.contains(&new.slug)).map(|new| new.id).collect())
}

/// Adds products that none has the SKU or slug of, with their slugs.
pub(crate) async fn insert_all<'a>(
    connection: &impl ConnectionTrait,
    new: impl Iterator<Item = &'a Product> + Clone,
) -> Result<(), StorageError> {
    let rows = new.clone().map(|product| product::Model::from(product).into_active_model());
    product::Entity::insert_many(rows).exec_without_returning(connection).await?;
    let slugs = new.map(|new| slug::ActiveModel { slug: Set(new.slug.clone()), product_id: Set(new.id) });
    slug::Entity::insert_many(slugs).exec_without_returning(connection).await?;
    Ok(())
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
pub(super) fn buyable(product_id: Uuid, available: i64, status: product::Status) -> Availability {
    let available = match status {
        product::Status::Active => available,
        product::Status::Archived => 0,
    };
    Availability { product_id, available }
}
