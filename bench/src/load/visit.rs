//! One request of a visitor: what it asks, whether the answer is what it should be, and what is learnt from it.

use fastrand::Rng;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use super::{
    Operation,
    connections::{Incomer, Outgoing},
    crowd::{Crowd, Item, Placed},
};

/// Half of those who look around are signed in.
const SIGNED_IN: f64 = 0.5;
const SORTS: [&str; 4] = ["created_at", "price", "-price", "name"];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A request that is about to be sent.
pub(crate) struct Visit {
    /// What it turned out to be: a payment with nothing to pay is an order.
    pub(crate) operation: Operation,
    pub(crate) outgoing: Outgoing,
    about: About,
}

/// What a visit needs when its answer comes.
enum About {
    Nothing,
    /// The product's place among the items.
    Item(usize),
    /// The customer who orders.
    Shopper(usize),
}

impl Visit {
    /// Decides what to ask.
    pub(crate) fn plan(wanted: Operation, crowd: &Crowd, addresses: u16, rng: &mut Rng) -> Self {
        let mut visit = match wanted {
            Operation::List => Self::list(crowd, rng),
            Operation::Page => match crowd.next_pages.take() {
                Some(page) => Self::look(wanted, Outgoing::get_link(page), crowd, rng),
                None => Self::list(crowd, rng),
            },
            Operation::Product => Self::product(crowd, rng),
            Operation::Availability => {
                let path = format!("/products/{}/availability", crowd.items[popular(crowd, rng)].id);
                Self::look(wanted, Outgoing::get(&path), crowd, rng)
            }
            Operation::Search => Self::search(crowd, rng),
            Operation::Filter => Self::filter(crowd, rng),
            Operation::SignIn => {
                let shopper = &crowd.shoppers[rng.usize(0..crowd.shoppers.len())];
                Self { operation: wanted, outgoing: shopper.sign_in(), about: About::Nothing }
            }
            Operation::Order => Self::order(crowd, rng),
            Operation::Pay => Self::pay(crowd).unwrap_or_else(|| Self::order(crowd, rng)),
            Operation::Cancel => Self::cancel(crowd).unwrap_or_else(|| Self::order(crowd, rng)),
            Operation::Orders => {
                let shopper = &crowd.shoppers[rng.usize(0..crowd.shoppers.len())];
                let outgoing = Outgoing::get("/orders").by(Some(shopper.bearer()));
                Self { operation: wanted, outgoing, about: About::Nothing }
            }
        };
        if addresses > 0 {
            let [high, low] = rng.u16(0..addresses).to_be_bytes();
            let address = HeaderValue::from_str(&format!("10.77.{high}.{low}"));
            visit.outgoing.headers.extend(address.ok().map(|address| (FORWARDED_FOR, address)));
        }
        visit
    }

    fn look(operation: Operation, outgoing: Outgoing, crowd: &Crowd, rng: &mut Rng) -> Self {
        let visitor = (rng.f64() < SIGNED_IN).then(|| crowd.shoppers[rng.usize(0..crowd.shoppers.len())].bearer());
        Self { operation, outgoing: outgoing.by(visitor), about: About::Nothing }
    }

    fn list(crowd: &Crowd, rng: &mut Rng) -> Self {
        let path = format!("/products?sort={}", SORTS[rng.usize(0..SORTS.len())]);
        Self::look(Operation::List, Outgoing::get(&path), crowd, rng)
    }

    fn product(crowd: &Crowd, rng: &mut Rng) -> Self {
        let index = popular(crowd, rng);
        let Item { id, etag } = &crowd.items[index];
        let outgoing = Outgoing::get(&format!("/products/{id}")).unless_held(etag.lock().clone());
        let looked = Self::look(Operation::Product, outgoing, crowd, rng);
        Self { about: About::Item(index), ..looked }
    }

    fn search(crowd: &Crowd, rng: &mut Rng) -> Self {
        let word = rng.choice(&crowd.words).map_or("anything", String::as_str);
        Self::look(Operation::Search, Outgoing::get(&format!("/products?q={word}")), crowd, rng)
    }

