//! REST to contracts and back: exact JSON, headers, and what the services are asked.

use reqwest::Method;
use serde_json::{Value, json};
use shop_proto::{order, product, user};

use crate::support::{
    Gateway,
    wire::{self, ID, USER_ID},
};

fn product_json() -> Value {
    json!({
        "id": ID, "sku": "MUG", "slug": "mug", "name": "Mug", "description": "", "category_id": null,
        "price": {"amount": 1999, "currency": "USD"}, "attributes": {"colour": "blue"}, "image_url": null,
        "status": "active", "version": 7, "created_at": "1970-01-01T00:00:00.00025Z", "updated_at": "1970-01-01T00:00:01.00025Z"
    })
}

fn postal_address_json() -> Value {
    json!({
        "recipient": "Ada", "line1": "Unter den Linden 1", "line2": null, "city": "Berlin", "region": null,
        "postal_code": "10117", "country": "DE"
    })
}

fn order_json() -> Value {
    json!({
        "id": ID, "user_id": USER_ID, "status": "reserved",
        "items": [{
            "product_id": ID, "sku": "MUG", "name": "Mug", "quantity": 2,
            "unit_price": {"amount": 1999, "currency": "USD"}, "line_total": {"amount": 3998, "currency": "USD"}
        }],
        "total": {"amount": 3998, "currency": "USD"}, "shipping_address": postal_address_json(), "reason": null,
        "expires_at": "1970-01-01T00:15:00.00025Z", "refund_due": null, "version": 2,
        "created_at": "1970-01-01T00:00:00.00025Z", "updated_at": "1970-01-01T00:00:01.00025Z"
    })
}

#[tokio::test]
async fn accounts() {
    let gateway = Gateway::start().await;
    let user_json = json!({
        "id": USER_ID, "email": "ada@example.com", "display_name": "Ada", "role": "customer", "disabled": false,
        "created_at": "1970-01-01T00:00:00.00025Z", "updated_at": "1970-01-01T00:00:01.00025Z"
    });
    gateway.upstream.answers("Register", &user::RegisterResponse { user: Some(wire::user()) });
    let body = json!({"email": "ada@example.com", "password": "correct horse battery", "display_name": "Ada"});
    let made = gateway.anonymous().post("/auth/register", &body).await.expect(201);
    assert_eq!(made.json(), user_json);
    assert_eq!(made.header("location"), Some(format!("/api/v1/users/{USER_ID}").as_str()));
    assert_eq!(made.header("cache-control"), Some("no-store"));

    gateway.upstream.answers("UpdateProfile", &user::UpdateProfileResponse { user: Some(wire::user()) });
    let customer = gateway.customer();
    assert_eq!(customer.patch("/users/me", &json!({"display_name": "A"})).await.expect(200).json(), user_json);
    assert_eq!(gateway.upstream.last::<user::UpdateProfileRequest>("UpdateProfile").display_name, Some("A".into()));
    customer.patch("/users/me", &json!({})).await.expect(200);
    assert_eq!(gateway.upstream.last::<user::UpdateProfileRequest>("UpdateProfile").display_name, None);

    gateway.upstream.answers("UpdateUser", &user::UpdateUserResponse { user: Some(wire::user()) });
    let admin = gateway.admin();
    admin.patch(&format!("/users/{USER_ID}"), &json!({"role": "staff", "disabled": true})).await.expect(200);
    let request = gateway.upstream.last::<user::UpdateUserRequest>("UpdateUser");
    assert_eq!((request.role(), request.disabled), (user::Role::Staff, Some(true)));
    assert_eq!(request.user_id, USER_ID);

    gateway.upstream.answers("ChangePassword", &user::ChangePasswordResponse {});
    gateway.upstream.answers("DeleteUser", &user::DeleteUserResponse {});
    gateway.upstream.answers("Logout", &user::LogoutResponse {});
    let change = json!({"current_password": "a", "new_password": "b"});
    let answer = customer.send(customer.request(Method::PUT, "/users/me/password").json(&change)).await.expect(204);
    assert_eq!((answer.text.as_str(), answer.header("content-type")), ("", None));
    customer.delete("/users/me").await.expect(204);
    gateway.anonymous().post("/auth/logout", &json!({"refresh_token": "r"})).await.expect(204);
    assert_eq!(gateway.upstream.last::<user::LogoutRequest>("Logout").refresh_token, "r");
}

