//! What is measured, and what it is held against: the gates of the design, for two cores that are saturated by 32 requests
//! under way unless said otherwise.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use http::{HeaderValue, Method, StatusCode};

use super::{
    figure::{Figure, Gate},
    floor::Floor,
    http::{Http, request},
    process::{Process, beside},
    rpc::Rpc,
    shop::{Folder, SERVICES, Shop, Visitors, login, read},
};

const IN_FLIGHT: usize = 32;
/// Orders placed at once, against one at a time.
const ORDERS_AT_ONCE: usize = 64;
/// Of each core, within what the user service lets wait.
const LOGINS_PER_CORE: usize = 4;
/// Places of the processes in [`Shop::processes`].
const PRODUCT: usize = 1;
const GATEWAY: usize = 3;
/// What plain axum took for a fixed body on the machine that the design's figures in microseconds come from: they are
/// judged as multiples of it.
const AXUM_MICROS: f64 = 10.0;
/// How often each process is started.
const STARTS: usize = 5;
const MIB: f64 = 1024.0 * 1024.0;

/// A shop that runs, and how it is measured.
pub(super) struct Bench {
    pub(super) folder: Folder,
    pub(super) shop: Shop,
    pub(super) visitors: Visitors,
    /// Times that what is compared takes turns.
    pub(super) rounds: usize,
    /// How long each turn is.
    pub(super) turn: Duration,
}

impl Bench {
    /// Reads of a product that is kept, against a fixed body of plain axum; then of products none of which is.
    pub(super) async fn reads(&self, axum: &Process, axum_address: &str) -> anyhow::Result<Vec<Figure>> {
        let mut fixed = Http::connect(axum_address.parse()?, IN_FLIGHT).await?;
        let mut shop = Http::connect(self.shop.gateway(), IN_FLIGHT).await?;
        let (ids, bearer) = (Arc::clone(&self.visitors.ids), self.visitors.customers[0].clone());
        let fixed_read = |_| request(Method::GET, "/fixed", None, None);
        let kept_read = {
            let (ids, bearer) = (Arc::clone(&ids), bearer.clone());
            move |_| read(&ids[0], &bearer)
        };
        // One after another: each comes again when what was kept of it is long gone.
        let uncached_read = move |n: usize| read(&ids[n % ids.len()], &bearer);
        let gateway = &self.shop.processes[GATEWAY];
        let [mut floor, mut kept, mut kept_ratio, mut own, mut own_ratio, mut all, mut all_ratio] =
            std::array::from_fn(|_| Vec::new());
        for _ in 0..self.rounds {
            let (before, count) = (axum.cpu_micros()?, fixed.drive(self.turn, StatusCode::OK, fixed_read).await?);
            let floor_micros = each(axum.cpu_micros()? - before, count);

            let (before, count) =
                (gateway.cpu_micros()?, shop.drive(self.turn, StatusCode::OK, kept_read.clone()).await?);
            let kept_micros = each(gateway.cpu_micros()? - before, count);

            let (before, all_before) = (gateway.cpu_micros()?, self.cpu_of_all()?);
            let count = shop.drive(self.turn, StatusCode::OK, uncached_read.clone()).await?;
            let own_micros = each(gateway.cpu_micros()? - before, count);
            let all_micros = each(self.cpu_of_all()? - all_before, count);

            floor.push(floor_micros);
            kept.push(kept_micros);
            kept_ratio.push(kept_micros / floor_micros);
            own.push(own_micros);
            own_ratio.push(own_micros / floor_micros);
            all.push(all_micros);
            all_ratio.push(all_micros / floor_micros);
        }
        let (own_gate, all_gate) = (Gate::AtMost(60.0 / AXUM_MICROS), Gate::AtMost(150.0 / AXUM_MICROS));
        Ok(vec![
            Figure::of("plain axum, fixed body", "µs", Gate::None, floor),
            Figure::of("cached, authenticated product read", "µs", Gate::None, kept),
            Figure::of("… ÷ plain axum", "", Gate::AtMost(1.6), kept_ratio),
            Figure::of("uncached product read, the gateway's own", "µs", Gate::None, own),
            Figure::of("… ÷ plain axum", "", own_gate, own_ratio),
            Figure::of("uncached product read, all processes", "µs", Gate::None, all),
            Figure::of("… ÷ plain axum", "", all_gate, all_ratio),
        ])
    }

