//! The shop that is measured: a data folder that `shop up` filled, then its four services as processes of their own, with
//! accounts and stock.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    http::{Http, Outgoing, request},
    process::{Process, free_address, program},
};

pub(super) const SERVICES: [&str; 4] = ["user", "product", "order", "gateway"];
const ADMIN_EMAIL: &str = "admin@bench.example";
const PASSWORD: &str = "what the benchmark signs in with";
const SECRET: &str = "a secret of the benchmark, and of nothing that lasts";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What orders are of; as in any shop, few products make most of the sales.
const SELLERS: usize = 20;
/// More than a benchmark orders.
const STOCK: i64 = 1_000_000;
const PAGE: usize = 100;
/// After this an idle process does nothing that it did to start.
const SETTLED: Duration = Duration::from_secs(5);

/// A folder that holds a shop's keys and databases.
pub(super) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// Fills one by the embedded run, and gives what that holds of memory when idle.
    pub(super) async fn fill(products: usize) -> anyhow::Result<(Self, f64)> {
        let filled = Self { folder: tempfile::tempdir()? };
        let mut command = program("shop")?;
        command
            .args(["up", "--listen", "127.0.0.1:0", "--output", "json", "--admin-email", ADMIN_EMAIL])
            .args(["--products", &products.to_string(), "--data-dir"])
            .arg(filled.data())
            .env("SHOP_ADMIN_PASSWORD", PASSWORD);
        let (process, _) = Process::that_says(command, &filled.log("shop")).await?;
        process.leave().await?;
        // What seeding a catalogue took is no part of what an idle shop holds: it is measured at the next start.
        let mut command = program("shop")?;
        command
            .args(["up", "--listen", "127.0.0.1:0", "--output", "json", "--no-demo", "--data-dir"])
            .arg(filled.data());
        let (process, _) = Process::that_says(command, &filled.log("shop")).await?;
        tokio::time::sleep(SETTLED).await;
        let idle = process.pss_mib()?;
        process.leave().await?;
        Ok((filled, idle))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    pub(super) fn key_bundle(&self) -> PathBuf {
        self.data().join("keys/bundle.json")
    }

    pub(super) fn floor_log(&self) -> PathBuf {
        self.log("floors")
    }

    fn command(&self, service: &str, serve: SocketAddr, admin: SocketAddr, places: &Places) -> anyhow::Result<Command> {
        let mut command = program(&format!("shop-{service}"))?;
        let keys = self.data().join("keys");
        command
            .arg("serve")
            .env("SHOP_LISTEN", serve.to_string())
            .env("SHOP_ADMIN_LISTEN", admin.to_string())
            .env("SHOP_KEY_BUNDLE", keys.join("bundle.json"))
            .env("SHOP_SIGNING_KEYS", keys.join(format!("{service}.keys.json")))
            .env("SHOP_CURSOR_SECRET", SECRET)
            .env("SHOP_PAYMENT_WEBHOOK_SECRET", SECRET)
            .env("SHOP_ACCESS_TOKEN_TTL", "1h")
            // Nobody has to notice that it leaves.
            .env("SHOP_DRAIN_LEAD", "0s")
            .env("DATABASE_URL", format!("sqlite://{}", self.data().join(format!("{service}.db")).display()))
            .env("SHOP_USER_ADDRESS", places.0[0].to_string())
            .env("SHOP_PRODUCT_ADDRESS", places.0[1].to_string())
            .env("SHOP_ORDER_ADDRESS", places.0[2].to_string())
            // All that asks comes from one address: the limits are worked out as ever, and not met.
            .envs(["SHOP_RATE_LIMIT", "SHOP_RATE_BURST"].map(|name| (name, "1000000")))
            .envs(["SHOP_SIGN_IN_RATE_LIMIT", "SHOP_SIGN_IN_RATE_BURST"].map(|name| (name, "1000000")))
            .env("SHOP_MAX_IN_FLIGHT_PER_CLIENT", "1000");
        Ok(command)
    }
}

/// Where user, product, order and the gateway serve.
struct Places([SocketAddr; 4]);

/// The four processes.
pub(super) struct Shop {
    places: Places,
    /// In the order of [`SERVICES`].
    pub(super) processes: Vec<Process>,
    /// What each held of memory when idle, in MiB.
    pub(super) idle_mib: Vec<f64>,
}

impl Shop {
    /// Starts them one after another, each when the one before is ready, and lets them settle.
    pub(super) async fn start(folder: &Folder) -> anyhow::Result<Self> {
        let places = Places([free_address()?, free_address()?, free_address()?, free_address()?]);
        let mut processes = Vec::new();
        for which in 0..SERVICES.len() {
            processes.push(serve(folder, &places, which).await?);
        }
        tokio::time::sleep(SETTLED).await;
        let idle_mib = processes.iter().map(Process::pss_mib).collect::<anyhow::Result<_>>()?;
        Ok(Self { places, processes, idle_mib })
    }

