//! The process is killed with SIGKILL at every named point of the saga, and at random; whatever it was doing is finished
//! after a restart, once, within a lease.

use std::{path::Path, time::Duration};

use futures::{StreamExt as _, future::join_all, stream};
use reqwest::Method;
use sea_orm::{ConnectOptions, ConnectionTrait as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    SETTLE_BOUND,
    client::{Client, address, order_of},
    payment_race::{notice, signature},
    random_below,
    shop::{Reached, Shop},
    sink::EventSink,
};

/// Short, so that a take-over is seen in test time; longer than any step.
const LEASE: &str = "1s";
/// Shops that crash side by side: starting one keeps a core busy.
const AT_ONCE: usize = 2;
const PRICE: i64 = 1_250;
const STOCK: i64 = 50;
/// Customers who go every road at the same time.
const AT_A_TIME: usize = 4;
/// Once nothing is left to pay: a test waits for it.
pub(crate) const HASTY_PAYMENT_TIMEOUT: &str = "1s";

#[tokio::test]
async fn killed_at_any_failpoint_it_goes_on_where_it_was() {
    let failpoints = shop_order::failpoints();
    assert!(failpoints.len() >= 20, "the step table lost its failpoints: {failpoints:?}");
    let mut recoveries = stream::iter(failpoints)
        .map(|name| {
            let test = tokio::spawn(killed_at(name.clone()));
            async move { (name, test.await) }
        })
        .buffer_unordered(AT_ONCE);
    let mut failed = Vec::new();
    while let Some((name, recovered)) = recoveries.next().await {
        if recovered.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "no recovery from a kill at {failed:?}");
}

async fn killed_at(failpoint: String) {
    let sink = EventSink::start().await;
    let url = sink.url();
    let base = [("SHOP_LEASE", LEASE), ("SHOP_EVENT_SINK", url.as_str())];
    let hasty = [base[0], base[1], ("SHOP_PAYMENT_TIMEOUT", HASTY_PAYMENT_TIMEOUT)];
    let armed = |name| [base[0], base[1], ("SHOP_FAILPOINT", name)];
    let first = match Passed::when(&failpoint) {
        Passed::Always | Passed::WhenProductHangs => failpoint.as_str(),
        Passed::AfterRestart => "order.saga.reserve.before_call",
        Passed::WhenKeysAreOld | Passed::AtExpiry => "",
    };
    let mut shop = Shop::start_with(&armed(first)).await;
    let stage = Stage::set(&shop).await;
    let hanging = match Passed::when(&failpoint) {
        Passed::WhenProductHangs => Some(WriteLock::take(&shop.data_dir().join("product.db")).await),
        _ => None,
    };
    if matches!(Passed::when(&failpoint), Passed::WhenKeysAreOld) {
        shop = killed_while_forgetting(shop, &failpoint, &armed(&failpoint)).await;
        shop.restart_with(&base).await;
    }
    let mut life = tokio::spawn(stage.play());
    match Passed::when(&failpoint) {
        Passed::Always | Passed::WhenProductHangs => dies_at(first, &mut shop, &mut life).await,
        Passed::AfterRestart => {
            dies_at(first, &mut shop, &mut life).await;
            shop.restart_with(&armed(&failpoint)).await;
            dies_at(&failpoint, &mut shop, &mut life).await;
        }
        // It has happened, or is yet to come.
        Passed::WhenKeysAreOld | Passed::AtExpiry => {}
    }
    drop(hanging);
    if !matches!(Passed::when(&failpoint), Passed::WhenKeysAreOld | Passed::AtExpiry) {
        shop.restart_with(&base).await;
    }
    let (stage, orders) = life.await.unwrap();
    shop.kill().await;
    let (stage, orders) = if matches!(Passed::when(&failpoint), Passed::AtExpiry) {
        shop.restart_with(&[hasty[0], hasty[1], hasty[2], ("SHOP_FAILPOINT", &failpoint)]).await;
        let mut life = tokio::spawn(stage.let_expire(orders));
        dies_at(&failpoint, &mut shop, &mut life).await;
        shop.restart_with(&hasty).await;
        life.await.unwrap()
    } else {
        shop.restart_with(&hasty).await;
        stage.let_expire(orders).await
    };
    shop.settled_clean(SETTLE_BOUND).await;
    stage.ended_well(&orders, &failpoint).await;
    sink.has_all_events_in_order(&orders.ids(), &failpoint).await;
}

