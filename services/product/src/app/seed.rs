//! A first catalogue for a new shop, of any size.

use std::{collections::HashMap, fmt::Display, sync::Arc};

use shop_storage::{Database, StorageError};
use shop_types::{Currency, Instant, Uuid, new_id};

use super::{Error, categories};
use crate::{
    domain::{Adjustment, AdjustmentRequest, Key, NewCategory, NewProduct, Product, RawProduct, Stock},
    store::{self, inventory, products},
};

/// Who the ledger names for stock that came with a product.
const ACTOR: &str = "seed";
/// The key of that adjustment; a product is seeded once.
const KEY: &str = "seed";
/// Its reason.
const REASON: &str = "Initial stock";
/// Products of one write: enough that its statements and its flush are few for each, and others still wait for it only
/// for an instant.
const BATCH: usize = 250;

/// A category to begin with.
#[derive(Debug, Clone, Default)]
pub struct SeedCategory {
    /// Its name in URLs; a category that is there under it is left as it is.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The slug of the one above it, which comes before it; empty for one at the top.
    pub parent: String,
}

/// A product to begin with. The rules of the API hold for it.
#[derive(Debug, Clone, Default)]
pub struct SeedProduct {
    /// Stock-keeping unit; a product that is there under it is left as it is.
    pub sku: String,
    /// Its name in URLs.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// More about it; may be empty.
    pub description: String,
    /// The slug of its category; may be empty.
    pub category: String,
    /// In minor units of the shop's currency.
    pub price: i64,
    /// Facts by name.
    pub attributes: Vec<(String, String)>,
    /// Where a picture is; may be empty.
    pub image_url: String,
    /// Pieces on hand.
    pub stock: i64,
}

/// What seeding came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seeded {
    /// Products that were made.
    pub created: usize,
    /// Products that were there already, by their SKU or slug.
    pub present: usize,
}

/// Why a catalogue can't be seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A category or product breaks a rule.
    #[error("{what} can't be made: {reason}")]
    Refused {
        /// Which one, or which of several.
        what: String,
        /// The rules it breaks, or what is in its way.
        reason: String,
    },
    /// The database failed.
    #[error("the catalogue can't be stored")]
    Storage(#[source] StorageError),
}

impl From<StorageError> for SeedError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

fn refused(what: &str, slug_or_sku: &str, reason: &dyn Display) -> SeedError {
    SeedError::Refused { what: format!("{what} {slug_or_sku}"), reason: reason.to_string() }
}

/// Makes those of the categories and products that are not there yet, a batch of products with their stock in one
/// transaction. A repeat changes nothing.
pub async fn seed(
    database: &Database,
    currency: Currency,
    categories: &[SeedCategory],
    products: impl IntoIterator<Item = SeedProduct>,
) -> Result<Seeded, SeedError> {
    let mut ids = HashMap::new();
    for category in categories {
        let id = seed_category(database, category, &ids).await?;
        ids.insert(category.slug.as_str(), id);
    }
    let mut seeded = Seeded::default();
    let mut products = products.into_iter();
    loop {
        let batch: Vec<_> =
            products.by_ref().take(BATCH).map(|seed| product(&seed, currency, &ids)).collect::<Result<_, _>>()?;
        let count = batch.len();
        if count == 0 {
            return Ok(seeded);
        }
        let created = insert(database, batch).await?;
        seeded.created += created;
        seeded.present += count - created;
    }
}

async fn seed_category(database: &Database, seed: &SeedCategory, ids: &HashMap<&str, Uuid>) -> Result<Uuid, SeedError> {
    let refused = |reason: &dyn Display| refused("the category", &seed.slug, reason);
    let parent = match ids.get(seed.parent.as_str()) {
        Some(id) => id.to_string(),
        None if seed.parent.is_empty() => String::new(),
        None => return Err(refused(&format_args!("{} does not come before it", seed.parent))),
    };
    let category = NewCategory::parse(&seed.slug, &seed.name, &parent).map_err(|invalid| refused(&invalid))?;
    if let Some(key) = Key::parse_slug(&seed.slug)
        && let Some(present) = store::categories::find(database.reader(), &key).await?
    {
        return Ok(present.id);
    }
    let category = Arc::new(category.into_category(new_id()));
    let id = category.id;
    let made = database
        .write(move |transaction| {
            let category = Arc::clone(&category);
            Box::pin(async move { categories::insert(transaction, &category).await })
        })
        .await;
    match made {
        Ok(()) => Ok(id),
        Err(Error::Storage(error)) => Err(error.into()),
        Err(error) => Err(refused(&error)),
    }
}

/// A checked product with its first stock.
struct Checked {
    product: Product,
    stock: Option<(AdjustmentRequest, Adjustment)>,
}

fn product(seed: &SeedProduct, currency: Currency, categories: &HashMap<&str, Uuid>) -> Result<Checked, SeedError> {
    let refused = |reason: &dyn Display| refused("the product", &seed.sku, reason);
    let now = Instant::now();
    let category_id = match categories.get(seed.category.as_str()) {
        Some(id) => id.to_string(),
        None if seed.category.is_empty() => String::new(),
        None => return Err(refused(&format_args!("there is no category {}", seed.category))),
    };
    let raw = RawProduct {
        sku: &seed.sku,
        slug: &seed.slug,
        name: &seed.name,
        description: &seed.description,
        category_id: &category_id,
        price: Some((seed.price, currency.as_str())),
        attributes: seed.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        image_url: &seed.image_url,
    };
    let product = NewProduct::parse(&raw, currency).map_err(|invalid| refused(&invalid))?;
    let product = product.into_product(new_id(), now);
    let stock = match seed.stock {
        0 => None,
        pieces => {
            let request = AdjustmentRequest::parse(product.id, pieces, REASON, KEY, ACTOR.to_owned())
                .map_err(|invalid| refused(&invalid))?;
            let stock = Stock::EMPTY.adjusted(pieces).map_err(|error| refused(&error))?;
            let adjustment = request.made(new_id(), now, stock);
            Some((request, adjustment))
        }
    };
    Ok(Checked { product, stock })
}

/// How many of them were not there yet and are now.
async fn insert(database: &Database, batch: Vec<Checked>) -> Result<usize, SeedError> {
    let skus = match batch.as_slice() {
        [first, .., last] => format!("{} to {}", first.product.sku, last.product.sku),
        few => few.iter().map(|checked| checked.product.sku.as_str()).collect(),
    };
    let batch = Arc::new(batch);
    let made = database
        .write(move |transaction| {
            let batch = Arc::clone(&batch);
            Box::pin(async move {
                let all = batch.iter().map(|checked| &checked.product);
                let present = products::find_present(transaction, all).await?;
                let missing: Vec<_> = batch.iter().filter(|checked| !present.contains(&checked.product.id)).collect();
                if missing.is_empty() {
                    return Ok(0);
                }
                products::insert_all(transaction, missing.iter().map(|checked| &checked.product)).await?;
                let stocks = missing.iter().map(|checked| (checked.product.id, checked.stock.as_ref()));
                inventory::insert_all(transaction, stocks).await?;
                Ok::<_, StorageError>(missing.len())
            })
        })
        .await;
    made.map_err(|error| match error {
        error if error.is_unique_violation() => refused("one of", &skus, &"its SKU or slug is another's"),
        error => SeedError::Storage(error),
    })
}