#[tokio::test]
async fn addresses() {
    let gateway = Gateway::start().await;
    let customer = gateway.customer();
    let mut address_json = postal_address_json();
    address_json["id"] = json!(ID);
    address_json["label"] = Value::Null;

    gateway.upstream.answers("CreateAddress", &user::CreateAddressResponse { address: Some(wire::address()) });
    let body = json!({"recipient": "Ada", "line1": "1", "city": "Berlin", "postal_code": "10117", "country": "DE", "line2": null});
    let made = customer.post("/users/me/addresses", &body).await.expect(201);
    assert_eq!(made.json(), address_json);
    assert_eq!(made.header("location"), Some(format!("/api/v1/users/me/addresses/{ID}").as_str()));

    gateway.upstream.answers("UpdateAddress", &user::UpdateAddressResponse { address: Some(wire::address()) });
    let path = format!("/users/me/addresses/{ID}");
    let changes = json!({"line2": null, "label": null, "city": "Bonn"});
    let request = customer.request(Method::PATCH, &path).header("content-type", "application/merge-patch+json");
    assert_eq!(customer.send(request.body(changes.to_string())).await.expect(200).json(), address_json);
    let request = gateway.upstream.last::<user::UpdateAddressRequest>("UpdateAddress");
    assert_eq!((request.line2, request.label), (Some(String::new()), Some(String::new())));
    assert_eq!((request.city, request.recipient), (Some("Bonn".into()), None));
    let problem = customer.patch(&path, &json!({"city": null})).await.problem(400, "VALIDATION_FAILED");
    assert_eq!(problem["errors"][0]["pointer"], "/city");

    gateway.upstream.answers("DeleteAddress", &user::DeleteAddressResponse {});
    customer.delete(&path).await.expect(204);
    let reply = user::ListAddressesResponse { addresses: vec![wire::address()], next_cursor: String::new() };
    gateway.upstream.answers("ListAddresses", &reply);
    let page = customer.get("/users/me/addresses").await.expect(200);
    assert_eq!(page.json(), json!({"items": [address_json], "next_cursor": null}));
    assert_eq!(page.header("link"), None);
}

#[tokio::test]
async fn a_page_of_products_links_to_the_next_with_the_same_filters() {
    let gateway = Gateway::start().await;
    let availability = product::Availability { product_id: ID.into(), available: 42, in_stock: true };
    let listed = product::ListedProduct { product: Some(wire::product()), availability: Some(availability) };
    let reply = product::ListProductsResponse { products: vec![listed], next_cursor: "n/x+t=".into() };
    gateway.upstream.answers("ListProducts", &reply);
    let query =
        "min_price=1&max_price=9&in_stock=false&sort=-price&limit=7&cursor=here&status=active&include=availability";
    let page = gateway.anonymous().get(&format!("/products?{query}")).await.expect(200);

    let mut item = product_json();
    item["availability"] = json!({"product_id": ID, "available": 42, "in_stock": true});
    assert_eq!(page.json(), json!({"items": [item], "next_cursor": "n/x+t="}));
    let filters = "min_price=1&max_price=9&in_stock=false&sort=-price&limit=7&status=active&include=availability";
    let link = format!("</api/v1/products?{filters}&cursor=n%2Fx%2Bt%3D>; rel=\"next\"");
    assert_eq!(page.header("link"), Some(link.as_str()));

    let request = gateway.upstream.last::<product::ListProductsRequest>("ListProducts");
    assert_eq!((request.min_price, request.max_price, request.in_stock), (Some(1), Some(9), Some(false)));
    assert_eq!((request.sort(), request.status()), (product::ProductSort::PriceDesc, product::ProductStatus::Active));
    assert_eq!((request.limit, request.cursor.as_str(), request.include_availability), (7, "here", true));
    gateway.anonymous().get("/products").await.expect(200);
    let request = gateway.upstream.last::<product::ListProductsRequest>("ListProducts");
    assert_eq!(request, product::ListProductsRequest { limit: 20, ..Default::default() });
}

