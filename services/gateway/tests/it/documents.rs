//! The OpenAPI document, the page that shows it, the public keys, and the hand-written conventions.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::Value;
use shop_proto::status::Reason;

use crate::support::{Gateway, wire::ID};

fn document() -> Value {
    serde_json::from_str(&shop_gateway::openapi::text()).unwrap()
}

/// Each operation with its method and path.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
        })
        .collect()
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let committed = fs::read_to_string("openapi.json").unwrap();
    assert!(
        committed == shop_gateway::openapi::text(),
        "services/gateway/openapi.json is out of date; regenerate it with\n    \
         cargo run -p shop-gateway -- openapi > services/gateway/openapi.json"
    );
}

#[test]
fn every_operation_is_described() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (method, path, operation) in operations(&document) {
        let at = format!("{method} {path}");
        ids.push(operation["operationId"].as_str().unwrap());
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{at} has no summary");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{at}");
        assert!(operation["security"].is_array(), "{at} does not say who may call");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{at} never succeeds");
        for status in ["400", "429", "431", "500", "503", "504"] {
            assert!(responses.contains_key(status), "{at} lacks {status}");
        }
        if operation["security"] == serde_json::json!([{"bearer": []}]) {
            assert!(responses.contains_key("401"), "{at} lacks 401");
        }
        if operation.get("requestBody").is_some() {
            assert!(responses.contains_key("413"), "{at} lacks 413");
        }
        let named = path.split('/').filter(|part| part.starts_with('{')).count();
        let parameters = operation["parameters"]
            .as_array()
            .map_or(0, |parameters| parameters.iter().filter(|parameter| parameter["in"] == "path").count());
        assert_eq!(named, parameters, "{at} does not describe its path");
    }
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "operation ids repeat: {ids:?}");
}

/// What a reference leads to, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value.get("$ref").and_then(Value::as_str);
    reference.map_or(value, |reference| document.pointer(reference.strip_prefix('#').unwrap()).unwrap())
}

#[test]
fn every_body_has_an_example_and_every_answer_its_headers() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        let at = format!("{method} {path}");
        let request = operation.get("requestBody").map(|body| ("the request", body));
        let answers = operation["responses"].as_object().unwrap();
        let answers = answers.iter().map(|(status, answer)| (status.as_str(), resolved(&document, answer)));
        for (name, message) in request.into_iter().chain(answers) {
            for (content_type, content) in message["content"].as_object().into_iter().flatten() {
                assert!(!content["example"].is_null(), "{at}: {name} has no example as {content_type}");
            }
            let Ok(status) = name.parse::<u16>() else { continue };
            for header in ["RateLimit", "RateLimit-Policy", "X-Request-Id"] {
                assert!(!resolved(&document, &message["headers"][header]).is_null(), "{at}: {name} lacks {header}");
            }
            let has = |header: &str| message["headers"].get(header).is_some();
            assert_eq!(has("Retry-After"), matches!(status, 429 | 503), "{at}: {name}");
            assert_eq!(has("WWW-Authenticate"), status == 401, "{at}: {name}");
            assert!(status != 304 || has("ETag"), "{at}: {name}");
            assert!(
                status != 201 || has("Location") || has("Idempotency-Replayed") || path.contains("{order_id}"),
                "{at}"
            );
        }
    }
}

#[test]
fn a_parameter_is_left_out_and_never_null() {
    let document = document();
    let mut types = 0;
    for (method, path, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let of = &resolved(&document, &parameter["schema"])["type"];
            assert!(of.is_string(), "{method} {path}: {} is of {of}", parameter["name"]);
            types += 1;
        }
    }
    assert!(types > 50, "{types}");
}

#[test]
fn every_link_leads_to_an_operation_and_its_parameters() {
    let document = document();
    let operations = operations(&document);
    let mut links = 0;
    for (method, path, operation) in &operations {
        for answer in operation["responses"].as_object().unwrap().values() {
            for (name, link) in answer["links"].as_object().into_iter().flatten() {
                let target = operations.iter().find(|(_, _, target)| target["operationId"] == link["operationId"]);
                let (_, _, target) = target.unwrap_or_else(|| panic!("{method} {path}: {name} leads nowhere"));
                let parameters = target["parameters"].as_array().unwrap();
                for parameter in link["parameters"].as_object().unwrap().keys() {
                    assert!(parameters.iter().any(|known| known["name"] == **parameter), "{method} {path}: {name}");
                }
                links += 1;
            }
        }
    }
    assert!(links > 20);
}

