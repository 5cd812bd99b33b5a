//! Categories: the tree, and the products in it.

use futures::future::join_all;
use shop_proto::{
    product::{self as proto, get_category_request::Key},
    status::{Reason, Refusal},
};
use shop_types::new_id;

use crate::harness::{Shop, answer, new_product, pointers, reason};

async fn get(shop: &Shop, key: Key) -> Result<proto::Category, Refusal> {
    let request = proto::GetCategoryRequest { key: Some(key) };
    answer(shop.categories.clone().get_category(request).await).map(|found| found.category.unwrap())
}

async fn update(shop: &Shop, request: proto::UpdateCategoryRequest) -> Result<proto::Category, Refusal> {
    let updated = answer(shop.categories.clone().update_category(shop.as_staff(request)).await);
    updated.map(|updated| updated.category.unwrap())
}

async fn place(shop: &Shop, category: &str, parent: &str) -> Result<proto::Category, Refusal> {
    let (category_id, parent_id) = (category.to_owned(), Some(parent.to_owned()));
    update(shop, proto::UpdateCategoryRequest { category_id, parent_id, ..Default::default() }).await
}

async fn delete(shop: &Shop, category_id: &str) -> Result<(), Refusal> {
    let request = proto::DeleteCategoryRequest { category_id: category_id.to_owned(), expected_version: None };
    answer(shop.categories.clone().delete_category(shop.as_staff(request)).await).map(drop)
}

/// Every category by slug, a few at a time.
async fn all(shop: &Shop) -> Vec<proto::Category> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let request = proto::ListCategoriesRequest { limit: 3, cursor };
        let page = answer(shop.categories.clone().list_categories(request).await).unwrap();
        assert!(page.categories.len() <= 3);
        found.extend(page.categories);
        if page.next_cursor.is_empty() {
            return found;
        }
        cursor = page.next_cursor;
    }
}

#[tokio::test]
async fn a_category_is_made_found_changed_and_removed() {
    let shop = Shop::open().await;
    let drinks = shop.category("drinks", "").await.unwrap();
    let tea = shop.category("tea", &drinks.id).await.unwrap();
    assert_eq!((tea.parent_id.as_str(), tea.version), (drinks.id.as_str(), 1));
    assert_eq!(get(&shop, Key::Id(tea.id.clone())).await.unwrap(), tea);
    assert_eq!(get(&shop, Key::Slug("tea".into())).await.unwrap(), tea);
    for nobody in [Key::Id(new_id().to_string()), Key::Id("tea".into()), Key::Slug("coffee".into())] {
        assert_eq!(reason(get(&shop, nobody).await), Reason::NotFound);
    }

    let change = proto::UpdateCategoryRequest { category_id: tea.id.clone(), ..Default::default() };
    let renamed =
        proto::UpdateCategoryRequest { name: Some("Fine tea".into()), slug: Some("fine-tea".into()), ..change.clone() };
    let renamed = update(&shop, renamed).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.slug.as_str(), renamed.version), ("Fine tea", "fine-tea", 2));
    assert_eq!(renamed.parent_id, drinks.id);
    // A change of nothing is no new version, and the old slug is anyone's.
    assert_eq!(update(&shop, change.clone()).await.unwrap(), renamed);
    shop.category("tea", "").await.unwrap();
    let taken = proto::UpdateCategoryRequest { slug: Some("tea".into()), ..change.clone() };
    assert_eq!(reason(update(&shop, taken).await), Reason::SlugTaken);
    assert_eq!(reason(shop.category("tea", "").await), Reason::SlugTaken);

    let stale = proto::UpdateCategoryRequest { expected_version: Some(1), name: Some("Old".into()), ..change.clone() };
    let stale = update(&shop, stale).await.unwrap_err();
    assert_eq!((stale.reason, stale.metadata["version"].as_str()), (Reason::StaleVersion, "2"));
    let stale = proto::DeleteCategoryRequest { category_id: tea.id.clone(), expected_version: Some(1) };
    let stale = answer(shop.categories.clone().delete_category(shop.as_staff(stale)).await);
    assert_eq!(reason(stale), Reason::StaleVersion);

    let topped = place(&shop, &tea.id, "").await.unwrap();
    assert_eq!((topped.parent_id.as_str(), topped.version), ("", 3));
    delete(&shop, &tea.id).await.unwrap();
    assert_eq!(reason(delete(&shop, &tea.id).await), Reason::NotFound);
    assert_eq!(reason(update(&shop, change).await), Reason::NotFound);
    shop.close().await;
}

