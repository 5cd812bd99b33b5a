//! Listings: orders, pages, filters, cursors.

use std::collections::HashSet;

use shop_auth::Role;
use shop_proto::{
    product::{self as proto, ProductSort, ProductStatus},
    status::{Reason, Refusal},
};

use crate::harness::{Shop, Token, answer, as_caller, new_product, pointers, reason};

async fn list(
    shop: &Shop,
    token: &Token,
    request: proto::ListProductsRequest,
) -> Result<proto::ListProductsResponse, Refusal> {
    answer(shop.products.clone().list_products(as_caller(token, request)).await)
}

/// Follows the cursors to the end and names the products in order.
async fn all(shop: &Shop, request: &proto::ListProductsRequest) -> Vec<String> {
    let mut slugs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(shop, &None, proto::ListProductsRequest { cursor, ..request.clone() }).await.unwrap();
        assert!(page.products.len() <= usize::try_from(request.limit).unwrap());
        slugs.extend(page.products.into_iter().map(|listed| listed.product.unwrap().slug));
        if page.next_cursor.is_empty() {
            return slugs;
        }
        cursor = page.next_cursor;
    }
}

/// A shop whose prices and names have many ties; the slugs in the order they were made.
async fn stocked() -> (Shop, Vec<String>) {
    let shop = Shop::open().await;
    let mut slugs = Vec::new();
    for n in 0..23i64 {
        let slug = format!("p{n:02}");
        let name = ["Äpfel", "apple", "Banana", "cherry"][usize::try_from(n % 4).unwrap()].to_owned();
        let request = proto::CreateProductRequest { name, ..new_product(&slug, (n * 7) % 5) };
        let created = shop.products.clone().create_product(shop.as_staff(request)).await.unwrap();
        if n % 3 == 0 {
            let id = created.into_inner().product.unwrap().id;
            shop.adjust(&id, n + 1, "Delivery", "first").await.unwrap();
        }
        slugs.push(slug);
    }
    (shop, slugs)
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_in_any_order() {
    let (shop, mut slugs) = stocked().await;
    slugs.reverse();
    for limit in [1, 4, 22, 23, 24] {
        for sort in [ProductSort::Unspecified, ProductSort::PriceAsc, ProductSort::PriceDesc, ProductSort::Name] {
            let request = proto::ListProductsRequest { limit, sort: sort.into(), ..Default::default() };
            let listed = all(&shop, &request).await;
            assert_eq!(listed.len(), slugs.len(), "{sort:?} by {limit}");
            assert_eq!(listed.iter().collect::<HashSet<_>>().len(), slugs.len(), "{sort:?} by {limit}");
            if sort == ProductSort::Unspecified {
                assert_eq!(listed, slugs);
            }
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn listings_are_in_the_order_asked_for() {
    let (shop, _) = stocked().await;
    let page = |sort: ProductSort| {
        let request = proto::ListProductsRequest { limit: 100, sort: sort.into(), ..Default::default() };
        let shop = &shop;
        async move {
            let page = list(shop, &None, request).await.unwrap();
            page.products.into_iter().map(|listed| listed.product.unwrap()).collect::<Vec<_>>()
        }
    };
    let prices = |products: &[proto::Product]| -> Vec<i64> {
        products.iter().map(|product| product.price.as_ref().unwrap().amount).collect()
    };
    assert!(prices(&page(ProductSort::PriceAsc).await).is_sorted());
    assert!(prices(&page(ProductSort::PriceDesc).await).is_sorted_by(|a, b| a >= b));
    // Without regard to case; letters with marks follow the plain ones.
    let mut names: Vec<_> = page(ProductSort::Name).await.into_iter().map(|product| product.name).collect();
    names.dedup();
    assert_eq!(names, ["apple", "Banana", "cherry", "Äpfel"]);
    shop.close().await;
}

#[tokio::test]
async fn a_product_made_between_pages_moves_none_of_the_others() {
    let (shop, mut slugs) = stocked().await;
    slugs.reverse();
    let first = list(&shop, &None, proto::ListProductsRequest { limit: 10, ..Default::default() }).await.unwrap();
    shop.product("late", 1, 0).await;
    let rest = proto::ListProductsRequest { limit: 100, cursor: first.next_cursor, ..Default::default() };
    let rest = list(&shop, &None, rest).await.unwrap();
    let listed: Vec<_> = first.products.into_iter().chain(rest.products).map(|one| one.product.unwrap().slug).collect();
    assert_eq!(listed, slugs);
    shop.close().await;
}

#[tokio::test]
async fn filters_hold_on_every_page() {
    let (shop, slugs) = stocked().await;
    let request = proto::ListProductsRequest { limit: 3, sort: ProductSort::PriceAsc.into(), ..Default::default() };
    let count = |keep: &dyn Fn(i64) -> bool| (0..23i64).filter(|&n| keep(n)).count();

    let priced = proto::ListProductsRequest { min_price: Some(1), max_price: Some(3), ..request.clone() };
    assert_eq!(all(&shop, &priced).await.len(), count(&|n| (1..=3).contains(&((n * 7) % 5))));
    let in_stock = proto::ListProductsRequest { in_stock: Some(true), ..request.clone() };
    let with: HashSet<_> = all(&shop, &in_stock).await.into_iter().collect();
    assert_eq!(with.len(), count(&|n| n % 3 == 0));
    let out_of_stock = proto::ListProductsRequest { in_stock: Some(false), ..request };
    let without: HashSet<_> = all(&shop, &out_of_stock).await.into_iter().collect();
    assert!(with.is_disjoint(&without));
    assert_eq!(with.len() + without.len(), slugs.len());
    shop.close().await;
}

#[tokio::test]
async fn availability_comes_with_a_page_when_asked_for() {
    let (shop, _) = stocked().await;
    let request = proto::ListProductsRequest { include_availability: true, limit: 100, ..Default::default() };
    for listed in list(&shop, &None, request).await.unwrap().products {
        let (product, availability) = (listed.product.unwrap(), listed.availability.unwrap());
        let (_, _, available) = shop.stock(&product.id).await;
        assert_eq!(availability, proto::Availability { product_id: product.id, available, in_stock: available > 0 });
    }
    let plain = list(&shop, &None, proto::ListProductsRequest::default()).await.unwrap();
    assert_eq!(plain.products.len(), 20);
    assert!(plain.products.iter().all(|listed| listed.availability.is_none()));
    shop.close().await;
}

#[tokio::test]
async fn a_cursor_fits_its_own_listing_and_no_other() {
    let (shop, _) = stocked().await;
    let request = proto::ListProductsRequest { limit: 5, max_price: Some(4), ..Default::default() };
    let cursor = list(&shop, &None, request.clone()).await.unwrap().next_cursor;
    let own = proto::ListProductsRequest { cursor: cursor.clone(), ..request.clone() };
    // Another limit is the same listing.
    list(&shop, &None, proto::ListProductsRequest { limit: 7, ..own.clone() }).await.unwrap();

    let mut changed = cursor.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let misfits = [
        proto::ListProductsRequest { cursor: changed, ..own.clone() },
        proto::ListProductsRequest { cursor: "x".to_owned(), ..own.clone() },
        proto::ListProductsRequest { sort: ProductSort::Name.into(), ..own.clone() },
        proto::ListProductsRequest { max_price: Some(3), ..own.clone() },
        proto::ListProductsRequest { max_price: None, ..own.clone() },
        proto::ListProductsRequest { in_stock: Some(true), ..own.clone() },
        proto::ListProductsRequest { status: ProductStatus::Archived.into(), ..own.clone() },
    ];
    for misfit in misfits {
        assert_eq!(reason(list(&shop, &shop.staff, misfit.clone()).await), Reason::InvalidCursor, "{misfit:?}");
    }
    // Nor does the cursor of a shop with another secret.
    let other = Shop::open_with(|options| options.cursor_secret = "another secret, as long as it must be".into()).await;
    assert_eq!(reason(list(&other, &None, own).await), Reason::InvalidCursor);
    other.close().await;
    shop.close().await;
}

#[tokio::test]
async fn what_is_out_of_range_is_named() {
    let shop = Shop::open().await;
    let ask = |request: proto::ListProductsRequest| list(&shop, &None, request);
    let request = proto::ListProductsRequest::default;
    assert_eq!(pointers(ask(proto::ListProductsRequest { limit: 101, ..request() }).await), ["limit"]);
    assert_eq!(pointers(ask(proto::ListProductsRequest { limit: -1, ..request() }).await), ["limit"]);
    assert_eq!(pointers(ask(proto::ListProductsRequest { sort: 9, ..request() }).await), ["sort"]);
    assert_eq!(pointers(ask(proto::ListProductsRequest { status: 9, ..request() }).await), ["status"]);
    let crossed = proto::ListProductsRequest { min_price: Some(2), max_price: Some(1), ..request() };
    assert_eq!(pointers(ask(crossed).await), ["min_price"]);
    shop.close().await;
}

#[tokio::test]
async fn archived_products_are_listed_to_staff_only() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 100, 3).await;
    shop.product("Coffee", 100, 3).await;
    shop.archive(&tea).await.unwrap();
    let slugs = |page: proto::ListProductsResponse| -> Vec<String> {
        page.products.into_iter().map(|listed| listed.product.unwrap().slug).collect()
    };
    let archived = proto::ListProductsRequest { status: ProductStatus::Archived.into(), ..Default::default() };
    for token in [shop.staff.clone(), shop.user(Role::Admin)] {
        assert_eq!(slugs(list(&shop, &token, archived.clone()).await.unwrap()), ["tea"]);
        assert_eq!(slugs(list(&shop, &token, proto::ListProductsRequest::default()).await.unwrap()), ["coffee"]);
    }
    for token in [None, shop.user(Role::Customer), shop.service("gateway")] {
        assert_eq!(reason(list(&shop, &token, archived.clone()).await), Reason::Forbidden);
        assert_eq!(slugs(list(&shop, &token, proto::ListProductsRequest::default()).await.unwrap()), ["coffee"]);
        // The role is judged before the rest of the request.
        let wrong = proto::ListProductsRequest { limit: 1000, ..archived.clone() };
        assert_eq!(reason(list(&shop, &token, wrong).await), Reason::Forbidden);
    }
    // Nothing archived can be bought.
    let in_stock = proto::ListProductsRequest { in_stock: Some(true), ..archived.clone() };
    assert!(slugs(list(&shop, &shop.staff, in_stock).await.unwrap()).is_empty());
    let out_of_stock = proto::ListProductsRequest { in_stock: Some(false), ..archived };
    assert_eq!(slugs(list(&shop, &shop.staff, out_of_stock).await.unwrap()), ["tea"]);
    shop.close().await;
}
