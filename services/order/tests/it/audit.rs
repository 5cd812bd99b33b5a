//! What the audit finds in a database that somebody damaged.

use shop_order::audit::{Finding, Findings};

use crate::harness::{Shop, usd};

/// Runs SQL on the database of a shop whose order service is stopped; how many rows it changed.
pub(crate) async fn run(shop: &Shop, sql: &str) -> u64 {
    shop.order_database().execute(sql).await
}

/// One list of the findings.
type Kind = fn(&Findings) -> &Vec<Finding>;

#[tokio::test]
async fn every_kind_of_damage_is_found() {
    let kinds: [(&str, Kind); 10] = [
        ("DELETE FROM payments", |findings| &findings.payments),
        ("UPDATE payments SET amount = amount + 1", |findings| &findings.payments),
        ("DELETE FROM refund_dues", |findings| &findings.payments),
        ("DELETE FROM order_history WHERE version = 2", |findings| &findings.history),
        ("UPDATE orders SET status = 'shipped' WHERE status = 'paid'", |findings| &findings.history),
        ("DELETE FROM outbox WHERE version = 2", |findings| &findings.outbox),
        ("DELETE FROM idempotency_keys", |findings| &findings.idempotency),
        ("UPDATE idempotency_keys SET user_id = order_id", |findings| &findings.idempotency),
        ("DELETE FROM sagas", |findings| &findings.sagas),
        ("UPDATE sagas SET step = 'commit', since = 1, due_at = 1", |findings| &findings.sagas),
    ];
    let mut shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.paid(&ada, &[(&tea, 1)]).await;
    shop.pay(&order.id, "bank-2", usd(3)).await.unwrap();
    shop.assert_clean().await;
    shop.stop_order().await;

    // So that the file alone has everything.
    run(&shop, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let file = shop.order_database().file().unwrap();
    let sound = file.with_extension("sound");
    std::fs::copy(&file, &sound).unwrap();
    for (sql, kind) in kinds {
        assert!(run(&shop, sql).await > 0, "{sql} changed nothing");
        let findings = shop.audit().await;
        assert!(!findings.is_clean(), "{sql}");
        let found = kind(&findings);
        assert!(found.iter().all(|finding| finding.order_id.to_string() == order.id && !finding.in_flight), "{sql}");
        assert_eq!(findings.all().count(), found.len(), "{sql} is of one kind: {findings:?}");
        for leftover in ["db-wal", "db-shm"] {
            let _ = std::fs::remove_file(file.with_extension(leftover));
        }
        std::fs::copy(&sound, &file).unwrap();
    }
    assert!(shop.audit().await.is_clean());
}
