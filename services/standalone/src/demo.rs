//! The demo catalogue: some dozens of products with stock, the same at every start.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;
use shop_product::SeedProduct;

const CATALOGUE: &str = include_str!("../demo/catalogue.json");

/// A line of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sku: String,
    slug: String,
    name: String,
    description: String,
    /// Minor units of the shop's currency.
    price: i64,
    stock: i64,
    attributes: BTreeMap<String, String>,
}

/// The catalogue as the product service takes it.
pub(crate) fn catalogue() -> anyhow::Result<Vec<SeedProduct>> {
    let lines: Vec<Line> = serde_json::from_str(CATALOGUE).context("the demo catalogue can't be read")?;
    Ok(lines.into_iter().map(SeedProduct::from).collect())
}

impl From<Line> for SeedProduct {
    fn from(line: Line) -> Self {
        Self {
            sku: line.sku,
            slug: line.slug,
            name: line.name,
            description: line.description,
            category: String::new(),
            price: line.price,
            stock: line.stock,
            attributes: line.attributes.into_iter().collect(),
            image_url: String::new(),
        }
    }
}
