//! Requests that can't be read, each with its 4xx, its code and the place of the fault.

use reqwest::Method;
use serde_json::json;
use shop_proto::order;

use crate::support::{
    Gateway,
    wire::{self, ID},
};

/// Bodies of `POST /orders` and what is said of each: code, pointer, and a part of the detail.
const BODIES: &[(&str, &str, &str)] = &[
    // No JSON.
    ("", "", "EOF"),
    ("{", "", "line 1 column 1"),
    ("{\"items\": [}", "", "line 1 column 12"),
    ("{\"items\": []} trailing", "", "trailing characters"),
    ("\u{feff}{}", "", "line 1 column 1"),
    ("{'items': []}", "", "line 1 column 2"),
    ("{\"items\": NaN}", "", "line 1"),
    ("{\"items\": [{\"quantity\": 1e999}]}", "", "number out of range"),
    // JSON of another shape.
    ("[]", "", "expected an object"),
    ("null", "", "expected an object"),
    ("\"text\"", "", "expected an object"),
    ("{}", "/items", "missing field"),
    ("{\"items\": null}", "/items", "expected a sequence"),
    ("{\"items\": {}}", "/items", "expected a sequence"),
    ("{\"items\": [1]}", "/items/0", "expected an object"),
    // An array of an object's values is not that object, wherever it stands.
    ("[[{\"product_id\": \"ID\", \"quantity\": 1}], \"ID\", null]", "", "expected an object"),
    ("{\"items\": [[\"ID\", 1]], \"address_id\": \"ID\"}", "/items/0", "expected an object"),
    (
        "{\"items\": [], \"shipping_address\": [\"Ada\", \"Street 1\", null, \"Berlin\", null, \"10117\", \"DE\"]}",
        "/shipping_address",
        "expected an object",
    ),
    ("{\"items\": [{\"product_id\": \"ID\"}]}", "/items/0/quantity", "missing field"),
    ("{\"items\": [{\"product_id\": \"ID\", \"quantity\": \"1\"}]}", "/items/0/quantity", "expected an integer"),
    ("{\"items\": [{\"product_id\": \"ID\", \"quantity\": 1.5}]}", "/items/0/quantity", "expected an integer"),
    ("{\"items\": [{\"product_id\": \"ID\", \"quantity\": true}]}", "/items/0/quantity", "expected an integer"),
    (
        "{\"items\": [{\"product_id\": \"ID\", \"quantity\": 9223372036854775808}]}",
        "/items/0/quantity",
        "expected an integer",
    ),
    (
        "{\"items\": [{\"product_id\": \"ID\", \"quantity\": 1}, {\"product_id\": \"x\", \"quantity\": 1}]}",
        "/items/1/product_id",
        "UUID",
    ),
    (
        "{\"items\": [{\"product_id\": \"0198c9a57d3e7c4e9d0a3f1f5f0a1b2c\", \"quantity\": 1}]}",
        "/items/0/product_id",
        "UUID",
    ),
    ("{\"items\": [], \"more\": 1}", "/more", "unknown field"),
    ("{\"items\": [{\"product_id\": \"ID\", \"quantity\": 1, \"a/b~\": 1}]}", "/items/0/a~1b~0", "unknown field"),
    ("{\"items\": [], \"items\": []}", "/items", "duplicate field"),
    ("{\"items\": [], \"a`b at line 1\": 1}", "/a`b at line 1", "`a`b at line 1`"),
    ("{\"items\": [], \"shipping_address\": {\"recipient\": 1}}", "/shipping_address/recipient", "expected a string"),
];

