//! Products: made, found, changed, archived.

use shop_proto::{
    product::{self as proto, ProductStatus, get_product_request::Key},
    status::{Reason, Refusal},
    types::Money,
};
use shop_types::new_id;

use crate::harness::{Shop, answer, new_product, pointers, reason, usd};

async fn create(shop: &Shop, request: proto::CreateProductRequest) -> Result<proto::Product, Refusal> {
    let created = answer(shop.products.clone().create_product(shop.as_staff(request)).await);
    created.map(|created| created.product.unwrap())
}

async fn get(shop: &Shop, key: Key) -> Result<proto::Product, Refusal> {
    let request = proto::GetProductRequest { key: Some(key) };
    answer(shop.products.clone().get_product(request).await).map(|found| found.product.unwrap())
}

fn change(product: &proto::Product) -> proto::UpdateProductRequest {
    proto::UpdateProductRequest {
        product_id: product.id.clone(),
        expected_version: product.version,
        ..proto::UpdateProductRequest::default()
    }
}

#[tokio::test]
async fn a_product_is_found_by_id_and_slug() {
    let shop = Shop::open().await;
    let request = proto::CreateProductRequest {
        description: "Picked in spring.\nKept cool.".to_owned(),
        attributes: [("origin".to_owned(), "Japan".to_owned())].into(),
        image_url: "https://img.example/tea.png".to_owned(),
        ..new_product("green-tea", 499)
    };
    let created = create(&shop, request).await.unwrap();
    assert_eq!((created.version, created.status()), (1, ProductStatus::Active));
    assert_eq!((created.created_at, created.price.clone()), (created.updated_at, usd(499)));
    assert_eq!(get(&shop, Key::Id(created.id.clone())).await.unwrap(), created);
    assert_eq!(get(&shop, Key::Slug("green-tea".to_owned())).await.unwrap(), created);
    for nobody in
        [Key::Id(new_id().to_string()), Key::Id("x".into()), Key::Slug("black-tea".into()), Key::Slug("Ä".into())]
    {
        assert_eq!(reason(get(&shop, nobody).await), Reason::NotFound);
    }
    assert_eq!(shop.stock(&created.id).await, (0, 0, 0));
    shop.close().await;
}

#[tokio::test]
async fn every_wrong_field_of_a_new_product_is_named() {
    let shop = Shop::open().await;
    let wrong = proto::CreateProductRequest {
        sku: "a b".to_owned(),
        slug: new_id().to_string(),
        price: Some(Money { amount: -1, currency: "EUR".to_owned() }),
        attributes: [("a/b".to_owned(), String::new())].into(),
        image_url: "javascript:alert(1)".to_owned(),
        ..Default::default()
    };
    let expected = ["/sku", "/slug", "/name", "/price/currency", "/price/amount", "/attributes/a~1b", "/image_url"];
    assert_eq!(pointers(create(&shop, wrong).await), expected);
    shop.close().await;
}

#[tokio::test]
async fn sku_and_slug_are_taken_for_ever() {
    let shop = Shop::open().await;
    let tea = create(&shop, new_product("tea", 1)).await.unwrap();
    let same_sku = proto::CreateProductRequest { slug: "tea-2".to_owned(), ..new_product("tea", 1) };
    assert_eq!(reason(create(&shop, same_sku).await), Reason::SkuTaken);
    let same_slug = proto::CreateProductRequest { sku: "TEA-2".to_owned(), ..new_product("tea", 1) };
    assert_eq!(reason(create(&shop, same_slug.clone()).await), Reason::SlugTaken);

    let renamed =
        shop.update(proto::UpdateProductRequest { slug: Some("fine-tea".into()), ..change(&tea) }).await.unwrap();
    assert_eq!((renamed.slug.as_str(), renamed.version), ("fine-tea", 2));
    assert_eq!(get(&shop, Key::Slug("fine-tea".into())).await.unwrap().id, tea.id);
    assert_eq!(reason(get(&shop, Key::Slug("tea".into())).await), Reason::NotFound);
    // The old one is nobody else's, but still its own. A refused SKU above left no slug behind.
    assert_eq!(reason(create(&shop, same_slug).await), Reason::SlugTaken);
    create(&shop, new_product("tea-2", 1)).await.unwrap();
    let back = shop.update(proto::UpdateProductRequest { slug: Some("tea".into()), ..change(&renamed) }).await.unwrap();
    assert_eq!(back.slug, "tea");
    let taken = proto::UpdateProductRequest { slug: Some("tea-2".into()), ..change(&back) };
    assert_eq!(reason(shop.update(taken).await), Reason::SlugTaken);
    shop.close().await;
}

