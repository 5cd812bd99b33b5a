//! A whole process: this test binary again, with one of its tests as `main`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Router, routing::get};
use rustix::process::{Pid, Signal, kill_process};
use shop_server::{
    HttpLimits, HttpServer, LogFormat, ObserveHttp, ServerOptions, TelemetryOptions, parse, propagation, run,
};

use crate::service::{FREE_PORT, NAME, routes};

/// Says which of the processes below the child is.
const ROLE: &str = "SHOP_TEST_ROLE";
/// The network of the HTTP process's proxies.
pub(crate) const PROXIES: &str = "SHOP_TEST_PROXIES";

/// Takes what the test harness is started with; only variables are the child's options.
#[derive(Debug, clap::Parser)]
struct Cli {
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    telemetry: TelemetryOptions,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _harness: Vec<String>,
}

/// What runs in the processes that the tests start. Among them it is no test: it has no role, and ends at once.
#[test]
fn child() -> ExitCode {
    let Ok(role) = std::env::var(ROLE) else { return ExitCode::SUCCESS };
    let cli: Cli = parse();
    let telemetry = TelemetryOptions { log_format: LogFormat::Json, ..cli.telemetry };
    match role.as_str() {
        "healthcheck" => shop_server::Healthcheck { admin_listen: cli.server.admin_listen }.run(),
        "serve" => run(NAME, telemetry, |shutdown| async move {
            let server = shop_server::GrpcServer::bind(NAME, FREE_PORT, &cli.server).await?;
            tracing::info_span!("startup").in_scope(|| tracing::info!("inside a span"));
            let running = server.start(routes(&std::sync::Arc::default()), tower_layer::Identity::new(), &shutdown);
            Ok(running.join().await?)
        }),
        "change" => run(NAME, telemetry, |shutdown| async move {
            let telemetry = shop_server::telemetry().unwrap();
            let say = |text: &'static str| {
                tracing::info_span!("work", otel.name = text).in_scope(|| tracing::debug!("{text}"));
            };
            say("before");
            assert!(telemetry.set_log_level(Some("shop=nonsense")).is_err());
            say("still before");
            telemetry.set_log_level(Some("debug")).unwrap();
            telemetry.set_trace_sample_ratio(Some(1.0));
            say("changed");
            telemetry.set_log_level(None).unwrap();
            telemetry.set_trace_sample_ratio(None);
            say("back again");
            tracing::info!("the end");
            shutdown.leaving().await;
            Ok(())
        }),
        "http" => run("gateway", telemetry, |shutdown| async move {
            let server = HttpServer::bind("gateway", FREE_PORT, &cli.server).await?;
            let proxies = std::env::var(PROXIES).ok().map(|network| network.parse()).transpose()?;
            let limits = HttpLimits { proxies: proxies.into_iter().collect(), ..HttpLimits::default() };
            let router = Router::new()
                .route("/log", get(|| async { tracing::info!("inside a request") }))
                .route("/traceparent", get(traceparent))
                .layer(ObserveHttp::new("gateway"));
            Ok(server.start(router, limits, &shutdown).join().await?)
        }),
        "panic" => run(NAME, telemetry, |shutdown| async move {
            shutdown.spawn("doomed", async { panic!("the test asked for it") });
            shutdown.join(crate::PATIENCE).await;
            Ok(())
        }),
        "stubborn" => run(NAME, telemetry, |shutdown| async move {
            tracing::info!("running");
            shutdown.leaving().await;
            tracing::info!("serving on regardless");
            tokio::time::sleep(crate::PATIENCE).await;
            Ok(())
        }),
        _ => run(NAME, telemetry, |_| async move {
            let source = std::io::Error::other("disk\non fire");
            Err(anyhow::Error::from(source).context("can't open the database"))
        }),
    }
}

/// What a callee would be told of the trace.
async fn traceparent() -> String {
    let mut headers = http::HeaderMap::new();
    propagation::inject(&mut headers);
    headers["traceparent"].to_str().unwrap().to_owned()
}

