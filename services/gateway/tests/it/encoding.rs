//! Compressed answers, and what becomes of entity tags.

use std::io::Read as _;

use reqwest::Method;
use serde_json::{Value, json};
use shop_proto::product;

use crate::support::{Answer, Client, Gateway, wire};

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

async fn accepting(client: &Client, method: Method, path: &str, codings: &str) -> Answer {
    client.send(client.request(method, path).header("accept-encoding", codings)).await
}

fn decoded(coding: &str, bytes: &[u8]) -> Value {
    let mut plain = Vec::new();
    match coding {
        "gzip" => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap()),
        "br" => drop(brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain).unwrap()),
        "zstd" => plain = zstd::stream::decode_all(bytes).unwrap(),
        _ => plain = bytes.to_vec(),
    }
    serde_json::from_slice(&plain).unwrap()
}

#[tokio::test]
async fn a_client_gets_the_coding_it_takes() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::wordy_product_reply());
    let client = gateway.anonymous();
    let plain = accepting(&client, Method::GET, "/products/mug", "identity").await.expect(200);
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
    for coding in CODINGS {
        let answer = accepting(&client, Method::GET, "/products/mug", coding).await.expect(200);
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
        assert_eq!(answer.header("content-length"), Some(answer.bytes.len().to_string().as_str()));
        assert!(answer.bytes.len() * 4 < plain.bytes.len(), "{coding}: {} bytes", answer.bytes.len());
        assert_eq!(decoded(coding, &answer.bytes), plain.json());
        // HEAD says the same.
        let head = accepting(&client, Method::HEAD, "/products/mug", coding).await.expect(200);
        for header in ["content-encoding", "content-length", "etag", "vary", "content-type"] {
            assert_eq!(head.header(header), answer.header(header), "{coding}: {header}");
        }
        assert!(head.bytes.is_empty());
    }
    for none in ["deflate", "gzip;q=0", "*;q=0"] {
        assert_eq!(accepting(&client, Method::GET, "/products/mug", none).await.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn each_form_has_a_tag_and_each_tag_stands_for_the_version() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::wordy_product_reply());
    gateway.upstream.answers("UpdateProduct", &product::UpdateProductResponse { product: Some(wire::product()) });
    let (client, staff) = (gateway.anonymous(), gateway.staff());
    let mut tags = vec!["\"7\"".to_owned()];
    for coding in CODINGS {
        let answer = accepting(&client, Method::GET, "/products/mug", coding).await.expect(200);
        tags.push(answer.header("etag").unwrap().to_owned());
    }
    assert_eq!(tags, ["\"7\"", "\"7-gzip\"", "\"7-br\"", "\"7-zstd\""]);
    for tag in &tags {
        // Whatever form it would get now, it has the version, under the tag it knows.
        for codings in ["identity", "gzip", "br"] {
            let request = client.request(Method::GET, "/products/mug").header("if-none-match", tag);
            let answer = client.send(request.header("accept-encoding", codings)).await.expect(304);
            assert_eq!((answer.header("etag"), answer.header("vary")), (Some(tag.as_str()), Some("accept-encoding")));
            assert!(answer.bytes.is_empty() && answer.header("content-encoding").is_none());
        }
        let request = staff.request(Method::PATCH, &format!("/products/{}", wire::ID)).header("if-match", tag);
        staff.send(request.json(&json!({"name": "Mug"}))).await.expect(200);
        let request = gateway.upstream.last::<product::UpdateProductRequest>("UpdateProduct");
        assert_eq!(request.expected_version, 7, "{tag}");
    }
}

#[tokio::test]
async fn what_gains_nothing_stays_as_it_is() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    let small = accepting(&client, Method::GET, "/products/mug", "gzip, br, zstd").await.expect(200);
    assert_eq!((small.header("content-encoding"), small.header("etag")), (None, Some("\"7\"")));
    let picture = accepting(&client, Method::GET, "//docs/favicon-32x32.png", "gzip, br, zstd").await.expect(200);
    assert_eq!((picture.header("content-encoding"), picture.header("vary")), (None, None));
    let problem = accepting(&client, Method::GET, "/nothing", "gzip").await;
    problem.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn documents_are_compressed_and_known_again() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let plain = client.get("//openapi.json").await.expect(200);
    for path in ["//openapi.json", "//docs/", "//docs/swagger-ui-bundle.js", "//docs/swagger-ui.css"] {
        let answer = accepting(&client, Method::GET, path, "gzip").await.expect(200);
        assert_eq!(answer.header("content-encoding").is_some(), path != "//docs/", "{path}");
        let tag = answer.header("etag").unwrap_or_else(|| panic!("{path} has no tag"));
        let request = client.request(Method::GET, path).header("if-none-match", tag);
        assert!(client.send(request).await.expect(304).bytes.is_empty(), "{path}");
    }
    let compressed = accepting(&client, Method::GET, "//openapi.json", "br").await.expect(200);
    assert_eq!(decoded("br", &compressed.bytes), plain.json());
    assert!(compressed.bytes.len() * 5 < plain.bytes.len());
}
