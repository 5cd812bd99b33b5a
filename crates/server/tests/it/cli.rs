//! Command lines that are refused, and what they say.

use std::ffi::OsString;

use shop_server::{ServerOptions, TelemetryOptions, UsageError, try_parse_from};

#[derive(Debug, clap::Parser)]
struct Cli {
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    telemetry: TelemetryOptions,
    #[arg(long, env = "SHOP_TEST_SECRET", hide_env_values = true, value_parser = refuse)]
    secret: Option<String>,
}

fn refuse(_: &str) -> Result<String, String> {
    Err("too short".to_owned())
}

fn refused(arguments: &[&str]) -> UsageError {
    let arguments = std::iter::once("test").chain(arguments.iter().copied()).map(OsString::from);
    try_parse_from::<Cli>(arguments).unwrap_err()
}

#[test]
fn a_bad_value_names_flag_and_variable() {
    for (flag, variable, value) in [
        ("--listen", "SHOP_LISTEN", "nowhere"),
        ("--admin-listen", "SHOP_ADMIN_LISTEN", "127.0.0.1"),
        ("--shop-uid", "SHOP_UID", "a/b"),
        ("--request-timeout", "SHOP_REQUEST_TIMEOUT", "10"),
        ("--request-timeout", "SHOP_REQUEST_TIMEOUT", "0s"),
        ("--max-in-flight", "SHOP_MAX_IN_FLIGHT", "0"),
        ("--drain-timeout", "SHOP_DRAIN_TIMEOUT", "soon"),
        ("--log-level", "SHOP_LOG_LEVEL", "shop=loud"),
        ("--log-format", "SHOP_LOG_FORMAT", "xml"),
        ("--otlp-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("--trace-sample-ratio", "SHOP_TRACE_SAMPLE_RATIO", "2"),
    ] {
        let error = refused(&[flag, value]);
        let line = error.to_string();
        assert_eq!(error.exit_code(), 64, "{line}");
        for part in [flag, variable, value] {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        assert!(!line.contains('\n'), "{line:?}");
    }
}

#[test]
fn a_secret_is_not_repeated() {
    for secret in ["hunter2", "hunter2\n", "  hunter2\n\n  hunter3", "hunter2\r\nUsage: hunter3"] {
        let line = refused(&["--secret", secret]).to_string();
        assert!(!line.contains("hunter"), "{line:?}");
        assert!(line.contains("SHOP_TEST_SECRET") && line.contains("too short"), "{line:?}");
    }
}

#[test]
fn an_unknown_flag_is_named() {
    let error = refused(&["--lisen", "127.0.0.1:1"]);
    assert_eq!(error.exit_code(), 64);
    assert!(error.to_string().contains("--lisen"), "{error}");
}

#[test]
fn help_is_no_error() {
    let help = refused(&["--help"]);
    assert_eq!(help.exit_code(), 0);
    assert!(help.to_string().contains("SHOP_LISTEN"), "{help}");
}
