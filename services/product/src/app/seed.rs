//! A first catalogue for a new shop.

use std::sync::Arc;

use futures::future;
use shop_storage::{Database, StorageError};
use shop_types::{Currency, Instant, new_id};

use super::{Error, catalogue, inventory};
use crate::{
    domain::{AdjustmentRequest, NewProduct, Product, RawProduct},
    store::products,
};

/// Who the ledger names for stock that came with a product.
const ACTOR: &str = "seed";
/// The key of that adjustment; a product is seeded once.
const KEY: &str = "seed";
/// Its reason.
const REASON: &str = "Initial stock";

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
    /// A product breaks a rule.
    #[error("the product {sku} can't be made: {reason}")]
    Product {
        /// Which one.
        sku: String,
        /// The rules it breaks, or what is in its way.
        reason: String,
    },
    /// The database failed.
    #[error("the catalogue can't be stored")]
    Storage(#[source] StorageError),
}

/// Makes those of the products that are not there yet, each with its stock in one transaction. A repeat changes nothing.
pub async fn seed(database: &Database, currency: Currency, catalogue: &[SeedProduct]) -> Result<Seeded, SeedError> {
    // All at once: writes that wait together are committed together.
    let made = future::try_join_all(catalogue.iter().map(|product| seed_one(database, currency, product))).await?;
    let created = made.iter().filter(|&&created| created).count();
    Ok(Seeded { created, present: made.len() - created })
}

async fn seed_one(database: &Database, currency: Currency, seed: &SeedProduct) -> Result<bool, SeedError> {
    let refused = |reason: String| SeedError::Product { sku: seed.sku.clone(), reason };
    let now = Instant::now();
    let raw = RawProduct {
        sku: &seed.sku,
        slug: &seed.slug,
        name: &seed.name,
        description: &seed.description,
        price: Some((seed.price, currency.as_str())),
        attributes: seed.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        image_url: &seed.image_url,
    };
    let product = NewProduct::parse(&raw, currency).map_err(|invalid| refused(invalid.to_string()))?;
    let product = Arc::new(product.into_product(new_id(), now));
    let stock = match seed.stock {
        0 => None,
        pieces => {
            let request = AdjustmentRequest::parse(product.id, pieces, REASON, KEY, ACTOR.to_owned());
            Some(Arc::new(request.map_err(|invalid| refused(invalid.to_string()))?))
        }
    };
    let made = database
        .write(move |transaction| {
            let (product, stock): (Arc<Product>, Option<Arc<AdjustmentRequest>>) = (product.clone(), stock.clone());
            Box::pin(async move {
                if products::has_sku(transaction, &product.sku).await? {
                    return Ok(false);
                }
                catalogue::insert(transaction, &product).await?;
                if let Some(stock) = stock {
                    inventory::adjust(transaction, &stock, new_id(), now).await?;
                }
                Ok(true)
            })
        })
        .await;
    match made {
        Ok(created) => Ok(created),
        Err(Error::SlugTaken) => Ok(false),
        Err(Error::Storage(error)) => Err(SeedError::Storage(error)),
        Err(error) => Err(refused(error.to_string())),
    }
}
