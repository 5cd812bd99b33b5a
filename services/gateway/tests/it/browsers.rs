//! Pages in browsers: which may call, what they may read, and what every answer tells a browser not to do.

use reqwest::Method;
use shop_proto::status::{Reason, Refusal};

use crate::support::{Answer, Client, Gateway, wire};

const PAGE: &str = "https://shop.example";

async fn preflight(client: &Client, path: &str, origin: &str, method: &str) -> Answer {
    let request = client
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization, if-match");
    client.send(request).await
}

#[tokio::test]
async fn pages_of_the_configured_origins_may_call_and_read() {
    let gateway = Gateway::start_with(|options| options.edge.cors_origins = vec![PAGE.into()]).await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    let asked = preflight(&client, "/products/mug", PAGE, "PATCH").await.expect(204);
    assert_eq!(asked.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(asked.header("access-control-allow-methods"), Some("GET, HEAD, PATCH, DELETE, OPTIONS"));
    let allowed = asked.header("access-control-allow-headers").unwrap();
    for header in ["authorization", "content-type", "idempotency-key", "if-match", "last-event-id"] {
        assert!(allowed.split(", ").any(|name| name == header), "{header}");
    }
    assert_eq!(asked.header("access-control-max-age"), Some("600"));
    assert_eq!(asked.header("access-control-allow-credentials"), None);
    assert_eq!(asked.header("vary"), Some("origin"));

    let read = client.send(client.request(Method::GET, "/products/mug").header("origin", PAGE)).await.expect(200);
    assert_eq!(read.header("access-control-allow-origin"), Some(PAGE));
    assert!(read.header("access-control-expose-headers").unwrap().contains("etag"));
    let vary: Vec<_> = read.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["accept-encoding", "origin"]);
    // Why it failed is theirs to read, too.
    gateway.upstream.refuses("GetOrder", &Refusal::new(Reason::NotFound, "No."));
    let failed = client.send(client.request(Method::GET, "/nothing").header("origin", PAGE)).await;
    failed.problem(404, "NOT_FOUND");
    assert_eq!(failed.header("access-control-allow-origin"), Some(PAGE));
}

#[tokio::test]
async fn pages_of_other_origins_may_not() {
    let gateway = Gateway::start_with(|options| options.edge.cors_origins = vec![PAGE.into()]).await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    for other in ["https://evil.example", "http://shop.example", "https://shop.example:8443", "null", ""] {
        let asked = preflight(&client, "/products/mug", other, "PATCH").await.expect(204);
        assert_eq!(asked.header("access-control-allow-origin"), None, "{other}");
        assert_eq!(asked.header("access-control-allow-methods"), None, "{other}");
        let read = client.send(client.request(Method::GET, "/products/mug").header("origin", other)).await;
        assert_eq!((read.status, read.header("access-control-allow-origin")), (200, None), "{other}");
    }
    // Without configuration nobody may, and nothing varies with who asks.
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    let read = client.send(client.request(Method::GET, "/products/mug").header("origin", PAGE)).await.expect(200);
    assert_eq!((read.header("access-control-allow-origin"), read.header("vary")), (None, Some("accept-encoding")));
}

#[tokio::test]
async fn any_origin_is_one_star() {
    let gateway = Gateway::start_with(|options| options.edge.cors_origins = vec!["*".into()]).await;
    let client = gateway.anonymous();
    let asked = preflight(&client, "/products", "https://any.example", "GET").await.expect(204);
    assert_eq!(asked.header("access-control-allow-origin"), Some("*"));
    assert_eq!(asked.header("access-control-allow-methods"), Some("GET, HEAD, POST, OPTIONS"));
}

#[tokio::test]
async fn a_preflight_is_no_request_of_the_user() {
    let gateway = Gateway::start_with(|options| {
        options.edge.cors_origins = vec![PAGE.into()];
        options.edge.rate_limit = std::num::NonZeroU32::MIN;
        options.edge.rate_burst = std::num::NonZeroU32::MIN;
    })
    .await;
    let client = gateway.anonymous();
    for _ in 0..5 {
        preflight(&client, "/products", PAGE, "GET").await.expect(204);
    }
}

#[tokio::test]
async fn every_answer_says_what_a_browser_is_not_to_do() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    for path in ["/products/mug", "/nothing", "//openapi.json", "//.well-known/jwks.json"] {
        let answer = client.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        let policy = answer.header("content-security-policy");
        assert_eq!(policy, Some("default-src 'none'; frame-ancestors 'none'"), "{path}");
    }
    // The page of the document loads what comes with it, and nothing from elsewhere.
    let page = client.get("//docs/").await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("http"), "{policy}");
}