    /// At least one of the filters, and any order.
    fn filter(crowd: &Crowd, rng: &mut Rng) -> Self {
        let mut path = format!("/products?sort={}", SORTS[rng.usize(0..SORTS.len())]);
        let which = rng.u8(1..8);
        if which & 1 != 0
            && let Some(category) = rng.choice(&crowd.categories)
        {
            path.extend(["&category=", category]);
        }
        if which & 2 != 0
            && let Some(price) = rng.choice(&crowd.prices)
        {
            let (from, to) = (price.to_string(), price.saturating_mul(2).to_string());
            path.extend(["&min_price=", &from, "&max_price=", &to]);
        }
        if which & 4 != 0 {
            path.push_str("&in_stock=true");
        }
        Self::look(Operation::Filter, Outgoing::get(&path), crowd, rng)
    }

    fn order(crowd: &Crowd, rng: &mut Rng) -> Self {
        let shopper = rng.usize(0..crowd.shoppers.len());
        let product = rng.choice(&crowd.sellers).map_or("", String::as_str);
        let body = json!({
            "items": [{"product_id": product, "quantity": 1}],
            "shipping_address": {
                "recipient": "A Shopper", "line1": "1 High Street", "city": "London", "postal_code": "N1 1AA", "country": "GB",
            },
        });
        let outgoing = Outgoing::post("/orders", &body).keyed().by(Some(crowd.shoppers[shopper].bearer()));
        Self { operation: Operation::Order, outgoing, about: About::Shopper(shopper) }
    }

    fn pay(crowd: &Crowd) -> Option<Self> {
        let staff = crowd.staff.as_ref()?;
        let Placed { id, total, .. } = crowd.placed.take()?;
        let body = json!({"reference": format!("load-{id}"), "amount": total});
        let outgoing = Outgoing::post(&format!("/orders/{id}/payments"), &body).by(Some(staff.bearer()));
        Some(Self { operation: Operation::Pay, outgoing, about: About::Nothing })
    }

    fn cancel(crowd: &Crowd) -> Option<Self> {
        let Placed { id, shopper, .. } = crowd.placed.take()?;
        let outgoing = Outgoing::post(&format!("/orders/{id}/cancel"), &json!({}));
        let outgoing = outgoing.by(Some(crowd.shoppers[shopper].bearer()));
        Some(Self { operation: Operation::Cancel, outgoing, about: About::Nothing })
    }

    /// Whether an answer is one that a shop in order gives.
    pub(crate) fn expects(&self, answer: &Incomer, code: &str) -> bool {
        match (self.operation, answer.status) {
            (Operation::Product, StatusCode::NOT_MODIFIED)
            | (Operation::Order | Operation::Pay, StatusCode::CREATED) => true,
            // A demand that the stock does not meet is answered as it should be.
            (Operation::Order, StatusCode::CONFLICT) => code == "OUT_OF_STOCK",
            (Operation::Order, _) => false,
            (_, status) => status == StatusCode::OK,
        }
    }

    /// Remembers what later visits need.
    pub(crate) fn learn(&self, crowd: &Crowd, answer: &Incomer) {
        match (self.operation, &self.about, answer.status) {
            (Operation::List | Operation::Page | Operation::Search | Operation::Filter, _, StatusCode::OK) => {
                if let Some(page) = answer.next_page() {
                    crowd.next_pages.keep(page);
                }
            }
            (Operation::Product, About::Item(index), StatusCode::OK) => {
                *crowd.items[*index].etag.lock() = answer.headers.get(header::ETAG).cloned();
            }
            (Operation::Order, About::Shopper(shopper), StatusCode::CREATED) => {
                let mut order = answer.json();
                if let Some(id) = order["id"].as_str().map(str::to_owned) {
                    crowd.placed.keep(Placed { id, shopper: *shopper, total: order["total"].take() });
                }
            }
            _ => {}
        }
    }
}

/// A product by popularity: half of all visits go to a quarter of the catalogue.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "from 0 to below the number of known products"
)]
fn popular(crowd: &Crowd, rng: &mut Rng) -> usize {
    let known = crowd.items.len();
    ((known as f64 * rng.f64().powi(2)) as usize).min(known.saturating_sub(1))
}