#[tokio::test]
async fn bodies() {
    let gateway = Gateway::start().await;
    let client = gateway.customer();
    for (body, pointer, detail) in BODIES {
        let request = client
            .request(Method::POST, "/orders")
            .header("idempotency-key", "k")
            .header("content-type", "application/json")
            .body(body.replace("ID", ID));
        let answer = client.send(request).await;
        let problem = answer.problem(400, "MALFORMED_REQUEST");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{body}: {problem}");
        match problem["errors"].as_array().unwrap().first() {
            Some(error) => assert_eq!(error["pointer"], *pointer, "{body}: {problem}"),
            None => assert_eq!(*pointer, "", "{body}: {problem}"),
        }
    }
    let deep = "[".repeat(100_000);
    let request = client.request(Method::POST, "/orders").header("idempotency-key", "k");
    let request = request.header("content-type", "application/json").body(deep);
    client.send(request).await.problem(400, "MALFORMED_REQUEST");
    assert!(gateway.upstream.calls("CreateOrder").is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    for body in [
        &b"{\"email\": \"\xff\"}"[..],
        b"\xff\xfe{\x00}\x00",
        b"\x00",
        b"{\"email\": \"a\x00b\"}",
        b"{\"email\": \"\\ud800\"}",
    ] {
        let request = client.request(Method::POST, "/auth/login").header("content-type", "application/json").body(body);
        let problem = client.send(request).await.problem(400, "MALFORMED_REQUEST");
        assert!(problem["detail"].as_str().unwrap().contains("line 1"), "{problem}");
    }
}

#[tokio::test]
async fn a_name_twice_is_refused_also_where_names_are_free() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    let body = "{\"attributes\": {\"a\": \"1\", \"a\": \"2\"}}";
    let request = staff.request(Method::PATCH, &format!("/products/{ID}")).header("if-match", "\"1\"");
    let request = request.header("content-type", "application/json").body(body);
    let problem = staff.send(request).await.problem(400, "MALFORMED_REQUEST");
    assert_eq!(problem["errors"][0]["pointer"], "/attributes/a");
}

#[tokio::test]
async fn a_field_is_found_also_in_an_object_of_its_own_name() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    for (body, detail) in [
        ("{\"reference\": \"r\", \"amount\": {\"currency\": \"USD\"}}", "missing field"),
        ("{\"reference\": \"r\", \"amount\": {\"amount\": 1, \"amount\": 2}}", "duplicate field"),
        ("{\"reference\": \"r\", \"amount\": {\"amount\": \"1\"}}", "expected an integer"),
    ] {
        let request = staff.request(Method::POST, &format!("/orders/{ID}/payments")).body(body);
        let answer = staff.send(request.header("content-type", "application/json")).await;
        let problem = answer.problem(400, "MALFORMED_REQUEST");
        assert_eq!(problem["errors"][0]["pointer"], "/amount/amount", "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{body}: {problem}");
    }
    assert!(gateway.upstream.calls("RecordPayment").is_empty());
}

#[tokio::test]
async fn actions() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("CancelOrder", &order::CancelOrderResponse { order: Some(wire::order()) });
    let client = gateway.customer();
    let cancel = |body: &'static str| {
        let request = client.request(Method::POST, &format!("/orders/{ID}/cancel")).body(body);
        client.send(if body.is_empty() { request } else { request.header("content-type", "application/json") })
    };
    for body in ["", "{}", "null", "{\"reason\": null}"] {
        cancel(body).await.expect(200);
    }
    assert_eq!(gateway.upstream.calls("CancelOrder").len(), 4);
    for body in ["[]", "[null]", "[\"Ordered twice.\"]", "0", "\"\"", "{\"why\": 1}", " "] {
        cancel(body).await.problem(400, "MALFORMED_REQUEST");
    }
    assert_eq!(gateway.upstream.calls("CancelOrder").len(), 4);
}

#[tokio::test]
async fn content_types() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let send = |content_type: Option<&str>| {
        let request = client.request(Method::POST, "/auth/login").body("{}");
        client.send(match content_type {
            Some(content_type) => request.header("content-type", content_type),
            None => request,
        })
    };
    for other in [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/json; charset=latin1"),
        Some("application/jsonx"),
        Some("application/+json"),
        Some("text/json"),
    ] {
        send(other).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for (name, value) in [("content-type", "text/plain"), ("content-encoding", "gzip")] {
        let request = client.request(Method::POST, "/auth/login").header("content-type", "application/json");
        client.send(request.header(name, value).body("{}")).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for json in [
        "application/json",
        "Application/JSON",
        "application/json; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
        "application/vnd.shop+json",
    ] {
        send(Some(json)).await.problem(400, "MALFORMED_REQUEST");
    }
}

#[tokio::test]
async fn sizes() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let json = |body: reqwest::Body| {
        let request = client.request(Method::POST, "/auth/login").header("content-type", "application/json").body(body);
        client.send(request)
    };
    let fits = " ".repeat(1024 * 1024);
    json(fits.clone().into()).await.problem(400, "MALFORMED_REQUEST");
    json(format!("{fits} ").into()).await.problem(413, "BODY_TOO_LARGE");

    // Without a length it is found out while reading; and an announced one is believed at once.
    let chunked = [
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        format!("100001\r\n{fits} \r\n0\r\n\r\n").into_bytes(),
    ]
    .concat();
    let answer = client.raw(&chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("BODY_TOO_LARGE"), "{answer}");
    let announced =
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{";
    let answer = client.raw(announced).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("BODY_TOO_LARGE"), "{answer}");

    let request = client.request(Method::GET, "/products").header("x-padding", "x".repeat(9_000));
    client.send(request).await.problem(431, "HEADERS_TOO_LARGE");
}

