//! `shop` as a process: how it starts, refuses to start, and leaves.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::{
    SETTLE_BOUND,
    client::{Client, order_of},
    shop::{self, ADMIN_EMAIL, ADMIN_PASSWORD, Shop},
};

/// How long a start that fails may take to say so.
const REFUSAL_BOUND: Duration = Duration::from_secs(30);

async fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tokio::time::timeout(REFUSAL_BOUND, shop::shop().args(arguments).output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default()
}

#[tokio::test]
async fn an_interrupt_drains_and_exits_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut shop = Shop::start().await;
        let status = shop.signal(signal).await;
        assert_eq!(status.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn what_was_sold_before_a_restart_is_there_after_it() {
    let mut shop = Shop::start().await;
    let admin = Client::admin(&shop).await;
    let product = admin.product(300, 10).await;
    let (customer, _) = Client::customer(&shop).await;
    let order = customer.order("before", &order_of(product, 4)).await.expect(201).id();
    assert!(shop.signal(Signal::INT).await.success());
    shop.restart().await;
    // The tokens of before are good, and so is the order.
    assert_eq!(customer.get(&format!("/orders/{order}")).await.expect(200).body["status"], "reserved");
    assert_eq!(customer.order("before", &order_of(product, 4)).await.expect(201).id(), order);
    assert_eq!(admin.inventory(product).await["available"], 6);
    shop.settled_clean(SETTLE_BOUND).await;
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let (code, stderr) = refused(&["up", "--listen", &listen, "--data-dir", data, "--no-demo"]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(last_line(&stderr).starts_with("error: ") && last_line(&stderr).contains(&listen), "{stderr}");
}

#[tokio::test]
async fn a_generated_password_is_shown_by_the_first_start_that_gets_so_far() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let (code, _) = refused(&["up", "--listen", &listen, "--data-dir", data, "--no-demo"]).await;
    assert_eq!(code, Some(1));
    let ready =
        first_line(&["up", "--listen", "127.0.0.1:0", "--output", "json", "--no-demo", "--data-dir", data]).await;
    assert!(ready["admin_password"].is_string(), "{ready:#}");
    let ready =
        first_line(&["up", "--listen", "127.0.0.1:0", "--output", "json", "--no-demo", "--data-dir", data]).await;
    assert!(ready.get("admin_password").is_none(), "{ready:#}");
}

/// The line that a `shop up` prints once ready; the process is asked to leave then.
async fn first_line(arguments: &[&str]) -> serde_json::Value {
    let mut process = shop::shop().args(arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdout = tokio::io::BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    let read = tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line);
    tokio::time::timeout(REFUSAL_BOUND, read).await.unwrap().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(process.wait().await.unwrap().success());
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn an_unusable_data_folder_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "in the way").unwrap();
    let below = file.join("data");
    for (command, path) in [("up", &below), ("audit", &below)] {
        let path = path.to_str().unwrap();
        let (code, stderr) = refused(&[command, "--data-dir", path]).await;
        assert_eq!(code, Some(1), "{stderr}");
        assert!(last_line(&stderr).starts_with("error: ") && last_line(&stderr).contains(path), "{stderr}");
    }
}

#[tokio::test]
async fn a_data_folder_has_one_shop_at_a_time() {
    let shop = Shop::start().await;
    let data = shop.data_dir().to_str().unwrap();
    let (code, stderr) = refused(&["up", "--listen", "127.0.0.1:0", "--data-dir", data]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(last_line(&stderr).contains("in use by another process"), "{stderr}");
    // The first one never noticed.
    Client::anonymous(&shop).get("/products").await.expect(200);
}

#[tokio::test]
async fn a_bad_option_exits_64_and_names_itself() {
    for (flag, value, variable) in [
        ("--payment-timeout", "soon", "SHOP_PAYMENT_TIMEOUT"),
        ("--payment-timeout", "0s", "SHOP_PAYMENT_TIMEOUT"),
        ("--access-token-ttl", "2h", "SHOP_ACCESS_TOKEN_TTL"),
        ("--lease", "0s", "SHOP_LEASE"),
        ("--event-sink", "nowhere", "SHOP_EVENT_SINK"),
        ("--currency", "XXX", "SHOP_CURRENCY"),
    ] {
        let (code, stderr) = refused(&["up", flag, value]).await;
        assert_eq!(code, Some(64), "{flag} {value}: {stderr}");
        assert!(stderr.contains(flag) && stderr.contains(variable), "{flag} {value}: {stderr}");
    }
    let (code, _) = refused(&["--version"]).await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn the_admin_password_counts_at_the_first_start() {
    let mut shop = Shop::start().await;
    assert_eq!(shop.ready.admin_email, ADMIN_EMAIL);
    assert!(shop.signal(Signal::TERM).await.success());
    shop.restart_with(&[("SHOP_ADMIN_PASSWORD", "an entirely different one")]).await;
    let anonymous = Client::anonymous(&shop);
    anonymous.login(ADMIN_EMAIL, ADMIN_PASSWORD).await.get("/users").await.expect(200);
    let other = json!({"email": ADMIN_EMAIL, "password": "an entirely different one"});
    anonymous.post("/auth/login", &other).await.problem(401, "LOGIN_FAILED");
}

#[tokio::test]
async fn a_generated_password_works_and_the_demo_catalogue_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = shop::shop()
        .args(["up", "--listen", "127.0.0.1:0", "--output", "json", "--data-dir"])
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = tokio::io::BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    let read = tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line);
    tokio::time::timeout(REFUSAL_BOUND, read).await.unwrap().unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let http = reqwest::Client::new();
    let base = ready["gateway"].as_str().unwrap();
    let login = json!({"email": ready["admin_email"], "password": ready["admin_password"]});
    let answer = http.post(format!("{base}/api/v1/auth/login")).json(&login).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let page: serde_json::Value =
        http.get(format!("{base}/api/v1/products?limit=100")).send().await.unwrap().json().await.unwrap();
    assert!(page["items"].as_array().unwrap().len() >= 24, "{page:#}");
    for path in ["openapi.json", "docs/", ".well-known/jwks.json"] {
        assert_eq!(http.get(format!("{base}/{path}")).send().await.unwrap().status(), 200, "{path}");
    }
    for admin in ready["admin"].as_object().unwrap().values() {
        for probe in ["livez", "readyz", "metrics"] {
            let url = format!("{}/{probe}", admin.as_str().unwrap());
            assert_eq!(http.get(&url).send().await.unwrap().status(), 200, "{url}");
        }
    }
    process.kill().await.unwrap();
    let audit = shop::audit(folder.path(), &[]).await;
    assert!(audit.success, "{}", audit.report);
}