pub(crate) fn spawn(role: &str, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["process::child", "--exact", "--nocapture"])
        .env(ROLE, role)
        .env("SHOP_LISTEN", "127.0.0.1:0")
        .env("SHOP_ADMIN_LISTEN", "127.0.0.1:0")
        .env("SHOP_DRAIN_LEAD", "0s")
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads the child's stderr up to the line with this in it, which it returns.
pub(crate) fn line_with(lines: &mut impl Iterator<Item = std::io::Result<String>>, text: &str) -> String {
    lines.map(Result::unwrap).find(|line| line.contains(text)).unwrap_or_else(|| panic!("no line with {text:?}"))
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_signal_drains_and_exits_with_0() {
    for asked in [Signal::TERM, Signal::INT] {
        let mut child = spawn("serve", &[]);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        line_with(&mut lines, "serving");
        signal(&child, asked);
        line_with(&mut lines, "draining");
        line_with(&mut lines, r#""message":"left""#);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_second_signal_exits_at_once() {
    let mut child = spawn("stubborn", &[]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // The body runs once the handlers are in place, so neither signal finds the system's own.
    line_with(&mut lines, "running");
    signal(&child, Signal::TERM);
    line_with(&mut lines, "serving on regardless");
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(128 + Signal::TERM.as_raw()));
}

#[test]
fn a_bad_variable_exits_with_64_and_is_named() {
    let mut child = spawn("serve", &[("SHOP_LISTEN", "nowhere")]);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(64));
    assert!(said.contains("--listen") && said.contains("SHOP_LISTEN") && said.contains("nowhere"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_part_of_the_certificate_files_exits_with_64_and_names_the_rest() {
    for given in ["SHOP_TLS_CERT_FILE", "SHOP_TLS_KEY_FILE", "SHOP_TLS_CA_FILE"] {
        let mut child = spawn("serve", &[(given, "/some/file")]);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(64));
        let named = ["SHOP_TLS_CERT_FILE", "SHOP_TLS_KEY_FILE", "SHOP_TLS_CA_FILE"].map(|name| said.contains(name));
        assert_eq!(named.iter().filter(|named| **named).count(), 2, "{given}: {said}");
    }
}

/// Asks a process whether it is ready as its image does: whether it is, and what was said.
fn healthcheck(admin: &str) -> (bool, String) {
    let mut child = spawn("healthcheck", &[("SHOP_ADMIN_LISTEN", admin)]);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().success(), said)
}

#[test]
fn a_healthcheck_tells_ready_from_leaving_from_gone() {
    let mut child = spawn("serve", &[("SHOP_DRAIN_LEAD", "3s")]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let serving: serde_json::Value = serde_json::from_str(&line_with(&mut lines, "serving")).unwrap();
    let admin = serving["admin.address"].as_str().unwrap();
    assert_eq!(healthcheck(admin), (true, String::new()));
    signal(&child, Signal::TERM);
    line_with(&mut lines, "leaving");
    let (ready, said) = healthcheck(admin);
    assert!(!ready && said.contains("leaving"), "{said}");
    assert!(child.wait().unwrap().success());
    let (ready, said) = healthcheck(admin);
    assert!(!ready && said.contains("does not answer"), "{said}");
}

#[test]
fn the_certificate_of_a_process_is_checked_and_its_end_is_a_metric() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut params = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    authority.distinguished_name.push(rcgen::DnType::CommonName, "ca");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::CertifiedIssuer::self_signed(authority, rcgen::KeyPair::generate().unwrap()).unwrap();
    let end = SystemTime::now() + Duration::from_hours(24);
    params.not_after = end.into();
    std::fs::write(path("ca.crt"), authority.pem()).unwrap();
    std::fs::write(path("tls.crt"), params.signed_by(&key, &authority).unwrap().pem()).unwrap();
    std::fs::write(path("tls.key"), key.serialize_pem()).unwrap();
    let (cert, key, ca) = (path("tls.crt"), path("tls.key"), path("ca.crt"));
    let variables = [("SHOP_TLS_CERT_FILE", &*cert), ("SHOP_TLS_KEY_FILE", &*key), ("SHOP_TLS_CA_FILE", &*ca)];

    let mut child = spawn("serve", &variables);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let serving: serde_json::Value = serde_json::from_str(&line_with(&mut lines, "serving")).unwrap();
    let mut admin = std::net::TcpStream::connect(serving["admin.address"].as_str().unwrap()).unwrap();
    admin.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut metrics = String::new();
    admin.read_to_string(&mut metrics).unwrap();
    let expiry = metrics.lines().find(|line| line.starts_with("shop_tls_certificate_expiry_seconds")).unwrap();
    let expiry: f64 = expiry.rsplit(' ').next().unwrap().parse().unwrap();
    let expected = end.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((expiry - expected).abs() <= 1.0, "{expiry} is not {expected}");
    signal(&child, Signal::TERM);
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_error_is_one_line_with_its_chain() {
    let mut child = spawn("fail", &[]);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(said.lines().any(|line| line == "error: can't open the database: disk on fire"), "{said}");
}

#[test]
fn log_lines_are_json_with_the_trace_id_where_there_is_one() {
    let mut child = spawn("serve", &[]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let inside: serde_json::Value = serde_json::from_str(&line_with(&mut lines, "inside a span")).unwrap();
    assert_eq!(inside["level"], "INFO");
    assert_eq!(inside["trace_id"].as_str().map(str::len), Some(32), "{inside}");
    let outside: serde_json::Value = serde_json::from_str(&line_with(&mut lines, "serving")).unwrap();
    assert!(outside.get("trace_id").is_none(), "{outside}");
    assert!(outside["server.address"].as_str().unwrap().starts_with("127.0.0.1:"), "{outside}");
    signal(&child, Signal::TERM);
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_logged_changes_while_the_process_runs() {
    let mut child = spawn("change", &[("SHOP_LOG_LEVEL", "info")]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.by_ref().take_while(|line| !line.contains("the end")).collect();
    signal(&child, Signal::TERM);
    assert!(child.wait().unwrap().success());
    assert!(said.iter().any(|line| line.contains("\"changed\"")), "{said:?}");
    for unsaid in ["before", "back again"] {
        assert!(!said.iter().any(|line| line.contains(unsaid)), "{unsaid:?} is in {said:?}");
    }
}

#[test]
fn a_panic_is_one_log_entry_with_its_backtrace() {
    let mut child = spawn("panic", &[]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let entry: serde_json::Value = serde_json::from_str(&line_with(&mut lines, "panicked")).unwrap();
    assert_eq!(entry["level"], "ERROR");
    assert_eq!(entry["panic.message"], "the test asked for it");
    assert!(entry["panic.backtrace"].as_str().unwrap().contains("process"), "{entry}");
    assert!(child.wait().unwrap().success());
}
