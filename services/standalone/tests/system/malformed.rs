//! Requests that no well-meaning client sends, each with the answer that the documentation promises.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::{
    client::{Client, order_of},
    shop::Shop,
};

/// A request as bytes, and the status and code it must meet.
struct Case {
    what: &'static str,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    pointer: Option<&'static str>,
}

fn case(what: &'static str, method: Method, path: impl Into<String>, status: u16, code: &'static str) -> Case {
    Case { what, method, path: path.into(), headers: Vec::new(), body: Vec::new(), status, code, pointer: None }
}

impl Case {
    fn json(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.headers.push(("content-type", "application/json".to_owned()));
        self.body = body.into();
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn at(mut self, pointer: &'static str) -> Self {
        self.pointer = Some(pointer);
        self
    }
}

fn cases(product: Uuid) -> Vec<Case> {
    let order = |body: &str| {
        let body = body.replace("PRODUCT", &product.to_string());
        move |case: Case| case.header("idempotency-key", &Uuid::new_v4().to_string()).json(body)
    };
    let orders = || case("", Method::POST, "/orders", 400, "MALFORMED_REQUEST");
    let address = r#""shipping_address":{"recipient":"A","line1":"B","city":"C","postal_code":"1","country":"DE"}"#;
    let with_items = |items: &str| format!("{{\"items\":{items},{address}}}");
    let mut cases = vec![
        Case { what: "no body", ..order("")(orders()) },
        Case { what: "truncated JSON", ..order(r#"{"items":[{"#)(orders()) },
        Case { what: "two documents", ..order("{}{}")(orders()) },
        Case { what: "a list instead of an object", ..order("[]")(orders()) },
        Case {
            what: "an unknown field",
            ..order(&with_items("[]").replace("\"items\"", "\"gift\":true,\"items\""))(orders())
        },
        Case { what: "a missing field", ..order(&format!("{{{address}}}"))(orders()) },
        Case {
            what: "a wrong type",
            ..order(&with_items(r#"[{"product_id":"PRODUCT","quantity":"three"}]"#))(orders()).at("/items/0/quantity")
        },
        Case {
            what: "a fraction",
            ..order(&with_items(r#"[{"product_id":"PRODUCT","quantity":1.5}]"#))(orders()).at("/items/0/quantity")
        },
        Case {
            what: "a huge number",
            ..order(&with_items(r#"[{"product_id":"PRODUCT","quantity":99999999999999999999999}]"#))(orders())
                .at("/items/0/quantity")
        },
        Case {
            what: "no UUID",
            ..order(&with_items(r#"[{"product_id":"PRODUCT-1","quantity":1}]"#))(orders()).at("/items/0/product_id")
        },
        Case { what: "deep nesting", ..order(&"[".repeat(100_000))(orders()) },
    ];
    let invalid = || case("", Method::POST, "/orders", 400, "VALIDATION_FAILED");
    for (what, items, pointer) in [
        ("no lines", "[]".to_owned(), "/items"),
        ("quantity 0", r#"[{"product_id":"PRODUCT","quantity":0}]"#.to_owned(), "/items/0/quantity"),
        ("a negative quantity", r#"[{"product_id":"PRODUCT","quantity":-1}]"#.to_owned(), "/items/0/quantity"),
        ("too large a quantity", r#"[{"product_id":"PRODUCT","quantity":10001}]"#.to_owned(), "/items/0/quantity"),
        ("too many lines", format!("[{}]", vec![r#"{"product_id":"PRODUCT","quantity":1}"#; 101].join(",")), "/items"),
    ] {
        cases.push(Case { what, ..order(&with_items(&items))(invalid()).at(pointer) });
    }
    let nul = with_items(r#"[{"product_id":"PRODUCT","quantity":1}]"#).replace("\"A\"", "\"A\\u0000\"");
    cases.push(Case { what: "NUL in a text", ..order(&nul)(invalid()).at("/shipping_address/recipient") });
    let two_places = with_items(r#"[{"product_id":"PRODUCT","quantity":1}]"#)
        .replace("\"items\"", &format!("\"address_id\":\"{}\",\"items\"", Uuid::now_v7()));
    cases.push(Case { what: "two destinations", ..order(&two_places)(invalid()) });

    let good = order_of(product, 1).to_string();
    let keyed = |key: &str| {
        case("", Method::POST, "/orders", 400, "VALIDATION_FAILED").header("idempotency-key", key).json(good.clone())
    };
    cases.extend([
        Case { what: "no key", ..case("", Method::POST, "/orders", 400, "VALIDATION_FAILED").json(good.clone()) },
        Case { what: "an empty key", ..keyed("") },
        Case { what: "too long a key", ..keyed(&"k".repeat(256)) },
        Case { what: "a key with a space", ..keyed("a key") },
        Case {
            what: "bad UTF-8",
            ..case("", Method::POST, "/orders", 400, "MALFORMED_REQUEST")
                .header("idempotency-key", "utf8")
                .json(b"{\"items\":\"\xff\xfe\"}".to_vec())
        },
        Case {
            what: "another media type",
            ..Case {
                body: good.clone().into_bytes(),
                ..case("", Method::POST, "/orders", 415, "UNSUPPORTED_MEDIA_TYPE")
            }
            .header("idempotency-key", "media")
            .header("content-type", "text/plain")
        },
        Case {
            what: "too large a body",
            ..case("", Method::POST, "/orders", 413, "BODY_TOO_LARGE")
                .header("idempotency-key", "large")
                .json(vec![b' '; 1024 * 1024 + 1])
        },
        case("a cursor of nobody", Method::GET, "/products?cursor=AAAA", 400, "INVALID_CURSOR"),
        case("a limit of 0", Method::GET, "/products?limit=0", 400, "MALFORMED_REQUEST"),
        case("a limit of 101", Method::GET, "/products?limit=101", 400, "MALFORMED_REQUEST"),
        case("a negative limit", Method::GET, "/products?limit=-1", 400, "MALFORMED_REQUEST"),
        case("a limit in words", Method::GET, "/products?limit=ten", 400, "MALFORMED_REQUEST"),
        case("an unknown parameter", Method::GET, "/products?colour=red", 400, "MALFORMED_REQUEST"),
        case("min above max", Method::GET, "/products?min_price=2&max_price=1", 400, "VALIDATION_FAILED"),
        case("an unknown sort", Method::GET, "/products?sort=weight", 400, "MALFORMED_REQUEST"),
        case("no UUID in a path", Method::GET, "/orders/first", 400, "MALFORMED_REQUEST"),
        case("an unknown route", Method::GET, "/carts", 404, "NOT_FOUND"),
        case("a wrong method", Method::DELETE, "/orders", 405, "METHOD_NOT_ALLOWED"),
    ]);
    cases
}

#[tokio::test]
async fn every_malformed_request_meets_its_documented_answer() {
    let shop = Shop::start().await;
    let product = Client::admin(&shop).await.product(100, 10).await;
    let (customer, _) = Client::customer(&shop).await;
    // A refused body ends its connection, so each request has its own.
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let mut wrong = Vec::new();
    for case in cases(product) {
        let mut request = http.request(case.method.clone(), customer.url(&case.path));
        request = request.bearer_auth(customer.token.as_deref().unwrap()).body(case.body);
        for (name, value) in &case.headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.unwrap();
        let (status, media) = (response.status().as_u16(), response.headers().get("content-type").cloned());
        let body: serde_json::Value = response.json().await.unwrap_or_default();
        let pointer_fits = case.pointer.is_none_or(|pointer| body["errors"][0]["pointer"] == json!(pointer));
        if (status, body["code"].as_str()) != (case.status, Some(case.code))
            || media.is_none_or(|media| media != "application/problem+json")
            || !pointer_fits
        {
            wrong.push(format!(
                "{}: {status} {body:#}, expected {} {} {:?}",
                case.what, case.status, case.code, case.pointer
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(customer.get("/orders").await.expect(200).body["items"], json!([]), "something was ordered after all");
}