/// Somebody else's key grows old while the shop is closed; the next life is killed as it forgets it.
async fn killed_while_forgetting(mut shop: Shop, failpoint: &str, armed: &[(&str, &str)]) -> Shop {
    let (other, _) = Client::customer(&shop).await;
    other.order("old", &order_of(Uuid::now_v7(), 1)).await.problem(409, "PRODUCT_NOT_ORDERABLE");
    shop.kill().await;
    let database = open(&shop.data_dir().join("order.db")).await;
    let two_days = Duration::from_hours(48).as_micros();
    for table in ["idempotency_keys", "orders"] {
        let aged = format!("UPDATE {table} SET created_at = created_at - {two_days}");
        database.execute_unprepared(&aged).await.unwrap();
    }
    database.close().await.unwrap();
    assert!(shop.starts_only_to_be_killed(armed).await, "{failpoint}: the process lived");
    shop
}

async fn open(path: &Path) -> sea_orm::DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite:{}", path.display()));
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await.unwrap()
}

/// When a failpoint is passed.
enum Passed {
    /// In the course of the scenario.
    Always,
    /// When a step's call gets no answer.
    WhenProductHangs,
    /// When a restarted process finds a step outstanding.
    AfterRestart,
    /// When there are idempotency keys to forget.
    WhenKeysAreOld,
    /// When an order is not paid in time.
    AtExpiry,
}

impl Passed {
    fn when(failpoint: &str) -> Self {
        match failpoint.rsplit_once('.').map(|(place, _)| place) {
            Some("order.saga.postpone") => Self::WhenProductHangs,
            Some("order.saga.claim") => Self::AfterRestart,
            Some("order.sweep") => Self::WhenKeysAreOld,
            Some("order.expire") => Self::AtExpiry,
            _ => Self::Always,
        }
    }
}