#[tokio::test]
async fn a_product_is_found_by_id_or_slug_and_not_sent_twice() {
    use product::get_product_request::Key;
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    let answer = client.get("/products/mug").await.expect(200);
    assert_eq!((answer.json(), answer.header("etag")), (product_json(), Some("\"7\"")));
    assert_eq!(gateway.upstream.last::<product::GetProductRequest>("GetProduct").key, Some(Key::Slug("mug".into())));
    client.get(&format!("/products/{ID}")).await.expect(200);
    assert_eq!(gateway.upstream.last::<product::GetProductRequest>("GetProduct").key, Some(Key::Id(ID.into())));

    for (tags, status) in
        [("\"7\"", 304), ("W/\"7\"", 304), ("\"6\", \"7\"", 304), ("*", 304), ("\"6\"", 200), ("7", 200)]
    {
        let request = client.request(Method::GET, "/products/mug").header("if-none-match", tags);
        let answer = client.send(request).await.expect(status);
        assert_eq!(answer.header("etag"), Some("\"7\""), "{tags}");
        assert_eq!(answer.text.is_empty(), status == 304, "{tags}");
    }
}

#[tokio::test]
async fn a_product_is_made_and_changed_as_its_patch_says() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    gateway.upstream.answers("CreateProduct", &product::CreateProductResponse { product: Some(wire::product()) });
    let new = json!({"sku": "MUG", "slug": "mug", "name": "Mug", "price": {"amount": 1999, "currency": "USD"}});
    let made = staff.post("/products", &new).await.expect(201);
    assert_eq!((made.json(), made.header("etag")), (product_json(), Some("\"7\"")));
    assert_eq!(made.header("location"), Some(format!("/api/v1/products/{ID}").as_str()));

    gateway.upstream.answers("UpdateProduct", &product::UpdateProductResponse { product: Some(wire::product()) });
    let change =
        |body: Value| staff.request(Method::PATCH, &format!("/products/{ID}")).header("if-match", "\"6\"").json(&body);
    let last = || gateway.upstream.last::<product::UpdateProductRequest>("UpdateProduct");
    let answer = staff.send(change(json!({}))).await.expect(200);
    assert_eq!(answer.header("etag"), Some("\"7\""));
    let nothing = product::UpdateProductRequest { product_id: ID.into(), expected_version: 6, ..Default::default() };
    assert_eq!(last(), nothing);

    let patch = json!({
        "name": "New", "description": null, "price": {"amount": 5, "currency": "USD"}, "slug": "new", "image_url": null,
        "attributes": {"colour": "red", "season": null}, "status": "active"
    });
    staff.send(change(patch)).await.expect(200);
    let expected = product::UpdateProductRequest {
        name: Some("New".into()),
        description: Some(String::new()),
        price: wire::money(5),
        slug: Some("new".into()),
        image_url: Some(String::new()),
        attributes: [("colour".to_owned(), "red".to_owned())].into(),
        dropped_attributes: vec!["season".into()],
        status: Some(product::ProductStatus::Active.into()),
        ..nothing.clone()
    };
    assert_eq!(last(), expected);
    staff.send(change(json!({"attributes": null}))).await.expect(200);
    assert_eq!(last(), product::UpdateProductRequest { clear_attributes: true, ..nothing });

    for required in ["name", "price", "slug", "status"] {
        let problem = staff.send(change(json!({required: null}))).await.problem(400, "VALIDATION_FAILED");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{required}"));
    }

    gateway.upstream.answers("ArchiveProduct", &product::ArchiveProductResponse { product: Some(wire::product()) });
    let request = staff.request(Method::DELETE, &format!("/products/{ID}")).header("if-match", "\"6\"");
    staff.send(request).await.expect(204);
    assert_eq!(gateway.upstream.last::<product::ArchiveProductRequest>("ArchiveProduct").expected_version, 6);
}

