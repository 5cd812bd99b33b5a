//! Who may call what, judged before anything else of the request, and in whose name the services are called.

use reqwest::Method;
use serde_json::json;
use shop_auth::{Role, ServiceSigner};
use shop_proto::{
    product,
    status::{Reason, Refusal},
    user,
};
use shop_types::new_id;

use crate::support::{
    Gateway,
    wire::{self, ID},
};

/// Routes, and the least role that passes.
const ROUTES: &[(&str, &str, Option<Role>)] = &[
    ("GET", "/users/me", Some(Role::Customer)),
    ("PATCH", "/users/me", Some(Role::Customer)),
    ("DELETE", "/users/me", Some(Role::Customer)),
    ("PUT", "/users/me/password", Some(Role::Customer)),
    ("GET", "/users/me/addresses", Some(Role::Customer)),
    ("POST", "/users/me/addresses", Some(Role::Customer)),
    ("PATCH", "/users/me/addresses/ID", Some(Role::Customer)),
    ("DELETE", "/users/me/addresses/ID", Some(Role::Customer)),
    ("GET", "/users", Some(Role::Admin)),
    ("GET", "/users/ID", Some(Role::Admin)),
    ("PATCH", "/users/ID", Some(Role::Admin)),
    ("POST", "/products", Some(Role::Staff)),
    ("PATCH", "/products/ID", Some(Role::Staff)),
    ("DELETE", "/products/ID", Some(Role::Staff)),
    ("GET", "/products/ID/inventory", Some(Role::Staff)),
    ("POST", "/products/ID/inventory/adjustments", Some(Role::Staff)),
    ("POST", "/orders", Some(Role::Customer)),
    ("GET", "/orders", Some(Role::Customer)),
    ("GET", "/orders/ID", Some(Role::Customer)),
    ("GET", "/orders/ID/history", Some(Role::Customer)),
    ("GET", "/orders/ID/events", Some(Role::Customer)),
    ("POST", "/orders/ID/cancel", Some(Role::Customer)),
    ("POST", "/orders/ID/payments", Some(Role::Staff)),
    ("POST", "/orders/ID/ship", Some(Role::Staff)),
    ("POST", "/orders/ID/deliver", Some(Role::Staff)),
    ("POST", "/orders/ID/refund", Some(Role::Staff)),
    ("POST", "/auth/register", None),
    ("POST", "/auth/login", None),
    ("POST", "/auth/refresh", None),
    ("POST", "/auth/logout", None),
    ("GET", "/products", None),
    ("GET", "/products/ID", None),
    ("GET", "/products/ID/availability", None),
    ("GET", "/categories", None),
    ("GET", "/categories/ID", None),
    ("POST", "/categories", Some(Role::Staff)),
    ("PATCH", "/categories/ID", Some(Role::Staff)),
    ("DELETE", "/categories/ID", Some(Role::Staff)),
    ("POST", "/webhooks/payments", None),
];

/// Every request here is wrong in its query, headers and body, so a caller that passes is told so, and one that does not
/// learns nothing of it.
#[tokio::test]
async fn each_route_judges_its_caller_before_the_request() {
    let gateway = Gateway::start().await;
    let callers = [
        (None, gateway.anonymous()),
        (Some(Role::Customer), gateway.customer()),
        (Some(Role::Staff), gateway.staff()),
        (Some(Role::Admin), gateway.admin()),
    ];
    for (method, path, least) in ROUTES {
        let path = format!("{}?unknown=1", path.replace("ID", ID));
        for (role, client) in &callers {
            let request =
                client.request(method.parse().unwrap(), &path).header("content-type", "text/plain").body("\0");
            let answer = client.send(request).await;
            let expected = match (role, least) {
                (None, Some(_)) => 401,
                (role, least) if role < least => 403,
                _ => 400,
            };
            assert_eq!(answer.status, expected, "{method} {path} as {role:?}: {answer:?}");
        }
        let answer =
            gateway.anonymous().with_token("nonsense").request(method.parse().unwrap(), &path).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{method} {path} with a bad token");
    }
}

