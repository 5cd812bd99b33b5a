//! The access layer, method by method.

use std::{convert::Infallible, time::Duration};

use http::{HeaderValue, Request, Response};
use shop_auth::{AccessLayer, Caller, Revocations, Role, UserCaller, caller};
use shop_proto::{
    access::{METHODS, Rule},
    status::{Reason, Refusal},
};
use tonic::{Status, body::Body};
use tower_layer::Layer as _;
use tower_service::Service as _;

use crate::{FIVE_MINUTES, Shop, service_caller, user};

/// What a handler behind the layer saw, or the refusal.
async fn call(layer: &AccessLayer, path: &str, credentials: &[HeaderValue]) -> Result<Caller, Refusal> {
    let mut service = layer.layer(Handler);
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    for credential in credentials {
        request.headers_mut().append("authorization", credential.clone());
    }
    let response = service.call(request).await.unwrap();
    match Status::from_header_map(response.headers()) {
        Some(status) => {
            assert_eq!(response.headers()["content-type"], "application/grpc");
            Err(Refusal::from_status(&status))
        }
        None => Ok(response.extensions().get::<Caller>().unwrap().clone()),
    }
}

/// Answers with the caller it found.
#[derive(Clone)]
struct Handler;

impl tower_service::Service<Request<Body>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(caller(request.extensions()));
        std::future::ready(Ok(response))
    }
}

fn bearer(token: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("Bearer {token}")).unwrap()
}

fn service_bearer(shop: &Shop, from: &'static str, to: &'static str) -> HeaderValue {
    HeaderValue::from_bytes(shop.service(from).bearer(to).unwrap().as_encoded_bytes()).unwrap()
}

#[tokio::test]
async fn every_method_admits_whom_the_table_names_and_nobody_else() {
    let shop = Shop::new();
    let layer = AccessLayer::new(shop.verifier("product"));
    let users = shop.users();
    for method in METHODS {
        let anonymous = call(&layer, method.path, &[]).await;
        if method.rule == Rule::Public {
            assert_eq!(anonymous, Ok(Caller::Anonymous), "{}", method.path);
        } else {
            assert_eq!(anonymous.unwrap_err().reason, Reason::Unauthenticated, "{}", method.path);
        }
        for role in [Role::Customer, Role::Staff, Role::Admin] {
            let user = user(role);
            let seen = call(&layer, method.path, &[bearer(&users.sign(&user, FIVE_MINUTES).unwrap())]).await;
            let admitted = match method.rule {
                Rule::Public | Rule::Authenticated | Rule::Owner => true,
                Rule::Staff => role >= Role::Staff,
                Rule::Admin => role == Role::Admin,
                Rule::Service(_) => false,
            };
            let what = format!("{} as {role}", method.path);
            if admitted {
                assert_eq!(seen, Ok(Caller::User(user)), "{what}");
            } else {
                assert_eq!(seen.unwrap_err().reason, Reason::Forbidden, "{what}");
            }
        }
        for name in ["product", "order", "gateway"] {
            let seen = call(&layer, method.path, &[service_bearer(&shop, name, "product")]).await;
            let admitted = match method.rule {
                Rule::Public => true,
                Rule::Service(services) => services.contains(&name),
                _ => false,
            };
            let what = format!("{} as service {name}", method.path);
            if admitted {
                assert_eq!(seen, Ok(service_caller(name)), "{what}");
            } else {
                assert_eq!(seen.unwrap_err().reason, Reason::Forbidden, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn what_the_table_does_not_name_is_denied_to_everybody() {
    let shop = Shop::new();
    let layer = AccessLayer::new(shop.verifier("product"));
    let admin = bearer(&shop.users().sign(&user(Role::Admin), FIVE_MINUTES).unwrap());
    for path in
        ["/shop.user.v1.UserService/Backdoor", "/", "/grpc.health.v1.Healthy/Check", "/shop.user.v1.UserService/Login/"]
    {
        let refusal = call(&layer, path, std::slice::from_ref(&admin)).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::Forbidden, "{path}");
    }
}

#[tokio::test]
async fn health_and_reflection_need_no_credential() {
    let shop = Shop::new();
    let layer = AccessLayer::new(shop.verifier("product"));
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        assert_eq!(call(&layer, path, &[]).await, Ok(Caller::Anonymous), "{path}");
    }
}

#[tokio::test]
async fn a_bad_credential_is_refused_on_public_methods_too() {
    let shop = Shop::new();
    let layer = AccessLayer::new(shop.verifier("product"));
    let good = bearer(&shop.users().sign(&user(Role::Customer), FIVE_MINUTES).unwrap());
    let login = "/shop.user.v1.UserService/Login";
    assert!(call(&layer, login, std::slice::from_ref(&good)).await.is_ok());
    let bad: [&[HeaderValue]; 7] = [
        &[bearer("nonsense")],
        &[bearer("")],
        &[HeaderValue::from_static("Bearer")],
        &[HeaderValue::from_static("Basic YWxhZGRpbjpvcGVuc2VzYW1l")],
        &[HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap()],
        &[good.clone(), good.clone()],
        &[service_bearer(&shop, "order", "user")],
    ];
    for credentials in bad {
        let refusal = call(&layer, login, credentials).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidToken, "{credentials:?}");
    }
}

#[tokio::test]
async fn the_scheme_is_compared_without_case() {
    let shop = Shop::new();
    let layer = AccessLayer::new(shop.verifier("product"));
    let token = shop.users().sign(&user(Role::Customer), FIVE_MINUTES).unwrap();
    let credential = HeaderValue::from_str(&format!("bearer  {token}")).unwrap();
    assert!(call(&layer, "/shop.user.v1.UserService/GetUser", &[credential]).await.is_ok());
}

#[tokio::test]
async fn staff_are_refused_while_revocations_may_be_missing_and_customers_are_not() {
    let shop = Shop::new();
    let layer = AccessLayer::new(shop.verifier_with("order", Revocations::followed()));
    let users = shop.users();
    for (role, path) in [
        (Role::Staff, "/shop.order.v1.OrderService/ShipOrder"),
        (Role::Admin, "/shop.user.v1.UserService/ListUsers"),
        // An owner's method shows staff everybody's.
        (Role::Staff, "/shop.order.v1.OrderService/ListOrders"),
    ] {
        let token = users.sign(&user(role), FIVE_MINUTES).unwrap();
        let refusal = call(&layer, path, &[bearer(&token)]).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::Unavailable, "{path}");
        assert!(refusal.retry_after.is_some_and(|after| after > Duration::ZERO));
    }
    let token = users.sign(&user(Role::Customer), FIVE_MINUTES).unwrap();
    assert!(call(&layer, "/shop.order.v1.OrderService/ListOrders", &[bearer(&token)]).await.is_ok());
}

#[tokio::test]
async fn staff_are_customers_to_public_methods_while_revocations_may_be_missing() {
    let shop = Shop::new();
    let stale = AccessLayer::new(shop.verifier_with("product", Revocations::followed()));
    let fresh = AccessLayer::new(shop.verifier("product"));
    let path = "/shop.product.v1.ProductService/ListProducts";
    for role in [Role::Customer, Role::Staff, Role::Admin] {
        let user = user(role);
        let credential = [bearer(&shop.users().sign(&user, FIVE_MINUTES).unwrap())];
        let customer = UserCaller { role: Role::Customer, ..user.clone() };
        assert_eq!(call(&stale, path, &credential).await, Ok(Caller::User(customer)), "{role}");
        assert_eq!(call(&fresh, path, &credential).await, Ok(Caller::User(user)), "{role}");
    }
}
