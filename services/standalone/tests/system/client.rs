//! A client of the REST API, as any program would write one.

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    random_below,
    shop::{ADMIN_EMAIL, ADMIN_PASSWORD, Reached},
};

/// How long a client goes on retrying what the API told it to retry.
const RETRY_BOUND: Duration = Duration::from_mins(4);
/// Its first pause, and its longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
pub(crate) const PASSWORD: &str = "a password nobody would guess";

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self
    }

    /// The problem's code; the answer must be a problem with this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> &Value {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{:#}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert!(self.body["trace_id"].as_str().is_some_and(|id| id.len() == 32), "{:#}", self.body);
        &self.body
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn id(&self) -> Uuid {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id: {:#}", self.body)).parse().unwrap()
    }
}

/// Someone who talks to the gateway, signed in or not.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    gateway: Arc<RwLock<String>>,
    pub(crate) token: Option<String>,
}

impl Client {
    pub(crate) fn anonymous(shop: &impl Reached) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, gateway: shop.gateway(), token: None }
    }

    pub(crate) fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    pub(crate) async fn admin(shop: &impl Reached) -> Self {
        Self::anonymous(shop).login(ADMIN_EMAIL, ADMIN_PASSWORD).await
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Self {
        let tokens = self.post("/auth/login", &json!({"email": email, "password": password})).await.expect(200);
        self.with_token(tokens.body["access_token"].as_str().unwrap())
    }

    /// Registers a customer and signs in; gives the id too.
    pub(crate) async fn customer(shop: &impl Reached) -> (Self, Uuid) {
        let anonymous = Self::anonymous(shop);
        let email = format!("{}@customers.test", Uuid::new_v4());
        let user = anonymous.register(&email).await;
        (anonymous.login(&email, PASSWORD).await, user.id())
    }

    /// Registers, for as long as the password pool is busy.
    pub(crate) async fn register(&self, email: &str) -> Answer {
        let body = json!({"email": email, "password": PASSWORD, "display_name": "Test Customer"});
        self.retrying(|client| {
            let body = body.clone();
            async move { client.try_send(Method::POST, "/auth/register", &[], Some(&body)).await }
        })
        .await
        .expect(201)
    }

    /// Signs in a new user with a role.
    pub(crate) async fn with_role(shop: &impl Reached, role: &str) -> (Self, Uuid) {
        let anonymous = Self::anonymous(shop);
        let email = format!("{}@staff.test", Uuid::new_v4());
        let id = anonymous.register(&email).await.id();
        Self::admin(shop).await.patch(&format!("/users/{id}"), &json!({"role": role})).await.expect(200);
        (anonymous.login(&email, PASSWORD).await, id)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, self.url(path));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Self::read(request.send().await?).await
    }

    async fn read(response: reqwest::Response) -> reqwest::Result<Answer> {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }

    /// Delivers a payment provider's notice, byte for byte.
    pub(crate) async fn webhook(&self, body: &str, signature: &str) -> reqwest::Result<Answer> {
        let request = self
            .http
            .post(self.url("/webhooks/payments"))
            .header("content-type", "application/json")
            .header("x-shop-signature", signature)
            .body(body.to_owned());
        Self::read(request.send().await?).await
    }

    /// The URL of a path of the API, or of the root for one that begins with `//`.
    pub(crate) fn url(&self, path: &str) -> String {
        let gateway = self.gateway.read().unwrap().clone();
        match path.strip_prefix("//") {
            Some(root) => format!("{gateway}/{root}"),
            None => format!("{gateway}/api/v1{path}"),
        }
    }

    /// Places an order once.
    pub(crate) async fn order(&self, key: &str, body: &Value) -> Answer {
        self.send(Method::POST, "/orders", &[("idempotency-key", key)], Some(body)).await
    }

    /// Places an order as the API says to: 429, 503 and broken connections are retried with the same key.
    pub(crate) async fn order_until_settled(&self, key: &str, body: &Value) -> Answer {
        self.retrying(|client| {
            let (key, body) = (key.to_owned(), body.clone());
            async move {
                client.try_send(Method::POST, "/orders", &[("idempotency-key", key.as_str())], Some(&body)).await
            }
        })
        .await
    }

    /// Repeats a request that is safe to repeat while the answer is 429, 503, 504 or none: not before it says, and after a
    /// pause that doubles, with a part of it by chance, as docs/API.md has clients do.
    pub(crate) async fn retrying<F, Fut>(&self, request: F) -> Answer
    where
        F: Fn(Self) -> Fut,
        Fut: Future<Output = reqwest::Result<Answer>>,
    {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let last = request(self.clone()).await;
            let told = match &last {
                Ok(answer) if !matches!(answer.status.as_u16(), 429 | 503 | 504) => return last.unwrap(),
                Ok(answer) => answer.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(1),
                Err(_broken) => 0,
            };
            assert!(begun.elapsed() < RETRY_BOUND, "no final answer within {RETRY_BOUND:?}: {last:#?}");
            let chance = Duration::from_millis(random_below(u64::try_from(pause.as_millis()).unwrap()));
            tokio::time::sleep(Duration::from_secs(told).min(LONGEST_PAUSE).max(pause / 2 + chance / 2)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// [`retrying`](Self::retrying) for a POST that may be repeated.
    pub(crate) async fn post_until_answered(&self, path: &str, body: &Value) -> Answer {
        self.retrying(|client| {
            let (path, body) = (path.to_owned(), body.clone());
            async move { client.try_send(Method::POST, &path, &[], Some(&body)).await }
        })
        .await
    }

    /// The same for a call of staff's with a key: just started, a service may not know yet whether the access was revoked.
    async fn keyed(&self, path: &str, body: &Value) -> Answer {
        let key = Uuid::new_v4().to_string();
        self.retrying(|client| {
            let (path, key, body) = (path.to_owned(), key.clone(), body.clone());
            async move { client.try_send(Method::POST, &path, &[("idempotency-key", key.as_str())], Some(&body)).await }
        })
        .await
    }

    /// A product with stock, made by this (staff) client.
    pub(crate) async fn product(&self, price: i64, stock: i64) -> Uuid {
        let name = format!("product-{}", Uuid::new_v4().simple());
        let body = json!({
            "sku": name, "slug": name, "name": name, "description": "For a test.",
            "price": {"amount": price, "currency": "USD"}, "attributes": {},
        });
        let id = self.keyed("/products", &body).await.expect(201).id();
        if stock != 0 {
            self.adjust(id, stock).await;
        }
        id
    }

    pub(crate) async fn adjust(&self, product: Uuid, delta: i64) {
        let path = format!("/products/{product}/inventory/adjustments");
        self.keyed(&path, &json!({"delta": delta, "reason": "test"})).await.expect(201);
    }

    /// How many orders have a status, counted through the pages.
    pub(crate) async fn orders(&self, status: &str) -> usize {
        let mut count = 0;
        let mut next = format!("/orders?status={status}&limit=100");
        loop {
            let page = self.get(&next).await.expect(200).body;
            count += page["items"].as_array().unwrap().len();
            let Some(cursor) = page["next_cursor"].as_str() else { return count };
            next = format!("/orders?status={status}&limit=100&cursor={cursor}");
        }
    }

    /// Read as staff does, again while a service that has just started does not know yet who may.
    pub(crate) async fn inventory(&self, product: Uuid) -> Value {
        let path = format!("/products/{product}/inventory");
        let answer = self.retrying(|client| {
            let path = path.clone();
            async move { client.try_send(Method::GET, &path, &[], None).await }
        });
        answer.await.expect(200).body
    }
}

pub(crate) fn address() -> Value {
    json!({
        "recipient": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
        "postal_code": "SW1Y 4JH", "country": "GB",
    })
}

pub(crate) fn order_of(product: Uuid, quantity: i64) -> Value {
    json!({"items": [{"product_id": product, "quantity": quantity}], "shipping_address": address()})
}