    fn cpu_of_all(&self) -> anyhow::Result<f64> {
        self.shop.processes.iter().map(Process::cpu_micros).sum()
    }

    /// A unary call: plain tonic, the same behind all layers, and the product service's own.
    pub(super) async fn calls(&self) -> anyhow::Result<Vec<Figure>> {
        let bearer = self.visitors.customers[0].to_str()?;
        let (tonic, address) = floor(&self.folder, &Floor::Tonic).await?;
        let plain = Rpc::connect(address.parse()?, bearer).await?;
        let (layered, address) = floor(&self.folder, &Floor::Layered { key_bundle: self.folder.key_bundle() }).await?;
        let behind_layers = Rpc::connect(address.parse()?, bearer).await?;
        let product = Rpc::connect(self.shop.product(), bearer).await?;
        let servers = [(&tonic, &plain), (&layered, &behind_layers), (&self.shop.processes[PRODUCT], &product)];
        let mut micros: [Vec<f64>; 3] = std::array::from_fn(|_| Vec::new());
        for _ in 0..self.rounds {
            for ((process, rpc), micros) in servers.iter().zip(&mut micros) {
                let before = process.cpu_micros()?;
                let count = rpc.drive(self.turn, IN_FLIGHT, &self.visitors.ids).await?;
                micros.push(each(process.cpu_micros()? - before, count));
            }
        }
        let [tonic, layered, product] = micros;
        let ratios = layered.iter().zip(&tonic).map(|(layered, tonic)| layered / tonic).collect();
        let store = product.iter().zip(&layered).map(|(product, layered)| product - layered).collect();
        Ok(vec![
            Figure::of("plain tonic, fixed product", "µs", Gate::None, tonic),
            Figure::of("the same behind all layers of a service", "µs", Gate::None, layered),
            Figure::of("… ÷ plain tonic", "", Gate::AtMost(1.3), ratios),
            Figure::of("a product by the product service", "µs", Gate::None, product),
            Figure::of("… less the layers: the point read in the store", "µs", Gate::AtMost(60.0), store),
        ])
    }

    /// Orders a second, durable on three databases: one at a time, and many at once.
    pub(super) async fn orders(&self) -> anyhow::Result<Vec<Figure>> {
        let mut one = Http::connect(self.shop.gateway(), 1).await?;
        let mut many = Http::connect(self.shop.gateway(), ORDERS_AT_ONCE).await?;
        let [mut alone, mut together, mut ratios] = std::array::from_fn(|_| Vec::new());
        let visitors = Arc::new(self.visitors.clone());
        for _ in 0..self.rounds {
            let mut rates = [0.0; 2];
            for ((http, name), rate) in [(&mut one, "one"), (&mut many, "many")].into_iter().zip(&mut rates) {
                let visitors = Arc::clone(&visitors);
                let begun = Instant::now();
                let count = http.drive(self.turn, StatusCode::CREATED, move |n| visitors.order(name, n)).await?;
                *rate = per_second(count, begun.elapsed());
            }
            alone.push(rates[0]);
            together.push(rates[1]);
            ratios.push(rates[1] / rates[0]);
        }
        Ok(vec![
            Figure::of("orders a second, one at a time", "/s", Gate::None, alone),
            Figure::of(format!("orders a second, {ORDERS_AT_ONCE} at once"), "/s", Gate::None, together),
            Figure::of("… ÷ one at a time", "", Gate::AtLeast(3.0), ratios),
        ])
    }

