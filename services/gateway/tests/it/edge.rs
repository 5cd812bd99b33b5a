//! What holds for every URL: unknown ones, other methods, HEAD and OPTIONS, and headers of every answer.

use reqwest::Method;
use shop_proto::status::{Reason, Refusal};

use crate::support::{
    Gateway,
    wire::{self, ID},
};

#[tokio::test]
async fn an_unknown_url_is_a_problem() {
    let gateway = Gateway::start().await;
    for path in ["/nothing", "/products/", "/orders/a/b/c", "//", "//api", "//api/v2/products", "/problems"] {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
            let client = gateway.anonymous();
            client.send(client.request(method, path)).await.problem(404, "NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let ask = async |version: &str, hosts: &str| {
        let request = format!("GET /.well-known/jwks.json HTTP/{version}\r\n{hosts}connection: close\r\n\r\n");
        client.raw(request.as_bytes()).await
    };
    for hosts in ["", "host: a\r\nhost: b\r\n", "host: a\r\nhost: a\r\n"] {
        let answer = ask("1.1", hosts).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("MALFORMED_REQUEST"), "{hosts}: {answer}");
    }
    for (version, hosts) in [("1.1", "host: a\r\n"), ("1.0", "")] {
        let answer = ask(version, hosts).await;
        assert!(answer.contains(" 200 OK"), "{version}: {answer}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let product = format!("/products/{ID}");
    let cancel = format!("/orders/{ID}/cancel");
    for (path, allow) in [
        ("/products", "GET, HEAD, POST, OPTIONS"),
        (product.as_str(), "GET, HEAD, PATCH, DELETE, OPTIONS"),
        (cancel.as_str(), "POST, OPTIONS"),
        ("/users/me", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/users/me/password", "PUT, OPTIONS"),
        ("//openapi.json", "GET, HEAD, OPTIONS"),
        ("//docs/", "GET, HEAD, OPTIONS"),
    ] {
        for method in ["TRACE", "BREW", "PUT"] {
            if path.ends_with("password") && method == "PUT" {
                continue;
            }
            let answer = client.send(client.request(method.parse().unwrap(), path)).await;
            answer.problem(405, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
        let answer = client.send(client.request(Method::OPTIONS, path)).await.expect(204);
        assert_eq!(answer.header("allow"), Some(allow), "OPTIONS {path}");
        assert_eq!(answer.text, "");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    let get = client.get("/products/mug").await.expect(200);
    let head = client.send(client.request(Method::HEAD, "/products/mug")).await.expect(200);
    assert_eq!((head.text.as_str(), head.header("etag")), ("", Some("\"7\"")));
    assert_eq!(head.header("content-length"), get.header("content-length"));

    gateway.upstream.refuses("GetProduct", &Refusal::new(Reason::NotFound, "There is no such product."));
    let head = client.send(client.request(Method::HEAD, "/products/cup")).await.expect(404);
    assert_eq!((head.text.as_str(), head.header("content-type")), ("", Some("application/problem+json")));
}

#[tokio::test]
async fn what_anyone_may_see_may_be_kept_and_nothing_else() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    gateway.upstream.answers("GetOrder", &wire::order_reply());
    let customer = gateway.customer();
    for (path, control) in [
        ("/products/mug".to_owned(), "no-cache"),
        (format!("/orders/{ID}"), "no-store"),
        ("//openapi.json".to_owned(), "no-cache"),
        ("//.well-known/jwks.json".to_owned(), "public, max-age=60"),
    ] {
        let answer = customer.get(&path).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some(control), "{path}");
    }
}

#[tokio::test]
async fn a_trace_is_continued_and_named_in_problems() {
    let gateway = Gateway::start().await;
    gateway.upstream.refuses("GetProduct", &Refusal::new(Reason::NotFound, "There is no such product."));
    let client = gateway.anonymous();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request =
        client.request(Method::GET, "/products/mug").header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let problem = client.send(request).await.problem(404, "NOT_FOUND");
    assert_eq!(problem["trace_id"], trace);
    let call = gateway.upstream.calls("GetProduct").pop().unwrap();
    assert!(call.headers["traceparent"].to_str().unwrap().starts_with(&format!("00-{trace}-")), "{:?}", call.headers);
}
