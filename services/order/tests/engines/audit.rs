//! What the audit finds in a database that somebody damaged.

use shop_order::audit::{Finding, Findings};

use crate::harness::{Shop, usd};

/// Runs SQL on the database of a shop whose order service is stopped; how many rows it changed.
pub(crate) async fn run(shop: &Shop, sql: &str) -> u64 {
    shop.order_database().execute(sql).await
}

/// One list of the findings.
type Kind = fn(&Findings) -> &Vec<Finding>;

/// A table as it was before the damage.
struct Sound<'s> {
    shop: &'s Shop,
    table: &'static str,
}

impl<'s> Sound<'s> {
    async fn copy(shop: &'s Shop, table: &'static str) -> Self {
        run(shop, &format!("CREATE TABLE sound AS SELECT * FROM {table}")).await;
        Self { shop, table }
    }

    async fn restore(self) {
        let Self { shop, table } = self;
        if table == "orders" {
            // Others refer to it.
            run(shop, "UPDATE orders SET status = (SELECT sound.status FROM sound WHERE sound.id = orders.id)").await;
        } else {
            run(shop, &format!("DELETE FROM {table}")).await;
            run(shop, &format!("INSERT INTO {table} SELECT * FROM sound")).await;
        }
        run(shop, "DROP TABLE sound").await;
    }
}

#[tokio::test]
async fn every_kind_of_damage_is_found() {
    let kinds: [(&str, &str, Kind); 10] = [
        ("payments", "DELETE FROM payments", |findings| &findings.payments),
        ("payments", "UPDATE payments SET amount = amount + 1", |findings| &findings.payments),
        ("refund_dues", "DELETE FROM refund_dues", |findings| &findings.payments),
        ("order_history", "DELETE FROM order_history WHERE version = 2", |findings| &findings.history),
        ("orders", "UPDATE orders SET status = 'shipped' WHERE status = 'paid'", |findings| &findings.history),
        ("outbox", "DELETE FROM outbox WHERE version = 2", |findings| &findings.outbox),
        ("idempotency_keys", "DELETE FROM idempotency_keys", |findings| &findings.idempotency),
        ("idempotency_keys", "UPDATE idempotency_keys SET user_id = order_id", |findings| &findings.idempotency),
        ("sagas", "DELETE FROM sagas", |findings| &findings.sagas),
        ("sagas", "UPDATE sagas SET step = 'commit', since = 1, due_at = 1", |findings| &findings.sagas),
    ];
    let mut shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.paid(&ada, &[(&tea, 1)]).await;
    shop.pay(&order.id, "bank-2", usd(3)).await.unwrap();
    shop.assert_clean().await;
    shop.stop_order().await;

    for (table, sql, kind) in kinds {
        let sound = Sound::copy(&shop, table).await;
        assert!(run(&shop, sql).await > 0, "{sql} changed nothing");
        let findings = shop.audit().await;
        assert!(!findings.is_clean(), "{sql}");
        let found = kind(&findings);
        assert!(found.iter().all(|finding| finding.order_id.to_string() == order.id && !finding.in_flight), "{sql}");
        assert_eq!(findings.all().count(), found.len(), "{sql} is of one kind: {findings:?}");
        sound.restore().await;
    }
    assert!(shop.audit().await.is_clean());
}
