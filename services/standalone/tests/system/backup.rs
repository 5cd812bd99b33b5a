//! The commands of docs/OPERATIONS.md that back a shop up and restore it, word for word.

use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    SETTLE_BOUND,
    client::{Client, order_of},
    readme::blocks,
    shop::{Reached, Shop},
};

const STOCK: i64 = 10;
const PRICE: i64 = 700;

/// What is said of an engine.
pub(crate) struct Commands {
    back_up: String,
    restore: String,
    variables: Vec<(&'static str, String)>,
    folder: TempDir,
}

impl Commands {
    /// Those under the heading of an engine. What they call `$backup` is a folder of their own.
    pub(crate) fn under(heading: &str, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let text = include_str!("../../../../docs/OPERATIONS.md");
        let (_, after) = text.split_once(&format!("\n### {heading}\n")).expect("the engine's heading");
        let section = after.split("\n#").next().unwrap();
        let commands: Vec<_> = blocks(section).into_iter().map(|(commands, _)| commands).collect();
        let [back_up, restore] = commands.try_into().expect("commands to back up, and to restore");
        let folder = tempfile::tempdir().unwrap();
        let mut variables: Vec<_> = variables.into_iter().collect();
        variables.push(("backup", folder.path().display().to_string()));
        Self { back_up, restore, variables, folder }
    }

    pub(crate) async fn back_up(&self) {
        self.run(&self.back_up).await;
        assert!(std::fs::read_dir(self.folder.path()).unwrap().count() >= 3, "a file for each database");
    }

    pub(crate) async fn restore(&self) {
        self.run(&self.restore).await;
    }

    async fn run(&self, script: &str) {
        let output = tokio::process::Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(2 * SETTLE_BOUND, output).await.unwrap().unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What a shop had when it was backed up.
pub(crate) struct Kept {
    customer: Client,
    product: Uuid,
    paid: Uuid,
    reserved: Uuid,
}

impl Kept {
    /// Somebody buys and somebody has yet to pay.
    pub(crate) async fn in_shop(shop: &impl Reached) -> Self {
        let admin = Client::admin(shop).await;
        let product = admin.product(PRICE, STOCK).await;
        let (customer, _) = Client::customer(shop).await;
        let mut placed = Vec::new();
        for key in ["paid", "reserved"] {
            placed.push(customer.order_until_settled(key, &order_of(product, 1)).await.expect(201).id());
        }
        let payment = json!({"reference": "before", "amount": {"amount": PRICE, "currency": "USD"}});
        let paid = admin.post_until_answered(&format!("/orders/{}/payments", placed[0]), &payment).await;
        assert!(paid.status.is_success(), "{:#}", paid.body);
        shop.is_settled_clean(SETTLE_BOUND).await;
        Self { customer, product, paid: placed[0], reserved: placed[1] }
    }

    /// What is done after the backup, all of which a restore undoes; gives an e-mail that is known since.
    pub(crate) async fn and_then_more(&self, shop: &impl Reached) -> String {
        let admin = Client::admin(shop).await;
        self.customer.post(&format!("/orders/{}/cancel", self.reserved), &json!({})).await.expect(200);
        self.customer.order_until_settled("later", &order_of(self.product, 3)).await.expect(201);
        admin.post(&format!("/orders/{}/ship", self.paid), &json!({})).await.expect(200);
        let email = format!("{}@later.test", Uuid::new_v4());
        admin.register(&email).await;
        shop.is_settled_clean(SETTLE_BOUND).await;
        email
    }

    /// The shop is what it was, and goes on from there.
    pub(crate) async fn is_back(&self, shop: &impl Reached, later: &str) {
        shop.is_settled_clean(SETTLE_BOUND).await;
        let page = self.customer.get("/orders").await.expect(200).body;
        let states: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|order| &order["status"]).collect();
        assert_eq!(states, ["reserved", "paid"], "newest first");
        let admin = Client::admin(shop).await;
        let stock = admin.inventory(self.product).await;
        assert_eq!((&stock["available"], &stock["reserved"]), (&json!(STOCK - 2), &json!(1)));
        // Who came later is free to come again.
        admin.register(later).await;
        self.customer.order_until_settled("later", &order_of(self.product, 3)).await.expect(201);
        self.customer.post(&format!("/orders/{}/cancel", self.reserved), &json!({})).await.expect(200);
        shop.is_settled_clean(SETTLE_BOUND).await;
    }
}

#[tokio::test]
async fn a_shop_on_sqlite_is_backed_up_while_it_runs_and_restored() {
    let mut shop = Shop::start().await;
    let commands = Commands::under("SQLite", [("data", shop.data_dir().display().to_string())]);
    let kept = Kept::in_shop(&shop).await;
    commands.back_up().await;
    let later = kept.and_then_more(&shop).await;
    shop.kill().await;
    commands.restore().await;
    shop.restart().await;
    kept.is_back(&shop, &later).await;
}
