//! /livez, /readyz, /metrics, and gRPC health as it follows readiness.

use http::StatusCode;
use shop_server::{GrpcServer, ServerOptions};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    client::{connect, get},
    service::{FREE_PORT, NAME, answer, ask, options, start},
    soon,
};

#[tokio::test]
async fn probes_answer_before_the_server_serves() {
    let server = GrpcServer::bind(NAME, FREE_PORT, &options()).await.unwrap();
    let admin = server.addresses().admin;
    assert_eq!(get(admin, "/livez").await.unwrap().0, StatusCode::OK);
    let (status, body) = get(admin, "/readyz").await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("started"), "{body}");
}

#[tokio::test]
async fn readiness_and_health_follow_the_gates() {
    let server = start(options()).await;
    let mut health = HealthClient::new(connect(server.serve()).await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let mut next = async || soon("a health status", watch.message()).await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    assert_eq!(get(server.admin(), "/readyz").await.unwrap().0, StatusCode::OK);

    let gate = server.running.readiness().gate("upstreams");
    assert_eq!(next().await, ServingStatus::NotServing);
    gate.open();
    assert_eq!(next().await, ServingStatus::Serving);
    gate.close("product does not answer");
    assert_eq!(next().await, ServingStatus::NotServing);

    let (status, body) = get(server.admin(), "/readyz").await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    let closed = serde_json::json!([{"gate": "upstreams", "reason": "product does not answer"}]);
    assert_eq!(report, serde_json::json!({"ready": false, "leaving": false, "closed": closed}));
}

#[tokio::test]
async fn leaving_shows_at_once_while_calls_are_still_taken() {
    let lead = crate::PATIENCE;
    let server = start(ServerOptions { drain_lead: lead, ..options() }).await;
    let mut health = HealthClient::new(connect(server.serve()).await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    server.shutdown.begin();
    let status = soon("a health status", watch.message()).await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::NotServing);
    let (status, body) = get(server.admin(), "/readyz").await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""leaving":true"#), "{body}");
    assert_eq!(answer(&mut server.client().await, ask("late")).await.unwrap(), "late");
}

#[tokio::test]
async fn metrics_count_calls_by_method_and_code() {
    let server = start(ServerOptions { shop_uid: "metrics".to_owned(), ..options() }).await;
    let mut client = server.client().await;
    answer(&mut client, ask("counted")).await.unwrap();
    let mut wrong = ask("counted");
    wrong.metadata_mut().insert("x-shop-target", "else/where".parse().unwrap());
    answer(&mut client, wrong).await.unwrap_err();

    let (status, body) = get(server.admin(), "/metrics").await.unwrap();
    assert_eq!(status, StatusCode::OK);
    for code in ["OK", "UNAVAILABLE"] {
        let counted = body.lines().any(|line| {
            line.starts_with("rpc_server_call_duration_seconds_count{")
                && line.contains(r#"rpc_method="GetProduct""#)
                && line.contains(r#"rpc_service="shop.product.v1.ProductService""#)
                && line.contains(&format!(r#"rpc_response_status_code="{code}""#))
        });
        assert!(counted, "no GetProduct with {code} in\n{body}");
    }
    for name in ["rpc_server_active_requests{", "shop_build_info{", "process_start_time_seconds", "target_info{"] {
        assert!(body.lines().any(|line| line.starts_with(name)), "{name} is not in\n{body}");
    }
}

#[tokio::test]
async fn pages_for_operators_are_made_when_they_are_asked_for() {
    let server = GrpcServer::bind(NAME, FREE_PORT, &options()).await.unwrap();
    let admin = server.addresses().admin;
    assert_eq!(get(admin, "/debug/upstreams").await.unwrap().0, StatusCode::NOT_FOUND);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    server.show(
        "upstreams",
        move || serde_json::json!({"asked": asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed)}),
    );
    for asked in 0..2 {
        let (status, body) = get(admin, "/debug/upstreams").await.unwrap();
        assert_eq!((status, body), (StatusCode::OK, format!(r#"{{"asked":{asked}}}"#)));
    }
}