#[tokio::test]
async fn a_change_needs_the_present_version() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 100, 0).await;
    let priced = proto::UpdateProductRequest { price: usd(200), name: Some("Fine tea".into()), ..change(&tea) };
    let next = shop.update(priced.clone()).await.unwrap();
    assert_eq!((next.version, next.name.as_str(), next.price.clone()), (2, "Fine tea", usd(200)));
    assert!(next.updated_at.unwrap().nanos != tea.updated_at.unwrap().nanos);
    let stale = shop.update(priced).await.unwrap_err();
    assert_eq!((stale.reason, stale.metadata["version"].as_str()), (Reason::StaleVersion, "2"));
    assert_eq!(reason(shop.archive(&tea).await), Reason::StaleVersion);
    // A change of nothing is no new version.
    assert_eq!(shop.update(change(&next)).await.unwrap(), next);
    let unknown = proto::UpdateProductRequest { product_id: new_id().to_string(), ..change(&tea) };
    assert_eq!(reason(shop.update(unknown).await), Reason::NotFound);
    shop.close().await;
}

#[tokio::test]
async fn of_changes_at_once_one_wins() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 100, 0).await;
    let changes = (1..=20).map(|price| shop.update(proto::UpdateProductRequest { price: usd(price), ..change(&tea) }));
    let (won, lost): (Vec<_>, Vec<_>) = futures::future::join_all(changes).await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    assert!(lost.into_iter().all(|lost| reason(lost) == Reason::StaleVersion));
    assert_eq!(get(&shop, Key::Id(tea.id)).await.unwrap(), won.into_iter().next().unwrap().unwrap());
    shop.close().await;
}

#[tokio::test]
async fn fields_are_cleared_and_attributes_merged() {
    let shop = Shop::open().await;
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let request = proto::CreateProductRequest {
        description: "Old.".into(),
        image_url: "https://img.example/1".into(),
        attributes: pairs(&[("a", "1"), ("b", "2")]),
        ..new_product("tea", 1)
    };
    let tea = create(&shop, request).await.unwrap();
    let merge = proto::UpdateProductRequest {
        description: Some(String::new()),
        image_url: Some(String::new()),
        attributes: pairs(&[("b", "3"), ("c", "4")]),
        dropped_attributes: vec!["a".into()],
        ..change(&tea)
    };
    let merged = shop.update(merge).await.unwrap();
    assert_eq!((merged.description.as_str(), merged.image_url.as_str()), ("", ""));
    assert_eq!(merged.attributes, pairs(&[("b", "3"), ("c", "4")]));
    let replace =
        proto::UpdateProductRequest { clear_attributes: true, attributes: pairs(&[("d", "5")]), ..change(&merged) };
    let replaced = shop.update(replace).await.unwrap();
    assert_eq!(replaced.attributes, pairs(&[("d", "5")]));
    let wrong = proto::UpdateProductRequest { name: Some(" ".into()), status: Some(9), ..change(&replaced) };
    assert_eq!(pointers(shop.update(wrong).await), ["/status"]);
    let wrong = proto::UpdateProductRequest { name: Some(" ".into()), price: usd(-1), ..change(&replaced) };
    assert_eq!(pointers(shop.update(wrong).await), ["/name", "/price/amount"]);
    shop.close().await;
}

#[tokio::test]
async fn an_archived_product_is_found_and_not_sold_until_it_comes_back() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 100, 5).await;
    let archived = shop.archive(&tea).await.unwrap();
    assert_eq!((archived.status(), archived.version), (ProductStatus::Archived, 2));
    // Once more changes nothing.
    assert_eq!(shop.archive(&archived).await.unwrap(), archived);
    assert_eq!(get(&shop, Key::Slug("tea".into())).await.unwrap(), archived);

    let refused = shop.reserve(new_id(), &[(&tea.id, 1)]).await.unwrap();
    let not_orderable = proto::RefusedLine {
        product_id: tea.id.clone(),
        reason: proto::RefusalReason::NotOrderable.into(),
        available: 0,
    };
    assert_eq!(refused, proto::reserve_response::Outcome::Refused(proto::Refused { lines: vec![not_orderable] }));
    let asked = proto::GetAvailabilityRequest { product_ids: vec![tea.id.clone()] };
    let found = answer(shop.products.clone().get_availability(asked).await).unwrap();
    assert_eq!((found.availabilities[0].available, found.availabilities[0].in_stock), (0, false));
    // Its stock is still there, and can still be counted.
    shop.adjust(&tea.id, -1, "Broken", "count").await.unwrap();
    assert_eq!(shop.stock(&tea.id).await, (4, 0, 4));

    let active = proto::UpdateProductRequest { status: Some(ProductStatus::Active.into()), ..change(&archived) };
    assert_eq!(shop.update(active).await.unwrap().version, 3);
    let reserved = shop.reserve(new_id(), &[(&tea.id, 4)]).await.unwrap();
    assert!(matches!(reserved, proto::reserve_response::Outcome::Reserved(_)));
    shop.close().await;
}
