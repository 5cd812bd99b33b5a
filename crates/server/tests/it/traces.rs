//! Export over OTLP: spans reach a collector before the process ends, and a collector that hangs can't keep it.

use std::{
    io::{BufRead as _, BufReader},
    time::{Duration, Instant},
};

use axum::{Router, extract::State, response::IntoResponse, routing::post};
use bytes::Bytes;
use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::{
    process::{line_with, signal, spawn},
    service::FREE_PORT,
    soon,
};

const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Takes an export and answers it with an empty message.
async fn export(State(exports): State<mpsc::Sender<Bytes>>, body: Bytes) -> impl IntoResponse {
    exports.send(body).await.unwrap();
    ([("content-type", "application/grpc"), ("grpc-status", "0")], Bytes::new())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Runs a process that exports to a collector until it wrote `line`; what the collector got first.
async fn exported_by(role: &'static str, ratio: &'static str, line: &'static str) -> Bytes {
    let (sender, mut exports) = mpsc::channel(8);
    let listener = tokio::net::TcpListener::bind(FREE_PORT).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = Router::new().route(EXPORT_PATH, post(export)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, collector).await });

    let process = tokio::task::spawn_blocking(move || {
        let mut child = spawn(role, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("SHOP_TRACE_SAMPLE_RATIO", ratio)]);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        line_with(&mut lines, line);
        signal(&child, Signal::TERM);
        child.wait().unwrap()
    });
    let body = soon("an export", exports.recv()).await.unwrap();
    assert!(soon("the process's end", process).await.unwrap().success());
    body
}

#[tokio::test]
async fn spans_reach_the_collector_before_the_process_ends() {
    let body = exported_by("serve", "1", "serving").await;
    assert!(contains(&body, "startup"), "the span is not there");
    assert!(contains(&body, "service.name") && contains(&body, "product"), "the service is not named");
}

#[tokio::test]
async fn what_is_recorded_changes_while_the_process_runs() {
    let body = exported_by("change", "0", "the end").await;
    assert!(contains(&body, "changed"), "the span is not there");
    for unrecorded in ["before", "back again"] {
        assert!(!contains(&body, unrecorded), "{unrecorded:?} was recorded");
    }
}

#[test]
fn a_collector_that_hangs_does_not_keep_the_process() {
    // Connections wait in the system's backlog: accepted by nobody, refused by nobody.
    let silent = std::net::TcpListener::bind(FREE_PORT).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut child = spawn("serve", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("SHOP_TRACE_SAMPLE_RATIO", "1")]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    line_with(&mut lines, "serving");
    signal(&child, Signal::TERM);
    line_with(&mut lines, r#""message":"left""#);
    let left = Instant::now();
    assert!(child.wait().unwrap().success());
    // Two seconds to flush, one for the runtime, and what a loaded machine needs.
    assert!(left.elapsed() < Duration::from_secs(6), "it took {:?}", left.elapsed());
}