    /// Logins a second against password hashes a second, each with all cores.
    pub(super) async fn logins(&self) -> anyhow::Result<Vec<Figure>> {
        let cores = std::thread::available_parallelism()?.get();
        // While one waits for its commits, another one's password is hashed.
        let mut http = Http::connect(self.shop.gateway(), cores * LOGINS_PER_CORE).await?;
        let customers = self.visitors.customers.len();
        let [mut bare, mut logins, mut ratios] = std::array::from_fn(|_| Vec::new());
        for _ in 0..self.rounds {
            let hashes = hashes_per_second(cores, self.turn).await?;
            let begun = Instant::now();
            let count = http.drive(self.turn, StatusCode::OK, move |n| login(n, customers)).await?;
            let rate = per_second(count, begun.elapsed());
            bare.push(hashes);
            logins.push(rate);
            ratios.push(rate / hashes);
        }
        Ok(vec![
            Figure::of("Argon2id hashes a second, bare", "/s", Gate::None, bare),
            Figure::of("logins a second", "/s", Gate::None, logins),
            Figure::of("… ÷ bare hashes", "", Gate::AtLeast(0.9), ratios),
        ])
    }

    /// Memory when idle, time to be ready, and size, which need nobody to ask anything.
    pub(super) async fn at_rest(&mut self, embedded_mib: f64) -> anyhow::Result<Vec<Figure>> {
        let mut figures = vec![Figure::of("idle: the embedded run", "MiB", Gate::AtMost(40.0), vec![embedded_mib])];
        for (service, idle) in SERVICES.into_iter().zip(&self.shop.idle_mib) {
            figures.push(Figure::of(format!("idle: {service}"), "MiB", Gate::AtMost(14.0), vec![*idle]));
        }
        for (which, service) in SERVICES.into_iter().enumerate() {
            let mut starts = Vec::new();
            for _ in 0..STARTS {
                starts.push(self.shop.start_again(&self.folder, which).await?);
            }
            figures.push(Figure::of(format!("exec to ready: {service}"), "ms", Gate::AtMost(100.0), starts));
        }
        let names = SERVICES.map(|service| format!("shop-{service}")).into_iter().chain(["shop".to_owned()]);
        for name in names {
            let bytes = std::fs::metadata(beside(&name)?)?.len();
            #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
            let mib = bytes as f64 / MIB;
            figures.push(Figure::of(format!("binary: {name}"), "MiB", Gate::AtMost(20.0), vec![mib]));
        }
        Ok(figures)
    }

    /// A product as the gateway answers it.
    pub(super) async fn product_body(&self) -> anyhow::Result<String> {
        let mut http = Http::connect(self.shop.gateway(), 1).await?;
        let bearer: &HeaderValue = &self.visitors.customers[0];
        Ok(http.ask(read(&self.visitors.ids[0], bearer), StatusCode::OK).await?.to_string())
    }
}

/// Starts a floor, and gives its address.
pub(super) async fn floor(folder: &Folder, floor: &Floor) -> anyhow::Result<(Process, String)> {
    let started = Process::that_says(floor.command()?, &folder.floor_log()).await;
    started.with_context(|| format!("can't start the floor {floor:?}"))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn each(micros: f64, count: usize) -> f64 {
    micros / count.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Argon2id at the figures that passwords are hashed with here (OWASP's), on so many threads, memory made once for each.
async fn hashes_per_second(threads: usize, time: Duration) -> anyhow::Result<f64> {
    let params =
        Params::new(19_456, 2, 1, None).map_err(|error| anyhow::anyhow!("no parameters of Argon2: {error}"))?;
    let hashing: Vec<_> = (0..threads)
        .map(|_| {
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
            let mut memory = vec![Block::new(); params.block_count()];
            tokio::task::spawn_blocking(move || {
                let (begun, mut out, mut count) = (Instant::now(), [0; 32], 0);
                while begun.elapsed() < time {
                    let hashed = argon2.hash_password_into_with_memory(
                        b"a password",
                        b"sixteen bytes of",
                        &mut out,
                        &mut memory,
                    );
                    hashed.map_err(|error| anyhow::anyhow!("Argon2 failed: {error}"))?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        })
        .collect();
    let begun = Instant::now();
    let mut all = 0;
    for thread in hashing {
        all += thread.await??;
    }
    Ok(per_second(all, begun.elapsed()))
}