#[tokio::test]
async fn every_kind_of_problem_has_a_page() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let index = client.get("//problems").await.expect(200);
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    let mut meanings = std::collections::BTreeSet::new();
    for reason in Reason::ALL {
        let path = format!("/problems/{}", reason.code().to_lowercase().replace('_', "-"));
        assert!(index.text.contains(&format!("href=\"{path}\"")), "{path}");
        let page = client.get(&format!("/{path}")).await.expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        for part in [reason.title(), reason.code(), &reason.http().to_string(), "What it means", "What to do"] {
            assert!(page.text.contains(part), "{path} lacks {part}");
        }
        let request = client.request(Method::GET, &format!("/{path}")).header("accept", "application/json");
        let told = client.send(request).await.expect(200);
        assert!(told.headers.get_all("vary").iter().any(|vary| vary == "accept"), "{told:?}");
        let told = told.json();
        assert_eq!((&told["type"], &told["code"]), (&Value::from(path), &Value::from(reason.code())));
        assert!(meanings.insert(told["meaning"].as_str().unwrap().to_owned()), "{reason:?} means what another means");
        assert!(told["remedy"].as_str().unwrap().len() > 10);
    }
    let all = client.request(Method::GET, "//problems").header("accept", "application/json");
    assert_eq!(client.send(all).await.expect(200).json().as_array().unwrap().len(), Reason::ALL.len());
    for other in ["nothing", "OUT_OF_STOCK", "out_of_stock", "out-of-stock%20", "%3Cscript%3E"] {
        client.get(&format!("//problems/{other}")).await.problem(404, "NOT_FOUND");
    }
    // A failure leads to its page.
    let problem = client.get("/nothing").await.problem(404, "NOT_FOUND");
    client.get(&format!("/{}", problem["type"].as_str().unwrap())).await.expect(200);
}

#[test]
fn every_reference_leads_somewhere() {
    fn visit<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| visit(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| visit(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut references = Vec::new();
    visit(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn unknown_query_parameters_are_refused_everywhere() {
    let gateway = Gateway::start().await;
    let admin = gateway.admin();
    let document = document();
    for (method, path, _) in operations(&document) {
        let path =
            path.split('/').map(|part| if part.starts_with('{') { ID } else { part }).collect::<Vec<_>>().join("/");
        let method: Method = method.to_uppercase().parse().unwrap();
        let answer = admin.send(admin.request(method.clone(), &format!("/{path}?colour=blue"))).await;
        let problem = answer.problem(400, "MALFORMED_REQUEST");
        assert_eq!(problem["errors"][0]["pointer"], "colour", "{method} {path}: {problem}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_come_from_the_binary() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let served = client.get("//openapi.json").await.expect(200);
    assert_eq!(
        (served.text, served.headers["content-type"].to_str().unwrap()),
        (shop_gateway::openapi::text(), "application/json")
    );

    let to_page = client.get("//docs").await;
    assert_eq!((to_page.status, to_page.header("location")), (308, Some("/docs/")));
    let page = client.get("//docs/").await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    // Everything the page loads is here, and it loads our document.
    let mut loaded = 0;
    for link in page.text.split(['"', '\'']).filter(|link| is_asset(link)) {
        assert!(!link.contains("//"), "{link} is elsewhere");
        client.get(&format!("//docs/{}", link.trim_start_matches("./"))).await.expect(200);
        loaded += 1;
    }
    assert!(loaded >= 3, "{page:?}");
    assert!(client.get("//docs/swagger-initializer.js").await.expect(200).text.contains("\"/openapi.json\""));
    client.get("//docs/nothing.js").await.problem(404, "NOT_FOUND");
}

fn is_asset(link: &str) -> bool {
    let extension = Path::new(link).extension();
    extension.is_some_and(|extension| extension == "js" || extension == "css")
}

#[tokio::test]
async fn the_keys_of_access_tokens_are_public() {
    let gateway = Gateway::start().await;
    let answer = gateway.anonymous().get("//.well-known/jwks.json").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    let keys = answer.json();
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["crv"]), (&Value::from("OKP"), &Value::from("Ed25519")));
    assert!(key["kid"].is_string() && key["x"].is_string() && key.get("d").is_none(), "{key}");
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "only the user service's key");
}

#[test]
fn the_conventions_list_every_code() {
    let conventions = fs::read_to_string("../../docs/API.md").unwrap();
    let expected: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| format!("| `{}` | {} | {} |", reason.code(), reason.http(), reason.title()))
        .collect();
    let listed: Vec<_> = conventions
        .lines()
        .filter(|line| {
            line.starts_with("| `")
                && line.matches('|').count() == 4
                && line.split('|').nth(2).is_some_and(|status| status.trim().parse::<u16>().is_ok())
        })
        .collect();
    assert_eq!(listed, expected, "the table in docs/API.md should read\n{}", expected.join("\n"));
}