#[tokio::test]
async fn the_table_above_names_every_operation() {
    let document: serde_json::Value = serde_json::from_str(&shop_gateway::openapi::text()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(path) = path.strip_prefix("/api/v1") else { continue };
        let path =
            path.split('/').map(|part| if part.starts_with('{') { "ID" } else { part }).collect::<Vec<_>>().join("/");
        for method in operations.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            assert!(ROUTES.iter().any(|route| route.0 == method && route.1 == path), "{method} {path} is not tested");
        }
    }
}

#[tokio::test]
async fn the_users_token_is_passed_on() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetOrder", &wire::order_reply());
    let client = gateway.customer();
    client.get(&format!("/orders/{ID}")).await.expect(200);
    let call = gateway.upstream.calls("GetOrder").pop().unwrap();
    assert_eq!(call.headers["authorization"], format!("Bearer {}", client.token()));
    assert_eq!(call.headers["x-shop-target"], "local/order");
}

#[tokio::test]
async fn a_public_route_passes_a_token_on_and_none_where_there_is_none() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("ListProducts", &product::ListProductsResponse::default());
    gateway.anonymous().get("/products").await.expect(200);
    let staff = gateway.staff();
    staff.get("/products").await.expect(200);
    let calls = gateway.upstream.calls("ListProducts");
    assert!(!calls[0].headers.contains_key("authorization"));
    assert_eq!(calls[1].headers["authorization"], format!("Bearer {}", staff.token()));
}

#[tokio::test]
async fn a_page_that_all_see_alike_is_asked_for_in_nobodys_name() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    gateway.staff().get("/products/mug").await.expect(200);
    assert!(!gateway.upstream.calls("GetProduct")[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_login_is_called_in_the_gateways_name_with_the_clients_address() {
    let gateway = Gateway::start().await;
    let tokens = user::Tokens { access_token: "a".into(), refresh_token: "r".into(), expires_in: 300 };
    gateway.upstream.answers("Login", &user::LoginResponse { tokens: Some(tokens) });
    let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
    let answer = gateway.anonymous().post("/auth/login", &body).await.expect(200);
    assert_eq!(
        answer.json(),
        json!({"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 300})
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(gateway.upstream.last::<user::LoginRequest>("Login").client_address, "127.0.0.1");
    let call = gateway.upstream.calls("Login").pop().unwrap();
    assert!(call.headers["authorization"].to_str().unwrap().starts_with("Bearer ey"));
}

#[tokio::test]
async fn a_refusal_of_the_gateways_own_token_is_not_the_clients_fault() {
    let gateway = Gateway::start().await;
    let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
    gateway.upstream.refuses("Login", &Refusal::new(Reason::InvalidToken, "No."));
    gateway.anonymous().post("/auth/login", &body).await.problem(500, "INTERNAL");
    gateway.upstream.refuses("Login", &Refusal::new(Reason::LoginFailed, "No."));
    gateway.anonymous().post("/auth/login", &body).await.problem(401, "LOGIN_FAILED");
}

#[tokio::test]
async fn credentials_of_other_kinds_are_refused() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    for value in ["Basic YTpi", "Bearer", "Bearer ", "ey"] {
        let request = client.request(Method::GET, "/products").header("authorization", value);
        client.send(request).await.problem(401, "INVALID_TOKEN");
    }
    let twice = client
        .request(Method::GET, "/products")
        .header("authorization", "Bearer a")
        .header("authorization", "Bearer b");
    client.send(twice).await.problem(401, "INVALID_TOKEN");

    // A service's token is genuine, and no user's.
    let signer = ServiceSigner::new(&gateway.auth_options("order"), "order", "local").unwrap();
    let bearer = signer.bearer("gateway").unwrap();
    let request = client.request(Method::GET, "/users/me").header("authorization", bearer.to_str().unwrap());
    client.send(request).await.problem(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn one_acts_for_oneself() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetUser", &user::GetUserResponse { user: Some(wire::user()) });
    let me = new_id();
    gateway.user(me, Role::Customer).get("/users/me").await.expect(200);
    assert_eq!(gateway.upstream.last::<user::GetUserRequest>("GetUser").user_id, me.to_string());
}
