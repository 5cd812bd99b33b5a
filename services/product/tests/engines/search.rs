//! Searches: what words find, alone and with every filter.

use shop_proto::{
    product::{self as proto, ProductSort, ProductStatus},
    status::Reason,
};

use crate::harness::{Shop, answer, new_product, pointers, reason, usd};

/// A shop with a few products that have words in every place.
async fn stocked() -> Shop {
    let shop = Shop::open().await;
    let products = [
        ("mug", "MUG-BLUE-350", "Blue Mug", "Holds 350 ml. For tea and for the men's coffee."),
        ("cup", "CUP-1", "Crème brûlée cup", "A cup, and nothing else; 50% off * (today)"),
        ("tea", "TEA-A-1", "Green tea", "Straße im Frühling: a tea to be."),
        ("cup-of-tea", "SET-7", "Cups of tea", "日本茶 for two berries_and a_b"),
    ];
    for (slug, sku, name, description) in products {
        let request = proto::CreateProductRequest {
            sku: sku.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            ..new_product(slug, 1)
        };
        shop.create(request).await.unwrap();
    }
    shop
}

async fn find(shop: &Shop, words: &str) -> Vec<String> {
    let request = proto::ListProductsRequest { q: words.to_owned(), limit: 2, ..Default::default() };
    let mut found = shop.list_all(&request).await;
    found.sort_unstable();
    found
}

#[tokio::test]
async fn all_words_are_found_wherever_they_are() {
    let shop = stocked().await;
    let all = ["cup", "cup-of-tea", "mug", "tea"];
    let expected: &[(&str, &[&str])] = &[
        ("tea", &["cup-of-tea", "mug", "tea"]),
        ("TEA green", &["tea"]),
        ("tea coffee", &["mug"]),
        ("tea mars", &[]),
        // In the SKU, whole and in parts.
        ("MUG-BLUE-350", &["mug"]),
        ("mug 350", &["mug"]),
        ("set 7", &["cup-of-tea"]),
        // Case, diacritics, apostrophes, plurals.
        ("CREME BRULEE", &["cup"]),
        ("crème brûlée", &["cup"]),
        ("STRASSE fruhling", &["tea"]),
        ("mens", &["mug"]),
        ("men\u{2019}s", &["mug"]),
        ("cups", &["cup", "cup-of-tea"]),
        ("mugs", &["mug"]),
        ("berry", &["cup-of-tea"]),
        ("茶", &["cup-of-tea"]),
        ("日本", &["cup-of-tea"]),
        // Short words and words that are everywhere count.
        ("a", &["cup", "cup-of-tea", "tea"]),
        ("1", &["cup", "tea"]),
        ("to be", &["tea"]),
        ("to be or", &[]),
        ("the", &["mug"]),
        ("of", &["cup-of-tea"]),
        ("for", &["cup-of-tea", "mug"]),
        // No part of a word is the word.
        ("te", &[]),
        ("ea", &[]),
        ("cupoftea", &[]),
        // Without a word everything is found.
        ("", &all),
        (" ?! ", &all),
        ("\0", &all),
    ];
    for (words, slugs) in expected {
        assert_eq!(find(&shop, words).await, *slugs, "{words}");
    }
    shop.close().await;
}

