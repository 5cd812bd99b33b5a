//! The binary's commands, as an operator types them.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use secrecy::SecretString;
use shop_storage::DatabaseOptions;
use shop_testing::TestDatabase;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::harness::{ADMIN, BOUND, PASSWORD};

async fn shop_user(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop-user"));
    command.args(arguments).current_dir(dir).env_clear().envs(environment.iter().copied()).kill_on_drop(true);
    tokio::time::timeout(BOUND, command.output()).await.unwrap().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap().trim_end()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test]
async fn a_first_admin_is_made_in_a_migrated_database() {
    let own = TestDatabase::new(shop_user::NAME).await;
    let dir = tempfile::tempdir().unwrap();
    // Told nothing, the command makes its file where it is started.
    let (database, url) = match own.file() {
        Some(_) => (DatabaseOptions::sqlite_file(&dir.path().join("user.db")), None),
        None => (own.options(), Some(own.url())),
    };
    let place: Vec<_> = url.iter().map(|url| ("DATABASE_URL", url.as_str())).collect();
    let with_admin =
        |password| [place.as_slice(), &[("SHOP_ADMIN_EMAIL", ADMIN), ("SHOP_ADMIN_PASSWORD", password)]].concat();
    let admin = with_admin(PASSWORD);
    let early = shop_user(dir.path(), &["create-admin"], &admin).await;
    assert_eq!(early.status.code(), Some(1));
    assert!(stderr(&early).contains("migrate up"), "{}", stderr(&early));

    let migrated = shop_user(dir.path(), &["migrate", "up"], &place).await;
    assert_eq!(stdout(&migrated), r#"{"schema_version":1,"compatible_from":1}"#);
    let again = shop_user(dir.path(), &["migrate", "up"], &place).await;
    assert_eq!(stdout(&again), stdout(&migrated));
    assert_eq!(stdout(&shop_user(dir.path(), &["migrate", "status"], &place).await), stdout(&migrated));
    assert_eq!(stdout(&shop_user(dir.path(), &["migrate", "contract"], &place).await), stdout(&migrated));

    assert!(!shop_user::has_admin(&database).await.unwrap());
    let refused = shop_user(dir.path(), &["create-admin"], &with_admin("password1234")).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("/password") && !stderr(&refused).contains("password1234"),
        "{}",
        stderr(&refused)
    );

    let made = shop_user(dir.path(), &["create-admin"], &admin).await;
    assert!(made.status.success(), "{}", stderr(&made));
    assert!(stdout(&made).starts_with(r#"{"id":""#));
    assert!(shop_user::has_admin(&database).await.unwrap());
    let twice = shop_user::create_admin(&database, ADMIN, &SecretString::from(PASSWORD)).await.unwrap_err();
    assert_eq!(twice.to_string(), "the e-mail is taken");
    let repeated = shop_user(dir.path(), &["create-admin", "--if-none"], &admin).await;
    assert!(repeated.status.success() && stdout(&repeated).is_empty(), "{}", stderr(&repeated));
}

#[tokio::test]
async fn a_process_that_waits_for_its_database_leaves_at_once_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    assert!(shop_user(dir.path(), &["keys", "create"], &[("SHOP_KEYS_DIR", "keys")]).await.status.success());
    // Bound and not listened to, so that nobody else is there either.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("postgres://shop@{}/shop?sslmode=disable", nobody.local_addr().unwrap());
    let mut process = Command::new(env!("CARGO_BIN_EXE_shop-user"))
        .arg("serve")
        .current_dir(dir.path())
        .env_clear()
        .envs([
            ("DATABASE_URL", url.as_str()),
            ("SHOP_KEY_BUNDLE", "keys/bundle.json"),
            ("SHOP_SIGNING_KEYS", "keys/user.keys.json"),
            ("SHOP_CURSOR_SECRET", "a secret of thirty-two bytes or more"),
            ("SHOP_LISTEN", "127.0.0.1:0"),
            ("SHOP_ADMIN_LISTEN", "127.0.0.1:0"),
        ])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let waits = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("waiting for the database") {
                return;
            }
        }
        panic!("it ended without a wait");
    };
    tokio::time::timeout(BOUND, waits).await.unwrap();
    let pid = process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let begun = Instant::now();
    let left = tokio::time::timeout(BOUND, process.wait()).await.unwrap().unwrap();
    assert_eq!(left.code(), Some(0));
    // It neither waits for another attempt nor drains.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_wrong_option_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let keys = [("SHOP_KEY_BUNDLE", "bundle.json"), ("SHOP_SIGNING_KEYS", "user.keys.json")];
    let secret = ("SHOP_CURSOR_SECRET", "a secret of thirty-two bytes or more");
    for (variable, value, flag) in [
        ("SHOP_ACCESS_TOKEN_TTL", "2h", "--access-token-ttl"),
        ("SHOP_ACCESS_TOKEN_TTL", "5", "--access-token-ttl"),
        ("SHOP_CURSOR_SECRET", "short", "--cursor-secret"),
    ] {
        let mut environment = keys.to_vec();
        environment.extend([secret, (variable, value)]);
        let refused = shop_user(dir.path(), &["serve"], &environment).await;
        assert_eq!(refused.status.code(), Some(64), "{variable}={value}");
        assert!(stderr(&refused).contains(flag), "{}", stderr(&refused));
    }
    assert!(shop_user::DEFAULT_ACCESS_TOKEN_TTL == Duration::from_mins(5));
}

#[tokio::test]
async fn keys_are_made_once_and_rotated_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let folder = [("SHOP_KEYS_DIR", "keys")];
    let made = shop_user(dir.path(), &["keys", "create"], &folder).await;
    assert!(made.status.success(), "{}", stderr(&made));
    let names = ["bundle.json", "gateway.keys.json", "order.keys.json", "product.keys.json", "user.keys.json"];
    let contents = || names.map(|name| std::fs::read_to_string(dir.path().join("keys").join(name)).unwrap());
    let before = contents();
    assert!(shop_user(dir.path(), &["keys", "create"], &folder).await.status.success());
    assert_eq!(contents(), before);

    let rotated = shop_user(dir.path(), &["keys", "rotate", "--issuer", "user"], &folder).await;
    let step: serde_json::Value = serde_json::from_str(stdout(&rotated)).unwrap();
    let [bundle, .., user] = contents();
    let kid = step["kid"].as_str().unwrap();
    assert!(bundle.contains(kid) && user.contains(kid));
    let again = shop_user(dir.path(), &["keys", "rotate", "--issuer", "user"], &folder).await;
    assert_eq!(stdout(&again), stdout(&rotated), "the next step is taken when this one is over");
    let unknown = shop_user(dir.path(), &["keys", "rotate", "--issuer", "nobody"], &folder).await;
    assert_eq!(unknown.status.code(), Some(1));
}