#[tokio::test]
async fn a_change_states_its_version() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    for method in [Method::PATCH, Method::DELETE] {
        let request = || staff.request(method.clone(), &format!("/products/{ID}")).json(&json!({}));
        staff.send(request()).await.problem(428, "PRECONDITION_REQUIRED");
        for malformed in ["6", "*", "\"6\", \"7\""] {
            let problem = staff.send(request().header("if-match", malformed)).await.problem(400, "MALFORMED_REQUEST");
            assert_eq!(problem["errors"][0]["pointer"], "If-Match");
        }
        staff.send(request().header("if-match", "\"another\"")).await.problem(412, "STALE_VERSION");
    }
    assert!(gateway.upstream.calls("UpdateProduct").is_empty());
}

#[tokio::test]
async fn stock() {
    let gateway = Gateway::start().await;
    let availability = product::Availability { product_id: ID.into(), available: 0, in_stock: false };
    gateway
        .upstream
        .answers("GetAvailability", &product::GetAvailabilityResponse { availabilities: vec![availability] });
    let path = format!("/products/{ID}");
    let answer = gateway.anonymous().get(&format!("{path}/availability")).await.expect(200);
    assert_eq!(answer.json(), json!({"product_id": ID, "available": 0, "in_stock": false}));
    gateway.upstream.answers("GetAvailability", &product::GetAvailabilityResponse::default());
    gateway.anonymous().get(&format!("{path}/availability")).await.problem(404, "NOT_FOUND");

    let staff = gateway.staff();
    let inventory = json!({"product_id": ID, "on_hand": 50, "reserved": 8, "available": 42});
    assert_eq!(staff.get(&format!("{path}/inventory")).await.expect(200).json(), inventory);

    let adjust = || {
        let request =
            staff.request(Method::POST, &format!("{path}/inventory/adjustments")).header("idempotency-key", "k-1");
        request.json(&json!({"delta": -3, "reason": "broken"}))
    };
    for (replayed, header) in [(false, None), (true, Some("true"))] {
        let reply = product::AdjustInventoryResponse { adjustment: Some(wire::adjustment()), replayed };
        gateway.upstream.answers("AdjustInventory", &reply);
        let answer = staff.send(adjust()).await.expect(201);
        assert_eq!(answer.header("idempotency-replayed"), header);
        let expected = json!({
            "id": ID, "delta": -3, "reason": "broken", "actor": USER_ID, "at": "1970-01-01T00:00:02.00025Z",
            "inventory": inventory
        });
        assert_eq!(answer.json(), expected);
    }
    let request = gateway.upstream.last::<product::AdjustInventoryRequest>("AdjustInventory");
    let expected = product::AdjustInventoryRequest {
        product_id: ID.into(),
        delta: -3,
        reason: "broken".into(),
        idempotency_key: "k-1".into(),
    };
    assert_eq!(request, expected);
}

