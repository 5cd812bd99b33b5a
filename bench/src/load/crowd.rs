//! Who visits and what they know: accounts that are signed in, the catalogue as far as it was read, pages and orders met
//! on the way. Made before the load begins; kept signed in while it goes on.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Credentials, LoadError, Operation, Plan,
    connections::{Gateways, Incomer, Outgoing},
};

/// How long the shop may take to grant a request of the preparation, refusals for being busy included.
const PREPARATION_BOUND: Duration = Duration::from_mins(1);
/// Pause before a request of the preparation is repeated, unless the shop says how long.
const PAUSE: Duration = Duration::from_millis(200);
/// Accounts that are made at once: each is a password hash, of which the shop takes few at a time.
const REGISTERING: usize = 2;
/// Products that visitors know of, in pages of the largest size.
const KNOWN_PRODUCTS: usize = 1_000;
const PAGE: usize = 100;
/// Words that are searched for, from the products' names, and how long one is at least.
const KNOWN_WORDS: usize = 200;
const WORD_LEN: usize = 4;
/// Products that are ordered: as with any shop, few make most of the sales.
const SELLERS: usize = 20;
/// Pages and orders kept for later requests; the newest are used first, so that what is used is fresh.
const KEPT: usize = 1_000;
const SHOPPER_PASSWORD: &str = "shoppers of the load generator";

/// A list of bounded length: the newest are taken first, the oldest forgotten.
#[derive(Debug)]
pub(crate) struct Recent<T>(Mutex<VecDeque<T>>);

impl<T> Recent<T> {
    fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub(crate) fn keep(&self, item: T) {
        let mut kept = self.0.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(item);
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().pop_back()
    }
}

/// An account that is signed in.
#[derive(Debug)]
pub(crate) struct Account {
    credentials: Credentials,
    session: Mutex<Session>,
}

#[derive(Debug, Clone)]
struct Session {
    bearer: HeaderValue,
    refresh_token: String,
    /// When to ask for the next access token: in good time before this one expires.
    renew_at: Instant,
}

impl Account {
    pub(crate) fn bearer(&self) -> HeaderValue {
        self.session.lock().bearer.clone()
    }

    pub(crate) fn sign_in(&self) -> Outgoing {
        sign_in(&self.credentials)
    }

    async fn new(gateways: &Gateways, credentials: Credentials) -> Result<Self, LoadError> {
        let what = format!("sign in {}", credentials.email);
        let answer = ask(gateways, &sign_in(&credentials), &what, &[StatusCode::OK]).await?;
        let session = Session::new(&answer).ok_or_else(|| refused(&what, &answer))?;
        Ok(Self { credentials, session: Mutex::new(session) })
    }

    /// Renews the session if that is due. Trying again is the caller's business.
    async fn keep_signed_in(&self, gateways: &Gateways) -> Result<(), ()> {
        let session = self.session.lock().clone();
        if Instant::now() < session.renew_at {
            return Ok(());
        }
        let refresh = Outgoing::post("/auth/refresh", &json!({"refresh_token": session.refresh_token}));
        let answer = gateways.send(&refresh, Instant::now() + PAUSE).await.outcome.map_err(drop)?;
        let answer = match answer.status {
            StatusCode::UNAUTHORIZED => {
                gateways.send(&self.sign_in(), Instant::now() + PAUSE).await.outcome.map_err(drop)?
            }
            _ => answer,
        };
        *self.session.lock() = Session::new(&answer).filter(|_| answer.status == StatusCode::OK).ok_or(())?;
        Ok(())
    }
}

impl Session {
    fn new(answer: &Incomer) -> Option<Self> {
        let tokens = answer.json();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", tokens["access_token"].as_str()?)).ok()?;
        bearer.set_sensitive(true);
        let lifetime = Duration::from_secs(tokens["expires_in"].as_u64()?);
        let refresh_token = tokens["refresh_token"].as_str()?.to_owned();
        Some(Self { bearer, refresh_token, renew_at: Instant::now() + lifetime / 2 })
    }
}

/// A product that visitors know of.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) etag: Mutex<Option<HeaderValue>>,
}

