//! The steps of a call: panic, target, shed, deadline, access; health and reflection beside them.

use std::time::Duration;

use futures::future::join_all;
use shop_proto::status::Reason;
use shop_server::{GrpcServer, ServerOptions, Shutdown};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    client::{DenyAll, connect},
    service::{self, FREE_PORT, NAME, answer, ask, options, start},
    soon,
};

#[tokio::test]
async fn a_panic_costs_its_own_call_only() {
    let server = start(options()).await;
    let mut client = server.client().await;
    let refusal = answer(&mut client, ask("panic")).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Internal);
    assert!(!refusal.detail.contains("asked for it"), "the panic's message left the process");
    assert_eq!(answer(&mut client, ask("next")).await.unwrap(), "next");
}

#[tokio::test]
async fn one_connection_carries_a_thousand_calls_at_once() {
    let server = start(ServerOptions { max_in_flight: 2_000, ..options() }).await;
    let mut client = server.client().await;
    let hanging = join_all((0..1_000).map(|_| {
        let mut client = client.clone();
        async move { answer(&mut client, ask("hang")).await }
    }));
    tokio::select! {
        biased;
        ended = hanging => panic!("{ended:?}"),
        next = soon("an answer", answer(&mut client, ask("next"))) => assert_eq!(next.unwrap(), "next"),
    }
}

#[tokio::test]
async fn the_servers_own_limit_ends_a_call_and_its_handler() {
    let server = start(ServerOptions { request_timeout: Duration::from_millis(50), ..options() }).await;
    let refusal = soon("an answer", answer(&mut server.client().await, ask("hang"))).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::DeadlineExceeded);
    soon("the handler's end", server.events.dropped.notified()).await;
}

#[tokio::test]
async fn the_callers_deadline_ends_a_call_and_its_handler() {
    let server = start(options()).await;
    let mut request = ask("hang");
    request.metadata_mut().insert("grpc-timeout", "50m".parse().unwrap());
    let refusal = soon("an answer", answer(&mut server.client().await, request)).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::DeadlineExceeded);
    soon("the handler's end", server.events.dropped.notified()).await;
}

#[tokio::test]
async fn handlers_know_the_time_that_is_left() {
    let server = start(ServerOptions { request_timeout: Duration::from_secs(8), ..options() }).await;
    let mut client = server.client().await;
    for (asked, most_ms) in [("3S", 3_000_u64), ("1H", 8_000)] {
        let mut request = ask("time-left");
        request.metadata_mut().insert("grpc-timeout", asked.parse().unwrap());
        let left: u64 = answer(&mut client, request).await.unwrap().parse().unwrap();
        assert!((most_ms / 2..=most_ms).contains(&left), "{left} ms were left of {asked}");
    }
}

#[tokio::test]
async fn a_deadline_that_cant_be_read_is_refused() {
    let server = start(options()).await;
    let mut request = ask("never");
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let refusal = answer(&mut server.client().await, request).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::MalformedRequest);
}

#[tokio::test]
async fn a_handler_ends_when_its_caller_goes() {
    let server = start(options()).await;
    let mut client = server.client().await;
    let call = tokio::spawn(async move { answer(&mut client, ask("hang")).await });
    soon("the handler's start", server.events.entered.notified()).await;
    call.abort();
    soon("the handler's end", server.events.dropped.notified()).await;
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_at_once() {
    let server = start(ServerOptions { max_in_flight: 1, ..options() }).await;
    let mut client = server.client().await;
    let mut first_client = client.clone();
    let first = tokio::spawn(async move { answer(&mut first_client, ask("wait")).await });
    soon("the first call's start", server.events.entered.notified()).await;

    let refusal = soon("an answer", answer(&mut client, ask("second"))).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Overloaded);
    assert!(refusal.retry_after.is_some(), "the caller is not told when to come back");
    let mut health = HealthClient::new(connect(server.serve()).await.unwrap());
    let health = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::Serving, "a busy server is not a sick one");

    server.events.go_on.notify_one();
    assert_eq!(first.await.unwrap().unwrap(), "wait");
    assert_eq!(answer(&mut client, ask("third")).await.unwrap(), "third");
}

#[tokio::test]
async fn a_call_for_another_server_is_refused() {
    let server = start(ServerOptions { shop_uid: "shop-1".to_owned(), ..options() }).await;
    let mut client = server.client().await;
    for (target, served) in [("shop-1/product", true), ("shop-1/user", false), ("shop-2/product", false)] {
        let mut request = ask("here");
        request.metadata_mut().insert("x-shop-target", target.parse().unwrap());
        match answer(&mut client, request).await {
            Ok(_) => assert!(served, "{target} was served"),
            Err(refusal) => {
                assert!(!served, "{target} was refused");
                assert_eq!(refusal.reason, Reason::WrongInstance);
            }
        }
    }
}

#[tokio::test]
async fn a_trace_goes_on_and_every_call_has_one() {
    let server = start(options()).await;
    let mut client = server.client().await;
    let mut request = ask("trace-id");
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    assert_eq!(answer(&mut client, request).await.unwrap(), "0af7651916cd43dd8448eb211c80319c");
    let own = answer(&mut client, ask("trace-id")).await.unwrap();
    let other = answer(&mut client, ask("trace-id")).await.unwrap();
    assert_eq!(own.len(), 32);
    assert_ne!(own, other);
}

#[tokio::test]
async fn health_and_reflection_need_no_credentials_and_the_rest_does() {
    service::telemetry();
    let shutdown = Shutdown::new();
    let server = GrpcServer::bind(NAME, FREE_PORT, &options()).await.unwrap();
    let running = server.start(service::routes(&std::sync::Arc::default()), DenyAll, &shutdown);
    let connection = connect(running.addresses().serve).await.unwrap();

    let mut products = shop_proto::product::product_service_client::ProductServiceClient::new(connection.clone());
    assert_eq!(answer(&mut products, ask("secret")).await.unwrap_err().reason, Reason::Forbidden);

    let mut health = HealthClient::new(connection.clone());
    for service in ["", "shop.product.v1.ProductService", "shop.product.v1.ReservationService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service:?}");
    }
    let unknown = HealthCheckRequest { service: "shop.product".to_owned() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), tonic::Code::NotFound);

    let mut reflection = ServerReflectionClient::new(connection);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(futures::stream::iter([list])).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(services)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services")
    };
    let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    for name in ["shop.product.v1.ProductService", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|have| have == name), "{name} is not in {names:?}");
    }
}