#[tokio::test]
async fn every_wrong_field_of_a_category_is_named() {
    let shop = Shop::open().await;
    let wrong =
        proto::CreateCategoryRequest { slug: new_id().to_string(), name: " ".into(), parent_id: "nowhere".into() };
    let refused = answer(shop.categories.clone().create_category(shop.as_staff(wrong)).await);
    assert_eq!(pointers(refused), ["/slug", "/name", "/parent_id"]);
    assert_eq!(pointers(shop.category("tea", &new_id().to_string()).await), ["/parent_id"]);
    let tea = shop.category("tea", "").await.unwrap();
    assert_eq!(pointers(place(&shop, &tea.id, &new_id().to_string()).await), ["/parent_id"]);
    assert_eq!(pointers(place(&shop, &tea.id, &tea.id).await), ["/parent_id"]);
    shop.close().await;
}

#[tokio::test]
async fn the_listing_has_every_category_once_by_name() {
    let shop = Shop::open().await;
    for name in ["tea", "Coffee", "apples", "äpfel", "Tea", "cups", "beans"] {
        let slug = format!("c-{}", new_id().simple());
        let request = proto::CreateCategoryRequest { slug, name: name.into(), parent_id: String::new() };
        answer(shop.categories.clone().create_category(shop.as_staff(request)).await).unwrap();
    }
    let names: Vec<_> = all(&shop).await.into_iter().map(|category| category.name).collect();
    assert_eq!(names, ["apples", "beans", "Coffee", "cups", "tea", "Tea", "äpfel"]);
    let ask = |limit, cursor: &str| {
        let request = proto::ListCategoriesRequest { limit, cursor: cursor.to_owned() };
        let mut categories = shop.categories.clone();
        async move { answer(categories.list_categories(request).await) }
    };
    assert_eq!(pointers(ask(101, "").await), ["limit"]);
    assert_eq!(reason(ask(1, "x").await), Reason::InvalidCursor);
    // Nor does the cursor of another listing fit.
    for name in ["p1", "p2"] {
        shop.product(name, 1, 0).await;
    }
    let products = proto::ListProductsRequest { limit: 1, ..Default::default() };
    let products = answer(shop.products.clone().list_products(products).await).unwrap();
    assert_eq!(reason(ask(1, &products.next_cursor).await), Reason::InvalidCursor);
    shop.close().await;
}