    pub(super) fn gateway(&self) -> SocketAddr {
        self.places.0[3]
    }

    pub(super) fn product(&self) -> SocketAddr {
        self.places.0[1]
    }

    /// Starts a service once more, on its database that has its schema, while the others are there. Gives how long it took
    /// to be ready, in milliseconds.
    pub(super) async fn start_again(&mut self, folder: &Folder, which: usize) -> anyhow::Result<f64> {
        self.processes.remove(which).leave().await?;
        let process = serve(folder, &self.places, which).await?;
        let ready_after = process.ready_after.as_secs_f64() * 1_000.0;
        self.processes.insert(which, process);
        Ok(ready_after)
    }

    /// Asks all to leave, callers before those they call.
    pub(super) async fn leave(self) -> anyhow::Result<()> {
        for process in self.processes.into_iter().rev() {
            process.leave().await?;
        }
        Ok(())
    }
}

async fn serve(folder: &Folder, places: &Places, which: usize) -> anyhow::Result<Process> {
    let (service, admin) = (SERVICES[which], free_address()?);
    let command = folder.command(service, places.0[which], admin, places)?;
    let started = Process::that_is_probed(command, admin, &folder.log(service)).await;
    started.with_context(|| format!("can't start {service}"))
}

/// Who visits, and what there is.
#[derive(Clone)]
pub(super) struct Visitors {
    pub(super) customers: Arc<[HeaderValue]>,
    /// Of all products.
    pub(super) ids: Arc<[String]>,
    /// Ids of products that don't sell out.
    pub(super) sellers: Arc<[String]>,
}

impl Visitors {
    pub(super) async fn prepare(gateway: SocketAddr, customers: usize) -> anyhow::Result<Self> {
        let mut http = Http::connect(gateway, 1).await?;
        let admin = sign_in(&mut http, ADMIN_EMAIL).await?;
        let mut bearers = Vec::new();
        for n in 0..customers {
            let email = format!("customer-{n}@bench.example");
            let body = json!({"email": email, "password": PASSWORD, "display_name": "A Customer"});
            http.ask(post("/auth/register", None, &body), StatusCode::CREATED).await?;
            bearers.push(sign_in(&mut http, &email).await?);
        }
        let ids = all_ids(&mut http).await?;
        let sellers: Vec<String> = ids.iter().take(SELLERS).cloned().collect();
        for id in &sellers {
            let body = json!({"delta": STOCK, "reason": "for the benchmark"});
            let adjust = keyed(post(&format!("/products/{id}/inventory/adjustments"), Some(&admin), &body), id);
            http.ask(adjust, StatusCode::CREATED).await?;
        }
        Ok(Self { customers: bearers.into(), ids: ids.into(), sellers: sellers.into() })
    }

    /// The order of a number: one piece, by a customer.
    pub(super) fn order(&self, run: &str, n: usize) -> Outgoing {
        let body = json!({
            "items": [{"product_id": self.sellers[n % self.sellers.len()], "quantity": 1}],
            "shipping_address": {
                "recipient": "A Customer", "line1": "1 High Street", "city": "London", "postal_code": "N1 1AA", "country": "GB",
            },
        });
        keyed(post("/orders", Some(&self.customers[n % self.customers.len()]), &body), &format!("{run}-{n}"))
    }
}

/// A customer signs in, whose number may be any.
pub(super) fn login(n: usize, customers: usize) -> Outgoing {
    let body = json!({"email": format!("customer-{}@bench.example", n % customers), "password": PASSWORD});
    post("/auth/login", None, &body)
}

/// A product is read by a customer.
pub(super) fn read(id: &str, bearer: &HeaderValue) -> Outgoing {
    request(Method::GET, &format!("/api/v1/products/{id}"), Some(bearer), None)
}

fn post(path: &str, bearer: Option<&HeaderValue>, body: &Value) -> Outgoing {
    request(Method::POST, &format!("/api/v1{path}"), bearer, Some(body))
}

fn keyed(mut request: Outgoing, key: &str) -> Outgoing {
    let key = HeaderValue::from_str(key).ok();
    request.headers_mut().extend(key.map(|key| (IDEMPOTENCY_KEY, key)));
    request
}

async fn sign_in(http: &mut Http, email: &str) -> anyhow::Result<HeaderValue> {
    let tokens =
        http.ask(post("/auth/login", None, &json!({"email": email, "password": PASSWORD})), StatusCode::OK).await?;
    let token = tokens["access_token"].as_str().context("no access token")?;
    Ok(HeaderValue::from_str(&format!("Bearer {token}"))?)
}

async fn all_ids(http: &mut Http) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut path = format!("/api/v1/products?limit={PAGE}");
    loop {
        let page = http.ask(request(Method::GET, &path, None, None), StatusCode::OK).await?;
        let items = page["items"].as_array().context("no page")?;
        ids.extend(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/products?limit={PAGE}&cursor={cursor}");
    }
    ensure!(ids.len() > PAGE, "the catalogue has only {} products", ids.len());
    Ok(ids)
}
