//! Categories, and the words that products are found by.

use reqwest::Method;
use serde_json::{Value, json};
use shop_proto::product;

use crate::support::{
    Gateway,
    wire::{self, ID, USER_ID},
};

fn category_json() -> Value {
    json!({"id": ID, "slug": "mugs", "name": "Mugs", "parent_id": null, "version": 4})
}

#[tokio::test]
async fn categories_are_listed_and_found() {
    use product::get_category_request::Key;
    let gateway = Gateway::start().await;
    let below = product::Category { parent_id: USER_ID.into(), ..wire::category() };
    let reply = product::ListCategoriesResponse { categories: vec![wire::category(), below], next_cursor: "n".into() };
    gateway.upstream.answers("ListCategories", &reply);
    let client = gateway.anonymous();
    let page = client.get("/categories?limit=2").await.expect(200);
    let mut below = category_json();
    below["parent_id"] = json!(USER_ID);
    assert_eq!(page.json(), json!({"items": [category_json(), below], "next_cursor": "n"}));
    assert_eq!(page.header("link"), Some("</api/v1/categories?limit=2&cursor=n>; rel=\"next\""));
    assert_eq!(page.header("cache-control"), Some("no-cache"));

    gateway.upstream.answers("GetCategory", &product::GetCategoryResponse { category: Some(wire::category()) });
    let found = client.get("/categories/mugs").await.expect(200);
    assert_eq!((found.json(), found.header("etag")), (category_json(), Some("\"4\"")));
    let last = || gateway.upstream.last::<product::GetCategoryRequest>("GetCategory").key;
    assert_eq!(last(), Some(Key::Slug("mugs".into())));
    client.get(&format!("/categories/{ID}")).await.expect(200);
    assert_eq!(last(), Some(Key::Id(ID.into())));
    let request = client.request(Method::GET, "/categories/mugs").header("if-none-match", "\"4\"");
    client.send(request).await.expect(304);
}

#[tokio::test]
async fn staff_make_move_and_drop_them() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    gateway.upstream.answers("CreateCategory", &product::CreateCategoryResponse { category: Some(wire::category()) });
    let made =
        staff.post("/categories", &json!({"slug": "mugs", "name": "Mugs", "parent_id": USER_ID})).await.expect(201);
    assert_eq!((made.json(), made.header("etag")), (category_json(), Some("\"4\"")));
    assert_eq!(made.header("location"), Some(format!("/api/v1/categories/{ID}").as_str()));
    let request = gateway.upstream.last::<product::CreateCategoryRequest>("CreateCategory");
    assert_eq!((request.slug.as_str(), request.parent_id.as_str()), ("mugs", USER_ID));

    gateway.upstream.answers("UpdateCategory", &product::UpdateCategoryResponse { category: Some(wire::category()) });
    let path = format!("/categories/{ID}");
    let change = |body: Value| staff.request(Method::PATCH, &path).json(&body);
    staff.send(change(json!({"name": "Cups"}))).await.expect(200);
    let last = || gateway.upstream.last::<product::UpdateCategoryRequest>("UpdateCategory");
    assert_eq!((last().name, last().parent_id, last().expected_version), (Some("Cups".into()), None, None));
    staff.send(change(json!({"parent_id": null})).header("if-match", "\"4\"")).await.expect(200);
    assert_eq!((last().parent_id, last().expected_version), (Some(String::new()), Some(4)));
    staff.send(change(json!({"parent_id": USER_ID}))).await.expect(200);
    assert_eq!(last().parent_id, Some(USER_ID.into()));
    staff.send(change(json!({}))).await.expect(200);
    for (header, status, code) in [("\"x\"", 412, "STALE_VERSION"), ("4", 400, "MALFORMED_REQUEST")] {
        staff.send(change(json!({})).header("if-match", header)).await.problem(status, code);
    }
    for body in [json!({"name": null}), json!({"slug": null})] {
        staff.send(change(body)).await.problem(400, "VALIDATION_FAILED");
    }
    staff.send(change(json!({"parent_id": "mugs"}))).await.problem(400, "MALFORMED_REQUEST");

    gateway.upstream.answers("DeleteCategory", &product::DeleteCategoryResponse {});
    staff.delete(&path).await.expect(204);
    assert_eq!(gateway.upstream.last::<product::DeleteCategoryRequest>("DeleteCategory").expected_version, None);
    staff.send(staff.request(Method::DELETE, &path).header("if-match", "\"4-gzip\"")).await.expect(204);
    assert_eq!(gateway.upstream.last::<product::DeleteCategoryRequest>("DeleteCategory").expected_version, Some(4));
}

#[tokio::test]
async fn a_product_is_in_a_category_or_in_none() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    let filed = product::Product { category_id: USER_ID.into(), ..wire::product() };
    gateway.upstream.answers("CreateProduct", &product::CreateProductResponse { product: Some(filed) });
    let price = json!({"amount": 1999, "currency": "USD"});
    let new = json!({"sku": "MUG", "slug": "mug", "name": "Mug", "price": price, "category_id": USER_ID});
    assert_eq!(staff.post("/products", &new).await.expect(201).json()["category_id"], USER_ID);
    assert_eq!(gateway.upstream.last::<product::CreateProductRequest>("CreateProduct").category_id, USER_ID);
    gateway.upstream.answers("UpdateProduct", &product::UpdateProductResponse { product: Some(wire::product()) });
    let change =
        |body: Value| staff.request(Method::PATCH, &format!("/products/{ID}")).header("if-match", "\"6\"").json(&body);
    for (body, sent) in [
        (json!({}), None),
        (json!({"category_id": null}), Some(String::new())),
        (json!({"category_id": USER_ID}), Some(USER_ID.to_owned())),
    ] {
        assert_eq!(staff.send(change(body)).await.expect(200).json()["category_id"], Value::Null);
        let request = gateway.upstream.last::<product::UpdateProductRequest>("UpdateProduct");
        assert_eq!(request.category_id, sent);
    }
}

#[tokio::test]
async fn words_and_categories_filter_a_listing() {
    let gateway = Gateway::start().await;
    gateway
        .upstream
        .answers("ListProducts", &product::ListProductsResponse { next_cursor: "n".into(), ..Default::default() });
    let page = gateway.anonymous().get("/products?q=blue+mug%20caf%C3%A9&category=kitchen").await.expect(200);
    let request = gateway.upstream.last::<product::ListProductsRequest>("ListProducts");
    assert_eq!((request.q.as_str(), request.category.as_str()), ("blue mug café", "kitchen"));
    let link = page.header("link").unwrap();
    assert!(link.contains("q=blue+mug+caf%C3%A9&category=kitchen&cursor=n"), "{link}");
    for twice in ["q=a&q=b", "category=a&category=b"] {
        gateway.anonymous().get(&format!("/products?{twice}")).await.problem(400, "MALFORMED_REQUEST");
    }
}
