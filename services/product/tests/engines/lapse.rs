//! Until when a reservation is held.

use std::time::Duration;

use shop_product::audit;
use shop_types::{Instant, new_id};

use crate::harness::Shop;

#[tokio::test]
async fn a_repeat_holds_longer_and_never_shorter() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 10).await;
    let now = Instant::from_micros(Instant::now().as_seconds() * 1_000_000);
    let after = |minutes| now.plus(Duration::from_mins(minutes));
    let lines = [(tea.id.as_str(), 2)];
    let (held, committed) = (new_id(), new_id());
    shop.reserve_until(committed, &lines, after(10)).await.unwrap();
    shop.commit(committed).await.unwrap();
    let connection = shop_storage::open_reader(shop_product::NAME, &shop.database).await.unwrap();
    for (asked, expected) in [(10, 10), (30, 30), (20, 30)] {
        shop.reserve_until(held, &lines, after(asked)).await.unwrap();
        shop.reserve_until(committed, &lines, after(asked)).await.unwrap();
        let records = audit::reservations(&connection, None, 10).await.unwrap();
        let until = |order| records.iter().find(|record| record.order_id == order).unwrap().hold_until;
        assert_eq!(until(held), Some(after(expected)), "asked for {asked}");
        assert_eq!(until(committed), Some(after(10)), "what was committed is no longer held");
    }
    shop.assert_clean().await;
    shop.close().await;
}
