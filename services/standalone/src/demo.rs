//! The demo catalogue: some dozens of products in a tree of categories, the same at every start, and as many more as are
//! wanted, made of words.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;
use shop_product::{SeedCategory, SeedProduct};

const CATALOGUE: &str = include_str!("../demo/catalogue.json");

/// What generated products are called: each a quality, a material and a thing, whose category is beside it.
const QUALITIES: [&str; 16] = [
    "Plain", "Blue", "Green", "Grey", "White", "Amber", "Small", "Large", "Tall", "Round", "Light", "Heavy", "Matte",
    "Glazed", "Travel", "Everyday",
];
const MATERIALS: [&str; 12] =
    ["oak", "beech", "steel", "copper", "iron", "glass", "stoneware", "porcelain", "linen", "wool", "cork", "bamboo"];
const THINGS: [(&str, &str); 15] = [
    ("mug", "tableware"),
    ("bowl", "tableware"),
    ("teapot", "tableware"),
    ("jug", "tableware"),
    ("plate", "tableware"),
    ("dripper", "brewing"),
    ("kettle", "brewing"),
    ("canister", "brewing"),
    ("pan", "cookware"),
    ("spoon", "cookware"),
    ("board", "cookware"),
    ("tray", "living"),
    ("lamp", "living"),
    ("vase", "living"),
    ("pen holder", "stationery"),
];

/// What there is at the first start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Parents before children.
    categories: Vec<Category>,
    products: Vec<Line>,
}

/// A category of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Category {
    slug: String,
    name: String,
    parent: String,
}

/// A line of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sku: String,
    slug: String,
    name: String,
    description: String,
    category: String,
    /// Minor units of the shop's currency.
    price: i64,
    stock: i64,
    attributes: BTreeMap<String, String>,
}

/// A catalogue as the product service takes it.
pub(crate) struct Catalogue {
    pub(crate) categories: Vec<SeedCategory>,
    products: Vec<SeedProduct>,
}

/// The catalogue of every start.
pub(crate) fn catalogue() -> anyhow::Result<Catalogue> {
    let Document { categories, products } =
        serde_json::from_str(CATALOGUE).context("the demo catalogue can't be read")?;
    let categories = categories.into_iter().map(|Category { slug, name, parent }| SeedCategory { slug, name, parent });
    Ok(Catalogue { categories: categories.collect(), products: products.into_iter().map(SeedProduct::from).collect() })
}

impl Catalogue {
    /// Its products, and after them generated ones up to `count`.
    pub(crate) fn products(self, count: usize) -> impl Iterator<Item = SeedProduct> {
        let generated = count.saturating_sub(self.products.len());
        self.products.into_iter().chain((0..generated).map(generated_product))
    }
}

impl From<Line> for SeedProduct {
    fn from(line: Line) -> Self {
        Self {
            sku: line.sku,
            slug: line.slug,
            name: line.name,
            description: line.description,
            category: line.category,
            price: line.price,
            stock: line.stock,
            attributes: line.attributes.into_iter().collect(),
            image_url: String::new(),
        }
    }
}

/// The generated product of a number, always the same.
fn generated_product(number: usize) -> SeedProduct {
    let (thing, category) = THINGS[number % THINGS.len()];
    let material = MATERIALS[number / THINGS.len() % MATERIALS.len()];
    let quality = QUALITIES[number / (THINGS.len() * MATERIALS.len()) % QUALITIES.len()];
    let name = format!("{quality} {material} {thing}, no. {number}");
    // Spread without a pattern that an order of the listing could follow: the multiplier has no factor in common.
    let spread = i64::try_from(number % 100_000).unwrap_or_default() * 7_919 % 100_000;
    SeedProduct {
        sku: format!("GEN-{number:07}"),
        slug: format!("{quality}-{material}-{thing}-{number}").to_lowercase().replace(' ', "-"),
        description: format!("A {thing} of {material}, made for trying out how a large catalogue feels."),
        category: category.to_owned(),
        price: 100 + spread,
        stock: spread % 50,
        attributes: vec![("material".to_owned(), material.to_owned())],
        image_url: String::new(),
        name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_larger_catalogue_goes_on_where_a_smaller_one_ends_and_names_nothing_twice() {
        let all: Vec<_> = catalogue().unwrap().products(10_000).collect();
        assert_eq!(all.len(), 10_000);
        let fewer: Vec<_> = catalogue().unwrap().products(100).collect();
        assert!(fewer.iter().zip(&all).all(|(fewer, all)| fewer.sku == all.sku));
        for of in [|product: &SeedProduct| product.sku.clone(), |product: &SeedProduct| product.slug.clone()] {
            assert_eq!(all.iter().map(of).collect::<HashSet<_>>().len(), all.len());
        }
        let categories: HashSet<_> =
            catalogue().unwrap().categories.into_iter().map(|category| category.slug).collect();
        assert!(all.iter().all(|product| categories.contains(&product.category)));
        assert_eq!(catalogue().unwrap().products(0).count(), 48, "the demo's own are always there");
    }
}