#[tokio::test]
async fn no_engines_operators_leak_through() {
    let shop = stocked().await;
    let tea = ["cup-of-tea", "mug", "tea"];
    let expected: &[(&str, &[&str])] = &[
        ("te*", &[]),
        ("tea*", &tea),
        ("%", &["cup", "cup-of-tea", "mug", "tea"]),
        ("t%a", &[]),
        ("t_a", &[]),
        ("a_b", &["cup-of-tea"]),
        ("-tea", &tea),
        ("+tea -green", &["tea"]),
        ("!tea", &tea),
        ("tea | mug", &["mug"]),
        ("tea & green", &["tea"]),
        ("\"tea green\"", &["tea"]),
        ("\"tea", &tea),
        ("tea' --", &tea),
        ("tea:*", &tea),
        ("tea:B", &["cup-of-tea"]),
        ("name:tea", &[]),
        ("NEAR(tea green)", &[]),
        ("tea OR mars", &[]),
        ("tea NOT green", &[]),
        ("tea AND green", &[]),
        ("(green)", &["tea"]),
        (">green", &["tea"]),
        ("<green ~tea @2", &[]),
        ("^green", &["tea"]),
        ("green<->tea", &["tea"]),
        ("\\", &["cup", "cup-of-tea", "mug", "tea"]),
        ("word", &[]),
        ("wordtea", &[]),
        ("utf8", &[]),
    ];
    for (words, slugs) in expected {
        assert_eq!(find(&shop, words).await, *slugs, "{words}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_changed_product_is_found_by_its_new_words_only() {
    let shop = stocked().await;
    let key = Some(proto::get_product_request::Key::Slug("tea".into()));
    let found = shop.products.clone().get_product(proto::GetProductRequest { key }).await;
    let tea = found.unwrap().into_inner().product.unwrap();
    let change =
        proto::UpdateProductRequest { product_id: tea.id.clone(), expected_version: tea.version, ..Default::default() };
    let renamed = proto::UpdateProductRequest { name: Some("Oolong".into()), ..change };
    let renamed = shop.update(renamed).await.unwrap();
    assert_eq!(find(&shop, "green").await, Vec::<String>::new());
    assert_eq!(find(&shop, "oolong fruhling").await, ["tea"]);
    let change = proto::UpdateProductRequest {
        product_id: renamed.id.clone(),
        expected_version: renamed.version,
        ..Default::default()
    };
    let cleared = proto::UpdateProductRequest { description: Some(String::new()), ..change };
    let cleared = shop.update(cleared).await.unwrap();
    assert_eq!(find(&shop, "fruhling").await, Vec::<String>::new());
    // A change of something else leaves the words.
    let archived = shop.archive(&cleared).await.unwrap();
    assert_eq!(find(&shop, "oolong").await, Vec::<String>::new());
    let status = ProductStatus::Archived.into();
    let request = proto::ListProductsRequest { q: "oolong".into(), status, limit: 5, ..Default::default() };
    assert_eq!(shop.list_all(&request).await, ["tea"]);
    let change = proto::UpdateProductRequest {
        product_id: archived.id.clone(),
        expected_version: archived.version,
        status: Some(ProductStatus::Active.into()),
        price: usd(7),
        ..Default::default()
    };
    shop.update(change).await.unwrap();
    assert_eq!(find(&shop, "oolong tea 1").await, ["tea"]);
    shop.close().await;
}

#[tokio::test]
async fn queries_are_bounded_and_cursors_bound_to_them() {
    let shop = stocked().await;
    let ask = |request: proto::ListProductsRequest| {
        let mut products = shop.products.clone();
        async move { answer(products.list_products(request).await) }
    };
    let tea = proto::ListProductsRequest { q: "tea".into(), limit: 1, ..Default::default() };
    assert_eq!(pointers(ask(proto::ListProductsRequest { q: "x".repeat(101), ..tea.clone() }).await), ["q"]);
    ask(proto::ListProductsRequest { q: "é".repeat(100), ..tea.clone() }).await.unwrap();

    let cursor = ask(tea.clone()).await.unwrap().next_cursor;
    assert!(!cursor.is_empty());
    let own = proto::ListProductsRequest { cursor: cursor.clone(), ..tea.clone() };
    ask(own.clone()).await.unwrap();
    // The same words are the same listing.
    ask(proto::ListProductsRequest { q: " Teas ".into(), ..own.clone() }).await.unwrap();
    let misfits = [
        proto::ListProductsRequest { q: "cup".into(), ..own.clone() },
        proto::ListProductsRequest { q: String::new(), ..own.clone() },
        proto::ListProductsRequest { q: "tea green".into(), ..own.clone() },
        proto::ListProductsRequest { category: "drinks".into(), ..own.clone() },
    ];
    for misfit in misfits {
        assert_eq!(reason(ask(misfit.clone()).await), Reason::InvalidCursor, "{misfit:?}");
    }
    shop.close().await;
}

/// What the model knows of a product.
struct Known {
    product: proto::Product,
    name: &'static str,
    is_rare: bool,
    category: &'static str,
    in_stock: bool,
    is_archived: bool,
}

impl Known {
    fn price(&self) -> i64 {
        self.product.price.as_ref().unwrap().amount
    }

    /// Whether a listing should have it.
    fn passes(&self, asked: &proto::ListProductsRequest) -> bool {
        let has_words = match asked.q.as_str() {
            "rare" => self.is_rare,
            "rare BANANAS" => self.is_rare && self.name == "Banana",
            "" => true,
            word => self.name == word,
        };
        let is_inside = match asked.category.as_str() {
            "" => true,
            "drinks" => ["drinks", "tea"].contains(&self.category),
            slug => self.category == slug,
        };
        has_words
            && is_inside
            && asked.min_price.is_none_or(|min| self.price() >= min)
            && asked.max_price.is_none_or(|max| self.price() <= max)
            && asked.in_stock.is_none_or(|asked| asked == (self.in_stock && !self.is_archived))
            && (asked.status() == ProductStatus::Archived) == self.is_archived
    }
}

/// More products than the window of a small page holds, and what the model knows of them.
async fn modelled(shop: &Shop) -> Vec<Known> {
    let drinks = shop.category("drinks", "").await.unwrap();
    let tea = shop.category("tea", &drinks.id).await.unwrap();
    let food = shop.category("food", "").await.unwrap();
    let mut model = Vec::new();
    for n in 0..140usize {
        let (name, is_rare) = (["apple", "Banana", "cherry"][n % 3], n % 23 == 0);
        let (category, category_id) = match n % 10 {
            0 => ("tea", tea.id.clone()),
            1..=3 => ("drinks", drinks.id.clone()),
            4 => ("", String::new()),
            _ => ("food", food.id.clone()),
        };
        let request = proto::CreateProductRequest {
            name: if is_rare { format!("{name} rare") } else { name.to_owned() },
            category_id,
            ..new_product(&format!("p{n:03}"), i64::try_from(n % 7).unwrap())
        };
        let product = shop.create(request).await.unwrap();
        let (in_stock, is_archived) = (n % 11 != 5, n % 9 == 8);
        if in_stock {
            shop.adjust(&product.id, 1, "Delivery", "first").await.unwrap();
        }
        if is_archived {
            shop.archive(&product).await.unwrap();
        }
        model.push(Known { product, name, is_rare, category, in_stock, is_archived });
    }
    model
}

/// The slugs that a listing should have.
fn expected(model: &[Known], asked: &proto::ListProductsRequest) -> Vec<String> {
    let mut found: Vec<_> = model.iter().filter(|known| known.passes(asked)).collect();
    // Made one after the other, so ids and times are in the same order.
    found.sort_by(|a, b| {
        let by_id = a.product.id.cmp(&b.product.id);
        match asked.sort() {
            ProductSort::Unspecified => by_id.reverse(),
            ProductSort::PriceAsc => a.price().cmp(&b.price()).then(by_id),
            ProductSort::PriceDesc => a.price().cmp(&b.price()).then(by_id).reverse(),
            ProductSort::Name => a.product.name.to_lowercase().cmp(&b.product.name.to_lowercase()).then(by_id),
        }
    });
    found.into_iter().map(|known| known.product.slug.clone()).collect()
}

/// Every filter with every other, each in one order, so that all of it takes seconds.
fn listings() -> Vec<proto::ListProductsRequest> {
    let sorts = [ProductSort::Unspecified, ProductSort::PriceAsc, ProductSort::PriceDesc, ProductSort::Name];
    let mut listings = Vec::new();
    for q in ["", "cherry", "rare", "rare BANANAS"] {
        for category in ["", "drinks", "tea", "nowhere"] {
            for (min_price, max_price) in [(None, None), (Some(2), None), (Some(1), Some(1))] {
                for in_stock in [None, Some(true), Some(false)] {
                    for status in [ProductStatus::Active, ProductStatus::Archived] {
                        let n = listings.len();
                        listings.push(proto::ListProductsRequest {
                            q: q.to_owned(),
                            category: category.to_owned(),
                            min_price,
                            max_price,
                            in_stock,
                            status: status.into(),
                            // Neighbours differ in it, so that each filter meets all of them.
                            sort: sorts[(n + n / 4) % 4].into(),
                            include_availability: n % 5 == 0,
                            ..Default::default()
                        });
                    }
                }
            }
        }
    }
    listings
}

/// By pages so small that a window does not fill them, and so large that it holds everything.
#[tokio::test]
async fn every_filter_with_every_other_finds_what_a_model_does() {
    let shop = Shop::open().await;
    let model = modelled(&shop).await;
    for asked in listings() {
        let expected = expected(&model, &asked);
        for limit in [1, 40] {
            let request = proto::ListProductsRequest { limit, ..asked.clone() };
            if limit == 1 && expected.len() > 6 {
                // The first of many pages is like the others.
                let page = shop.products.clone().list_products(shop.as_staff(request)).await.unwrap().into_inner();
                assert_eq!(page.products[0].product.as_ref().unwrap().slug, expected[0], "{asked:?}");
            } else {
                assert_eq!(shop.list_all(&request).await, expected, "{asked:?} by {limit}");
            }
        }
    }
    shop.close().await;
}