#[tokio::test]
async fn a_body_that_breaks_off() {
    let gateway = Gateway::start().await;
    let request =
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"email\"";
    let answer = gateway.anonymous().raw(request).await;
    // Whoever hangs up may still be told; what matters is that nothing was taken for a login and the server lives.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(gateway.upstream.calls("Login").is_empty());
    gateway.anonymous().get("/nothing").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn paths() {
    let gateway = Gateway::start().await;
    let client = gateway.customer();
    for id in ["x", "1", "0198c9a57d3e7c4e9d0a3f1f5f0a1b2c", "%7B0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c%7D", "%20"] {
        let problem = client.get(&format!("/orders/{id}")).await.problem(400, "MALFORMED_REQUEST");
        assert_eq!(problem["errors"][0]["pointer"], "order_id", "{id}");
    }
    for path in ["/products/a%00b", "/products/%FF", "/products/%C3%28", "/products?cursor=%00", "/products?cursor=%FF"]
    {
        client.get(path).await.problem(400, "MALFORMED_REQUEST");
    }
    for path in ["/products/%zz", "/products/a%2", "/products?cursor=%G1"] {
        let request = format!("GET /api/v1{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = client.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("MALFORMED_REQUEST"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn queries() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    for (path, pointer) in [
        ("/products?colour=blue", "colour"),
        ("/products?limit=0", "limit"),
        ("/products?limit=101", "limit"),
        ("/products?limit=-1", "limit"),
        ("/products?limit=", "limit"),
        ("/products?limit=ten", "limit"),
        ("/products?limit=99999999999999999999", "limit"),
        ("/products?limit=1&limit=2", "limit"),
        ("/products?sort=age", "sort"),
        ("/products?category=", "category"),
        ("/products?in_stock=yes", "in_stock"),
        ("/products?min_price=1.5", "min_price"),
        ("/products?status=gone", "status"),
        ("/products?include=reviews", "include"),
        ("/products?cursor=", "cursor"),
        ("/orders?user_id=me", "user_id"),
        ("/orders?status=PAID", "status"),
        ("/orders?refund_due=1", "refund_due"),
        ("/users?q=ada", "q"),
        ("/users/me?fields=email", "fields"),
    ] {
        let problem = staff.get(path).await;
        if path.starts_with("/users?") {
            gateway.admin().get(path).await.problem(400, "MALFORMED_REQUEST");
            continue;
        }
        let problem = problem.problem(400, "MALFORMED_REQUEST");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{path}: {problem}");
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(!detail.contains("i64") && !detail.contains("i32"), "{path}: {detail}");
    }
}

#[tokio::test]
async fn idempotency_keys() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    let adjustments = format!("/products/{ID}/inventory/adjustments");
    for (path, body) in [("/orders", json!({})), (adjustments.as_str(), json!({}))] {
        let request = || staff.request(Method::POST, path).json(&body);
        let long = "x".repeat(256);
        let refused =
            |problem: serde_json::Value| assert_eq!(problem["errors"][0]["pointer"], "Idempotency-Key", "{problem}");
        refused(staff.send(request()).await.problem(400, "VALIDATION_FAILED"));
        for key in ["", "a b", "ü", &long] {
            refused(staff.send(request().header("idempotency-key", key)).await.problem(400, "VALIDATION_FAILED"));
        }
        let twice = request().header("idempotency-key", "a").header("idempotency-key", "b");
        refused(staff.send(twice).await.problem(400, "MALFORMED_REQUEST"));
        // A key of the greatest length gets as far as the body.
        let problem =
            staff.send(request().header("idempotency-key", "x".repeat(255))).await.problem(400, "MALFORMED_REQUEST");
        assert_ne!(problem["errors"][0]["pointer"], "Idempotency-Key");
    }
}