#[tokio::test]
async fn an_order_is_placed_once_for_its_key() {
    use order::create_order_request::Destination;
    let gateway = Gateway::start().await;
    let customer = gateway.customer();
    let place = |destination: (&str, Value)| {
        let mut body = json!({"items": [{"product_id": ID, "quantity": 2}]});
        body[destination.0] = destination.1;
        customer.request(Method::POST, "/orders").header("idempotency-key", "k-1").json(&body)
    };
    for (replayed, header) in [(false, None), (true, Some("true"))] {
        let reply = order::CreateOrderResponse { order: Some(wire::order()), replayed };
        gateway.upstream.answers("CreateOrder", &reply);
        let answer = customer.send(place(("address_id", json!(ID)))).await.expect(201);
        assert_eq!((answer.json(), answer.header("idempotency-replayed")), (order_json(), header));
        assert_eq!(answer.header("location"), Some(format!("/api/v1/orders/{ID}").as_str()));
    }
    let request = gateway.upstream.last::<order::CreateOrderRequest>("CreateOrder");
    assert_eq!(request.idempotency_key, "k-1");
    assert_eq!(request.items, [order::OrderLine { product_id: ID.into(), quantity: 2 }]);
    assert_eq!(request.destination, Some(Destination::AddressId(ID.into())));
    customer.send(place(("shipping_address", postal_address_json()))).await.expect(201);
    let request = gateway.upstream.last::<order::CreateOrderRequest>("CreateOrder");
    assert_eq!(request.destination, Some(Destination::ShippingAddress(wire::postal_address())));

    let both = json!({"items": [], "address_id": ID, "shipping_address": postal_address_json()});
    let request = customer.request(Method::POST, "/orders").header("idempotency-key", "k-1").json(&both);
    let problem = customer.send(request).await.problem(400, "VALIDATION_FAILED");
    assert_eq!(problem["errors"][0]["pointer"], "/address_id");
}

#[tokio::test]
async fn an_order_is_null_where_it_has_nothing_yet() {
    let gateway = Gateway::start().await;
    let rejected = order::Order {
        status: order::OrderStatus::Rejected.into(),
        items: vec![order::OrderItem { product_id: ID.into(), quantity: 2, ..Default::default() }],
        total: None,
        reason: order::OrderReason::OutOfStock.into(),
        expires_at: None,
        refund_due: wire::money(5),
        ..wire::order()
    };
    gateway.upstream.answers("GetOrder", &order::GetOrderResponse { order: Some(rejected) });
    let order = gateway.customer().get(&format!("/orders/{ID}")).await.expect(200).json();
    assert_eq!(
        order["items"],
        json!([{"product_id": ID, "sku": null, "name": null, "quantity": 2, "unit_price": null, "line_total": null}])
    );
    assert_eq!((&order["status"], &order["reason"]), (&json!("rejected"), &json!("out_of_stock")));
    assert_eq!((&order["total"], &order["expires_at"]), (&Value::Null, &Value::Null));
    assert_eq!(order["refund_due"], json!({"amount": 5, "currency": "USD"}));
}

#[tokio::test]
async fn orders_are_listed_by_their_filters() {
    let gateway = Gateway::start().await;
    let reply = order::ListOrdersResponse { orders: vec![wire::order()], next_cursor: "next".into() };
    gateway.upstream.answers("ListOrders", &reply);
    let path = format!("/orders?status=paid&user_id={USER_ID}&refund_due=true&limit=100");
    let page = gateway.staff().get(&path).await.expect(200);
    assert_eq!(page.json(), json!({"items": [order_json()], "next_cursor": "next"}));
    assert_eq!(page.header("link"), Some(format!("</api/v1{path}&cursor=next>; rel=\"next\"").as_str()));
    let request = gateway.upstream.last::<order::ListOrdersRequest>("ListOrders");
    assert_eq!((request.status(), request.user_id.as_str()), (order::OrderStatus::Paid, USER_ID));
    assert_eq!((request.refund_due, request.limit), (Some(true), 100));

    let entry = order::HistoryEntry {
        version: 1,
        from: 0,
        to: order::OrderStatus::Pending.into(),
        actor: USER_ID.into(),
        reason: 0,
        at: wire::at(0),
        note: String::new(),
    };
    let reply = order::ListOrderHistoryResponse { entries: vec![entry], next_cursor: String::new() };
    gateway.upstream.answers("ListOrderHistory", &reply);
    let page = gateway.customer().get(&format!("/orders/{ID}/history")).await.expect(200);
    let expected = json!({
        "version": 1, "from": null, "to": "pending", "actor": USER_ID, "reason": null, "note": null,
        "at": "1970-01-01T00:00:00.00025Z"
    });
    assert_eq!(page.json(), json!({"items": [expected], "next_cursor": null}));
}

