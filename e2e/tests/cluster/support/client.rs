//! A client of the REST interface, through the ingress, as any program would write one.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// Where the ingress controller listens.
pub(crate) const INGRESS: &str = "http://127.0.0.1:8000";
/// How long a client goes on retrying what the API told it to retry.
const RETRY_BOUND: Duration = Duration::from_mins(2);
const PASSWORD: &str = "a password nobody would guess";

/// Someone who talks to a shop.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    host: String,
    token: Option<String>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }
}

impl Client {
    pub(crate) fn new(host: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build().unwrap();
        Self { http, host, token: None }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// Sends a request once.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::Result<Answer> {
        let url = format!("{INGRESS}/api/v1{path}");
        let mut request = self.http.request(method, url).header("host", &self.host);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            // Whoever needs no key may send one.
            request = request.json(body).header("idempotency-key", Uuid::new_v4().to_string());
        }
        let response = request.send().await?;
        let status = response.status();
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        Ok(Answer { status, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.retrying(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.retrying(Method::POST, path, Some(body)).await
    }

    /// Repeats a request while the shop or the ingress is not there yet: what is sent here creates what is compared with
    /// nothing, so that twice does no harm.
    async fn retrying(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let begun = Instant::now();
        loop {
            let last = self.send(method.clone(), path, body).await;
            match &last {
                // The ingress answers 404 in plain text for a host that it does not know yet.
                Ok(answer) if !matches!(answer.status.as_u16(), 429 | 502 | 503 | 504) && !answer.body.is_null() => {
                    return last.unwrap();
                }
                Ok(answer) if answer.status == StatusCode::NO_CONTENT => return last.unwrap(),
                _ => {}
            }
            assert!(begun.elapsed() < RETRY_BOUND, "no answer to {method} {path}: {last:?}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Self {
        let tokens = self.post("/auth/login", &json!({"email": email, "password": password})).await.expect(200);
        self.with_token(tokens["access_token"].as_str().unwrap())
    }

    /// Registers a customer and signs in.
    pub(crate) async fn customer(&self) -> Self {
        let email = format!("{}@customers.test", Uuid::new_v4());
        let body = json!({"email": email, "password": PASSWORD, "display_name": "Test Customer"});
        self.post("/auth/register", &body).await.expect(201);
        self.login(&email, PASSWORD).await
    }

    /// A product with stock, made by this (staff) client.
    pub(crate) async fn product(&self, price: i64, stock: i64) -> String {
        let name = format!("product-{}", Uuid::new_v4().simple());
        let body = json!({
            "sku": name, "slug": name, "name": format!("Something called {name}"), "description": "For a test.",
            "price": {"amount": price, "currency": "USD"}, "attributes": {},
        });
        let id = self.post("/products", &body).await.expect(201)["id"].as_str().unwrap().to_owned();
        let adjustment = json!({"delta": stock, "reason": "test"});
        self.post(&format!("/products/{id}/inventory/adjustments"), &adjustment).await.expect(201);
        id
    }

    /// Places an order for one of a product.
    pub(crate) async fn order(&self, product: &str) -> Value {
        let body = json!({
            "items": [{"product_id": product, "quantity": 1}],
            "shipping_address": {
                "recipient": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
                "postal_code": "SW1Y 4JH", "country": "GB",
            },
        });
        self.post("/orders", &body).await.expect(201)
    }
}