/// An order that waits to be paid or cancelled.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) id: String,
    pub(crate) shopper: usize,
    pub(crate) total: Value,
}

/// Everyone, and what they know.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) shoppers: Vec<Account>,
    pub(crate) staff: Option<Account>,
    pub(crate) items: Vec<Item>,
    /// Ids of the products that are ordered.
    pub(crate) sellers: Vec<String>,
    pub(crate) words: Vec<String>,
    /// Ids of the categories that products are in, and prices that products have.
    pub(crate) categories: Vec<String>,
    pub(crate) prices: Vec<i64>,
    pub(crate) next_pages: Recent<String>,
    pub(crate) placed: Recent<Placed>,
}

impl Crowd {
    /// Makes the accounts, reads the catalogue and, with staff, sees to it that nothing sells out.
    pub(crate) async fn prepare(plan: &Plan, gateways: &Gateways) -> Result<Self, LoadError> {
        let staff = match plan.staff.clone() {
            Some(credentials) => Some(Account::new(gateways, credentials).await?),
            None => None,
        };
        let catalogue = Catalogue::read(gateways).await?;
        let sells = plan.mix.has(Operation::Order) || plan.mix.has(Operation::Pay) || plan.mix.has(Operation::Cancel);
        let sellers = if sells { catalogue.sellers(plan, gateways, staff.as_ref()).await? } else { Vec::new() };
        let shoppers = stream::iter(0..plan.shoppers).map(|n| shopper(gateways, n)).buffered(REGISTERING);
        Ok(Self {
            shoppers: shoppers.try_collect().await?,
            staff,
            words: catalogue.words(),
            categories: catalogue.distinct(|product| product["category_id"].as_str().map(str::to_owned)),
            prices: catalogue.distinct(|product| product["price"]["amount"].as_i64()),
            items: catalogue.0.into_iter().map(|(id, _)| Item { id, etag: Mutex::new(None) }).collect(),
            sellers,
            next_pages: Recent::new(),
            placed: Recent::new(),
        })
    }

    /// Keeps everyone signed in, for ever. What fails is tried again a moment later: the token still holds.
    pub(crate) async fn stay_signed_in(&self, gateways: &Gateways) {
        loop {
            tokio::time::sleep(PAUSE).await;
            for account in self.shoppers.iter().chain(&self.staff) {
                let _ = account.keep_signed_in(gateways).await;
            }
        }
    }
}

/// What was read of the catalogue: ids, and products as they were listed.
struct Catalogue(Vec<(String, Value)>);

impl Catalogue {
    async fn read(gateways: &Gateways) -> Result<Self, LoadError> {
        let mut products = Vec::new();
        let mut next = Some(Outgoing::get(&format!("/products?include=availability&limit={PAGE}")));
        while let Some(page) = next.take().filter(|_| products.len() < KNOWN_PRODUCTS) {
            let answer = ask(gateways, &page, "list the products", &[StatusCode::OK]).await?;
            let Value::Array(items) = answer.json()["items"].take() else {
                return Err(refused("list the products", &answer));
            };
            products.extend(items.into_iter().filter_map(|item| Some((item["id"].as_str()?.to_owned(), item))));
            next = answer.next_page().map(Outgoing::get_link);
        }
        if products.is_empty() {
            return Err(LoadError::Plan("the shop's catalogue is empty, so there is nothing to visit".to_owned()));
        }
        Ok(Self(products))
    }

    fn words(&self) -> Vec<String> {
        let names = self.0.iter().filter_map(|(_, product)| product["name"].as_str());
        let words = names.flat_map(|name| name.split(|c: char| !c.is_ascii_alphabetic()));
        let mut words: Vec<String> = words.filter(|word| word.len() >= WORD_LEN).map(str::to_ascii_lowercase).collect();
        words.sort_unstable();
        words.dedup();
        words.truncate(KNOWN_WORDS);
        words
    }