#[tokio::test]
async fn actions_take_an_empty_object_or_nothing() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    gateway.upstream.answers("ShipOrder", &order::ShipOrderResponse { order: Some(wire::order()) });
    gateway.upstream.answers("DeliverOrder", &order::DeliverOrderResponse { order: Some(wire::order()) });
    gateway.upstream.answers("CancelOrder", &order::CancelOrderResponse { order: Some(wire::order()) });
    for action in ["ship", "deliver", "cancel"] {
        let path = format!("/orders/{ID}/{action}");
        let bare = staff.send(staff.request(Method::POST, &path)).await.expect(200);
        assert_eq!(bare.json(), order_json());
        staff.post(&path, &json!({})).await.expect(200);
        staff.post(&path, &json!({"more": 1})).await.problem(400, "MALFORMED_REQUEST");
    }
    let cancel = format!("/orders/{ID}/cancel");
    staff.post(&cancel, &json!({"reason": "Ordered twice."})).await.expect(200);
    assert_eq!(gateway.upstream.last::<order::CancelOrderRequest>("CancelOrder").note, "Ordered twice.");
    staff.post(&cancel, &json!({"reason": null})).await.expect(200);
    assert_eq!(gateway.upstream.last::<order::CancelOrderRequest>("CancelOrder").note, "");
}

#[tokio::test]
async fn money_is_recorded_first_and_again() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    let amount = json!({"amount": 3998, "currency": "USD"});
    for (replayed, status) in [(false, 201), (true, 200)] {
        let reply =
            order::RecordPaymentResponse { payment: Some(wire::payment()), order: Some(wire::order()), replayed };
        gateway.upstream.answers("RecordPayment", &reply);
        let body = json!({"reference": "transfer-1", "amount": amount});
        let payment = staff.post(&format!("/orders/{ID}/payments"), &body).await.expect(status).json();
        let expected = json!({
            "id": ID, "order_id": ID, "reference": "transfer-1", "amount": amount, "outcome": "applied",
            "recorded_at": "1970-01-01T00:00:03.00025Z", "order": order_json()
        });
        assert_eq!(payment, expected);

        let reply = order::RefundOrderResponse { refund: Some(wire::refund()), order: Some(wire::order()), replayed };
        gateway.upstream.answers("RefundOrder", &reply);
        let body = json!({"reference": "refund-1", "amount": amount, "restock": true});
        let refund = staff.post(&format!("/orders/{ID}/refund"), &body).await.expect(status).json();
        let expected = json!({
            "id": ID, "order_id": ID, "reference": "refund-1", "amount": amount, "restock": true,
            "recorded_at": "1970-01-01T00:00:04.00025Z", "order": order_json()
        });
        assert_eq!(refund, expected);
    }
    let request = gateway.upstream.last::<order::RefundOrderRequest>("RefundOrder");
    assert_eq!((request.amount, request.restock), (wire::money(3998), true));
}

#[tokio::test]
async fn a_webhook_goes_on_byte_for_byte() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("ReceivePaymentWebhook", &order::ReceivePaymentWebhookResponse { replayed: false });
    let client = gateway.anonymous();
    let body = b" {\"id\" : \"\xff\" }\n".to_vec();
    let request =
        client.request(Method::POST, "/webhooks/payments").header("x-shop-signature", "t=1,v1=ab").body(body.clone());
    assert_eq!(client.send(request).await.expect(200).json(), json!({"replayed": false}));
    let request = gateway.upstream.last::<order::ReceivePaymentWebhookRequest>("ReceivePaymentWebhook");
    assert_eq!((request.body.as_slice(), request.signature.as_str()), (body.as_slice(), "t=1,v1=ab"));
    client.send(client.request(Method::POST, "/webhooks/payments").body("{}")).await.expect(200);
    let request = gateway.upstream.last::<order::ReceivePaymentWebhookRequest>("ReceivePaymentWebhook");
    assert_eq!(request.signature, "");
}
