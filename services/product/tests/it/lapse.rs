//! The net for orphans.

use std::time::Duration;

use shop_proto::status::Reason;
use shop_types::{Instant, new_id};

use crate::harness::{BOUND, Shop, reason};

#[tokio::test]
async fn what_is_held_past_its_time_is_released_and_nothing_else() {
    let shop = Shop::open_with(|options| options.lapse_interval = Duration::from_millis(20)).await;
    let tea = shop.product("Tea", 1, 1000).await;
    let past = Instant::from_micros(Instant::now().as_micros() - 5_000_000);
    let (kept, committed) = (new_id(), new_id());
    shop.reserve(kept, &[(&tea.id, 1)]).await.unwrap();
    shop.reserve(committed, &[(&tea.id, 1)]).await.unwrap();
    shop.commit(committed).await.unwrap();
    // More than one batch.
    let orders: Vec<_> = (0..130).map(|_| new_id()).collect();
    let lines = [(tea.id.as_str(), 2)];
    let held = orders.iter().map(|&order| shop.reserve_until(order, &lines, past));
    futures::future::try_join_all(held).await.unwrap();

    let released = async {
        while shop.stock(&tea.id).await != (999, 1, 998) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, released).await.unwrap();
    assert_eq!(reason(shop.commit(orders[0]).await), Reason::StateConflict);
    shop.release(orders[0]).await.unwrap();
    shop.commit(kept).await.unwrap();
    shop.give_back(committed).await.unwrap();
    shop.assert_clean().await;
    shop.close().await;
}