#[tokio::test]
async fn a_category_with_something_in_it_stays() {
    let shop = Shop::open().await;
    let drinks = shop.category("drinks", "").await.unwrap();
    let tea = shop.category("tea", &drinks.id).await.unwrap();
    let product = proto::CreateProductRequest { category_id: tea.id.clone(), ..new_product("sencha", 1) };
    let sencha = shop.create(product).await.unwrap();
    assert_eq!(sencha.category_id, tea.id);
    assert_eq!(reason(delete(&shop, &drinks.id).await), Reason::CategoryNotEmpty);
    assert_eq!(reason(delete(&shop, &tea.id).await), Reason::CategoryNotEmpty);
    // An archived product may come back.
    let archived = shop.archive(&sencha).await.unwrap();
    assert_eq!(reason(delete(&shop, &tea.id).await), Reason::CategoryNotEmpty);
    let change = proto::UpdateProductRequest {
        product_id: archived.id.clone(),
        expected_version: archived.version,
        ..Default::default()
    };
    let out = shop.update(proto::UpdateProductRequest { category_id: Some(String::new()), ..change }).await.unwrap();
    assert_eq!((out.category_id.as_str(), out.version), ("", 3));
    delete(&shop, &tea.id).await.unwrap();
    delete(&shop, &drinks.id).await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn a_product_is_in_a_category_that_is_there() {
    let shop = Shop::open().await;
    for nowhere in [new_id().to_string(), "tea".to_owned()] {
        let product = proto::CreateProductRequest { category_id: nowhere.clone(), ..new_product("sencha", 1) };
        assert_eq!(pointers(shop.create(product).await), ["/category_id"]);
    }
    // What was refused left nothing behind.
    let sencha = shop.create(new_product("sencha", 1)).await.unwrap();
    let change = proto::UpdateProductRequest {
        product_id: sencha.id.clone(),
        expected_version: sencha.version,
        ..Default::default()
    };
    let nowhere = proto::UpdateProductRequest { category_id: Some(new_id().to_string()), ..change.clone() };
    assert_eq!(pointers(shop.update(nowhere).await), ["/category_id"]);
    let tea = shop.category("tea", "").await.unwrap();
    let moved = proto::UpdateProductRequest { category_id: Some(tea.id.clone()), ..change };
    let moved = shop.update(moved).await.unwrap();
    assert_eq!((moved.category_id, moved.version), (tea.id, 2));
    shop.close().await;
}

#[tokio::test]
async fn a_category_lists_what_is_in_it_and_below_it() {
    let shop = Shop::open().await;
    let drinks = shop.category("drinks", "").await.unwrap();
    let tea = shop.category("tea", &drinks.id).await.unwrap();
    let green = shop.category("green-tea", &tea.id).await.unwrap();
    let food = shop.category("food", "").await.unwrap();
    for (slug, category) in [("cola", &drinks), ("assam", &tea), ("sencha", &green), ("bread", &food)] {
        let product = proto::CreateProductRequest { category_id: category.id.clone(), ..new_product(slug, 1) };
        shop.create(product).await.unwrap();
    }
    shop.create(new_product("stray", 1)).await.unwrap();
    let list = async |category: &str| {
        let sort = proto::ProductSort::Name.into();
        let request = proto::ListProductsRequest { limit: 1, category: category.into(), sort, ..Default::default() };
        shop.list_all(&request).await
    };
    assert_eq!(list("drinks").await, ["assam", "cola", "sencha"]);
    assert_eq!(list(&tea.id).await, ["assam", "sencha"]);
    assert_eq!(list("green-tea").await, ["sencha"]);
    for nobody in [new_id().to_string().as_str(), "nowhere", "No Slug"] {
        assert!(list(nobody).await.is_empty(), "{nobody}");
    }
    // What is below moves along.
    place(&shop, &tea.id, &food.id).await.unwrap();
    assert_eq!(list("drinks").await, ["cola"]);
    assert_eq!(list("food").await, ["assam", "bread", "sencha"]);
    shop.close().await;
}

/// Follows every category to the top, which it reaches unless there is a circle.
fn assert_no_circle(categories: &[proto::Category]) {
    for category in categories {
        let mut above = category;
        for _ in 0..categories.len() {
            if above.parent_id.is_empty() {
                break;
            }
            above = categories.iter().find(|other| other.id == above.parent_id).unwrap();
        }
        assert!(above.parent_id.is_empty(), "{} is in a circle", category.slug);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moves_at_once_never_make_a_circle() {
    let shop = Shop::open().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(shop.category(&format!("c{n}"), "").await.unwrap().id);
    }
    for round in 0..10usize {
        // Each goes below its neighbour: every move alone is fine, all of them together are a circle.
        let moves = (0..ids.len()).map(|n| {
            let (from, to) = (&ids[n], &ids[(n + 1 + round % 5) % ids.len()]);
            place(&shop, from, to)
        });
        let outcomes = join_all(moves).await;
        assert!(outcomes.iter().any(Result::is_ok));
        for refused in outcomes.into_iter().filter(Result::is_err) {
            assert_eq!(pointers(refused), ["/parent_id"]);
        }
        let categories = all(&shop).await;
        assert_eq!(categories.len(), ids.len());
        assert_no_circle(&categories);
        for id in &ids {
            place(&shop, id, "").await.unwrap();
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_while_a_category_goes_is_refused_or_keeps_it() {
    let shop = Shop::open().await;
    for round in 0..20 {
        let tea = shop.category(&format!("tea-{round}"), "").await.unwrap();
        let below = format!("below-{round}");
        let product =
            proto::CreateProductRequest { category_id: tea.id.clone(), ..new_product(&format!("sencha-{round}"), 1) };
        let (deleted, inside, below) =
            tokio::join!(delete(&shop, &tea.id), shop.create(product), shop.category(&below, &tea.id));
        if deleted.is_ok() {
            assert_eq!(pointers(inside), ["/category_id"]);
            assert_eq!(pointers(below), ["/parent_id"]);
        } else {
            assert_eq!(reason(deleted), Reason::CategoryNotEmpty);
            assert!(inside.is_ok() || below.is_ok());
            assert_eq!(get(&shop, Key::Id(tea.id.clone())).await.unwrap(), tea);
        }
    }
    shop.close().await;
}