    /// What products have of a kind, each once.
    fn distinct<T: Ord>(&self, of: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        self.0.iter().filter_map(|(_, product)| of(product)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The products that are ordered. With staff there is made to be enough of each for the whole load.
    async fn sellers(
        &self,
        plan: &Plan,
        gateways: &Gateways,
        staff: Option<&Account>,
    ) -> Result<Vec<String>, LoadError> {
        let available = |product: &Value| product["availability"]["available"].as_i64().unwrap_or_default();
        let Some(staff) = staff else {
            let sellers: Vec<String> = self
                .0
                .iter()
                .filter(|(_, product)| available(product) > 0)
                .map(|(id, _)| id.clone())
                .take(SELLERS)
                .collect();
            if sellers.is_empty() {
                return Err(LoadError::Plan("nothing is in stock, and no staff is named to change that".to_owned()));
            }
            return Ok(sellers);
        };
        let wanted = wanted_of_each(plan, self.0.len().min(SELLERS));
        let mut sellers = Vec::new();
        for (id, product) in self.0.iter().take(SELLERS) {
            let missing = wanted - available(product);
            if missing > 0 {
                let body = json!({"delta": missing, "reason": "stock for a load"});
                let path = format!("/products/{id}/inventory/adjustments");
                let adjust = Outgoing::post(&path, &body).keyed().by(Some(staff.bearer()));
                ask(gateways, &adjust, "add stock", &[StatusCode::CREATED]).await?;
            }
            sellers.push(id.clone());
        }
        Ok(sellers)
    }
}

/// Pieces of each of the products that are ordered, so that none sells out by chance: twice the mean, and some. An order
/// takes one piece; payments and cancellations place an order when none waits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "far below 2^52, as the rates are bounded"
)]
fn wanted_of_each(plan: &Plan, sellers: usize) -> i64 {
    const SOME: f64 = 100.0;
    let share: f64 =
        [Operation::Order, Operation::Pay, Operation::Cancel].map(|operation| plan.mix.share(operation)).iter().sum();
    let orders = (plan.shape.expected() + plan.shape.warm_up(plan.warm_up).expected()) * share;
    (orders / sellers.max(1) as f64 * 2.0 + SOME) as i64
}

async fn shopper(gateways: &Gateways, n: usize) -> Result<Account, LoadError> {
    let email = format!("shopper-{n}@load.example");
    let body = json!({"email": email, "password": SHOPPER_PASSWORD, "display_name": format!("Shopper {n}")});
    // Whoever is there from an earlier load will do.
    let welcome = [StatusCode::CREATED, StatusCode::CONFLICT];
    ask(gateways, &Outgoing::post("/auth/register", &body), "register a shopper", &welcome).await?;
    Account::new(gateways, Credentials { email, password: SecretString::from(SHOPPER_PASSWORD) }).await
}

fn sign_in(credentials: &Credentials) -> Outgoing {
    let Credentials { email, password } = credentials;
    Outgoing::post("/auth/login", &json!({"email": email, "password": password.expose_secret()}))
}

/// One request of the preparation, repeated while the shop is busy or not there yet.
async fn ask(
    gateways: &Gateways,
    outgoing: &Outgoing,
    what: &str,
    wanted: &[StatusCode],
) -> Result<Incomer, LoadError> {
    let end = Instant::now() + PREPARATION_BOUND;
    loop {
        let outcome = gateways.send(outgoing, end).await.outcome;
        let pause = match &outcome {
            Ok(answer) if wanted.contains(&answer.status) => return outcome.map_err(|_| LoadError::Gone),
            Ok(answer) => match answer.status {
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    answer.retry_after().unwrap_or(PAUSE)
                }
                _ => return Err(refused(what, answer)),
            },
            Err(_) => PAUSE,
        };
        if Instant::now() + pause >= end {
            let answer = outcome.map_or_else(|loss| loss.code().to_owned(), |answer| said(&answer));
            return Err(LoadError::Preparation { what: what.to_owned(), answer });
        }
        tokio::time::sleep(pause).await;
    }
}

fn refused(what: &str, answer: &Incomer) -> LoadError {
    LoadError::Preparation { what: what.to_owned(), answer: said(answer) }
}

fn said(answer: &Incomer) -> String {
    let problem = answer.json();
    let detail = problem["detail"].as_str().unwrap_or("no problem document");
    format!("{} {}: {detail}", answer.status, problem["code"].as_str().unwrap_or_default())
}