/// The write lock of a SQLite file, as a backup or a stuck tool would hold it: the owner's writes wait.
struct WriteLock(#[expect(dead_code, reason = "held until it is dropped")] sea_orm::DatabaseConnection);

impl WriteLock {
    async fn take(path: &Path) -> Self {
        let connection = open(path).await;
        connection.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
        Self(connection)
    }
}

/// Waits for the kill, which has to come before the scenario is over.
async fn dies_at<T>(failpoint: &str, shop: &mut Shop, life: &mut JoinHandle<T>) {
    tokio::select! {
        died = shop.killed_within(SETTLE_BOUND) => assert!(died, "{failpoint}: the process did not die of SIGKILL"),
        _ = life => panic!("{failpoint} was never passed: the scenario ended without a kill"),
    }
}

#[tokio::test]
async fn killed_at_random_it_goes_on_where_it_was() {
    let sink = EventSink::start().await;
    let url = sink.url();
    let patient = [("SHOP_LEASE", LEASE), ("SHOP_EVENT_SINK", url.as_str())];
    let mut shop = Shop::start_with(&patient).await;
    let mut stages = Vec::new();
    for _ in 0..AT_A_TIME * 4 {
        stages.push(Stage::set(&shop).await);
    }
    let playing = tokio::spawn(play_in_turn(stages));
    let kills = killed_until(&playing, &mut shop).await;
    assert!(kills >= 3, "the scenario was over before it could be disturbed");
    let played = playing.await.unwrap();
    // What is paid is paid, however slow the machine is; what is placed now never will be.
    shop.kill().await;
    shop.restart_with(&[patient[0], patient[1], ("SHOP_PAYMENT_TIMEOUT", HASTY_PAYMENT_TIMEOUT)]).await;
    let expiring = tokio::spawn(join_all(played.into_iter().map(|(stage, orders)| stage.let_expire(orders))));
    killed_until(&expiring, &mut shop).await;
    let ended = expiring.await.unwrap();
    shop.settled_clean(SETTLE_BOUND).await;
    for (stage, orders) in ended {
        stage.ended_well(&orders, "random kills").await;
        sink.has_all_events_in_order(&orders.ids(), "random kills").await;
    }
}

/// Kills the shop at random and starts it again until the scenario is over, at least once; at last it is left alone.
async fn killed_until<T>(scenario: &JoinHandle<T>, shop: &mut Shop) -> usize {
    let mut kills = 0;
    while !scenario.is_finished() && kills < 12 {
        tokio::time::sleep(Duration::from_millis(50 + random_below(700))).await;
        shop.kill().await;
        shop.restart().await;
        kills += 1;
    }
    kills
}

/// Plays on some stages at a time, so that it takes long enough to be disturbed.
pub(crate) async fn play_in_turn(stages: Vec<Stage>) -> Vec<(Stage, Played)> {
    stream::iter(stages.into_iter().map(Stage::play)).buffer_unordered(AT_A_TIME).collect().await
}

/// A customer, an admin and a product of their own.
pub(crate) struct Stage {
    admin: Client,
    customer: Client,
    product: Uuid,
}

/// One order for each road through the states.
pub(crate) struct Orders {
    played: Played,
    expired: Uuid,
}

/// One for each road that has no time to lose: expiry would overtake it on a slow machine.
pub(crate) struct Played {
    returned: Uuid,
    refused: Uuid,
    cancelled: Uuid,
    cancelled_after_payment: Uuid,
    refunded: Uuid,
}

impl Orders {
    pub(crate) fn ids(&self) -> [Uuid; 6] {
        let Self { played, expired } = self;
        let Played { returned, refused, cancelled, cancelled_after_payment, refunded } = played;
        [*returned, *refused, *cancelled, *cancelled_after_payment, *refunded, *expired]
    }
}

impl Stage {
    pub(crate) async fn set(shop: &impl Reached) -> Self {
        let admin = Client::admin(shop).await;
        let product = admin.product(PRICE, STOCK).await;
        let (customer, _) = Client::customer(shop).await;
        Self { admin, customer, product }
    }

    /// Goes every road but that of [`let_expire`](Self::let_expire), repeating what got no answer, as any client would.
    pub(crate) async fn play(self) -> (Self, Played) {
        let refused = self.place(STOCK + 1).await;
        let returned = self.place(2).await;
        self.staff_payment(returned, 2).await;
        self.act(&self.admin, returned, "ship").await;
        self.act(&self.admin, returned, "deliver").await;
        self.refund(returned, 2, true).await;

        let cancelled = self.place(3).await;
        self.act(&self.customer, cancelled, "cancel").await;

        let cancelled_after_payment = self.place(4).await;
        self.webhook_payment(cancelled_after_payment, 4).await;
        self.act(&self.customer, cancelled_after_payment, "cancel").await;
        self.refund(cancelled_after_payment, 4, false).await;

        let refunded = self.place_to_saved_address(5).await;
        self.webhook_payment(refunded, 5).await;
        self.act(&self.admin, refunded, "ship").await;
        self.refund(refunded, 5, false).await;

        (self, Played { returned, refused, cancelled, cancelled_after_payment, refunded })
    }

    /// Places an order that nobody pays, in a shop with a short payment time-out, and waits until it is expired.
    pub(crate) async fn let_expire(self, played: Played) -> (Self, Orders) {
        let expired = self.place(1).await;
        self.reaches(expired, "expired").await;
        (self, Orders { played, expired })
    }

    pub(crate) async fn ended_well(&self, orders: &Orders, during: &str) {
        let Orders { played, expired } = orders;
        for (order, status) in [
            (played.refused, "rejected"),
            (*expired, "expired"),
            (played.returned, "refunded"),
            (played.cancelled, "cancelled"),
            (played.cancelled_after_payment, "cancelled"),
            (played.refunded, "refunded"),
        ] {
            let order = self.customer.get(&format!("/orders/{order}")).await.expect(200).body;
            assert_eq!((&order["status"], &order["refund_due"]), (&json!(status), &Value::Null), "{during}: {order:#}");
        }
        let placed = self.customer.get("/orders?limit=100").await.expect(200);
        assert_eq!(placed.body["items"].as_array().unwrap().len(), 6, "{during}: an order was placed twice");
        // Only the five units that were refunded without coming back are gone.
        let stock = self.admin.inventory(self.product).await;
        let expected = (json!(STOCK - 5), json!(0), json!(STOCK - 5));
        assert_eq!(
            (&stock["on_hand"], &stock["reserved"], &stock["available"]),
            (&expected.0, &expected.1, &expected.2),
            "{during}"
        );
    }

    async fn place(&self, quantity: i64) -> Uuid {
        let key = Uuid::new_v4().to_string();
        let answer = self.customer.order_until_settled(&key, &order_of(self.product, quantity)).await;
        match answer.status.as_u16() {
            201 => answer.id(),
            _ => answer.problem(409, "OUT_OF_STOCK")["order_id"].as_str().unwrap().parse().unwrap(),
        }
    }

    async fn place_to_saved_address(&self, quantity: i64) -> Uuid {
        let saved = self.customer.post_until_answered("/users/me/addresses", &address()).await.expect(201).id();
        let body = json!({"items": [{"product_id": self.product, "quantity": quantity}], "address_id": saved});
        self.customer.order_until_settled(&Uuid::new_v4().to_string(), &body).await.expect(201).id()
    }

    /// An action that may be repeated because its answer was lost; then the state has passed, which is as good.
    async fn act(&self, client: &Client, order: Uuid, action: &str) {
        let answer = client.post_until_answered(&format!("/orders/{order}/{action}"), &json!({})).await;
        assert!(matches!(answer.status.as_u16(), 200 | 409), "{action}: {:#}", answer.body);
    }

    async fn staff_payment(&self, order: Uuid, quantity: i64) {
        let body = json!({"reference": format!("pay-{order}"), "amount": money(quantity)});
        let answer = self.admin.post_until_answered(&format!("/orders/{order}/payments"), &body).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
    }

    async fn refund(&self, order: Uuid, quantity: i64, restock: bool) {
        let body = json!({"reference": format!("back-{order}"), "amount": money(quantity), "restock": restock});
        let answer = self.admin.post_until_answered(&format!("/orders/{order}/refund"), &body).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
    }

    async fn webhook_payment(&self, order: Uuid, quantity: i64) {
        let body = notice(order, PRICE * quantity);
        let answer = self.customer.retrying(|client| {
            let body = body.clone();
            async move { client.webhook(&body, &signature(&body)).await }
        });
        assert!(answer.await.status.is_success());
    }

    async fn reaches(&self, order: Uuid, status: &str) {
        let begun = std::time::Instant::now();
        loop {
            let path = format!("/orders/{order}");
            let answer = self
                .customer
                .retrying(|client| {
                    let path = path.clone();
                    async move { client.try_send(Method::GET, &path, &[], None).await }
                })
                .await
                .expect(200);
            if answer.body["status"] == status {
                return;
            }
            assert!(begun.elapsed() < SETTLE_BOUND, "not {status}: {:#}", answer.body);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn money(quantity: i64) -> Value {
    json!({"amount": PRICE * quantity, "currency": "USD"})
}
