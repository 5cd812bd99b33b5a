//! Payment, cancel and expiry at the same moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future;
use shop_proto::{
    order::{Order, OrderStatus},
    status::Reason,
};
use shop_types::Uuid;
use tokio::time::Instant;

use crate::harness::{Person, Shop, Wishes, usd};

const ORDERS: usize = 240;
/// Longer than a wave takes to be placed on a slow machine.
const PAYMENT_TIMEOUT: Duration = Duration::from_millis(2_500);
const PRICE: i64 = 499;

/// A moment around that of an order's expiry, by chance.
fn moment(order: &Order) -> Instant {
    let expires = order.expires_at.unwrap();
    let since_epoch = Duration::new(expires.seconds.try_into().unwrap(), expires.nanos.try_into().unwrap());
    let left = (UNIX_EPOCH + since_epoch).duration_since(SystemTime::now()).unwrap_or_default();
    let chance = u64::try_from(Uuid::new_v4().as_u128() % 1_000).unwrap();
    Instant::now() + left.saturating_sub(Duration::from_millis(400)) + Duration::from_micros(chance * 800)
}

async fn pay(shop: &Shop, id: &str, at: Instant) {
    tokio::time::sleep_until(at).await;
    // Whatever becomes of it, money that came in is never refused.
    shop.pay(id, &format!("pay-{id}"), usd(PRICE)).await.unwrap();
}

async fn cancel(shop: &Shop, ada: &Person, id: &str, at: Instant) {
    tokio::time::sleep_until(at).await;
    match shop.cancel(ada, id).await {
        Ok(order) => assert_eq!(order.status(), OrderStatus::Cancelled),
        Err(refusal) => assert_eq!(refusal.reason, Reason::StateConflict, "{refusal:?}"),
    }
}

/// Never paid without stock, never stock without payment or something due.
#[tokio::test]
async fn payment_cancel_and_expiry_at_once_leave_no_trace_of_the_losers() {
    let shop = Shop::open_with(Wishes { payment_timeout: PAYMENT_TIMEOUT, ..Wishes::replicated() }).await;
    let ada = shop.customer().await;
    let stock = i64::try_from(ORDERS).unwrap();
    let tea = shop.product(PRICE, stock).await;

    // In waves, so that the debug build places them faster than they expire.
    for wave in 0..ORDERS / 40 {
        let placed = future::join_all((0..40).map(async |n| {
            let order = shop.create(&ada, &format!("key-{wave}-{n}"), &[(&tea, 1)]).await.unwrap().order.unwrap();
            (moment(&order), moment(&order), order.id)
        }))
        .await;
        let races = placed.iter().enumerate().map(async |(n, (pays, cancels, id))| {
            let (paid, cancelled) = (pay(&shop, id, *pays), cancel(&shop, &ada, id, *cancels));
            match n % 3 {
                0 => paid.await,
                1 => drop(future::join(paid, cancelled).await),
                _ => cancelled.await,
            }
        });
        future::join_all(races).await;
        for (_, _, id) in &placed {
            settle(&shop, id).await;
        }
    }

    shop.assert_clean().await;
    let mut sold = 0;
    let mut seen = std::collections::HashSet::new();
    for order in all(&shop).await {
        let paid = order.status() == OrderStatus::Paid;
        seen.insert(order.status());
        sold += i64::from(paid);
        assert!(
            matches!(order.status(), OrderStatus::Paid | OrderStatus::Cancelled | OrderStatus::Expired),
            "{order:?}"
        );
        assert!(!paid || order.refund_due.is_none(), "{order:?}");
    }
    assert_eq!(shop.stock(&tea).await, (stock - sold, 0, stock - sold));
    assert_eq!(seen.len(), 3, "each of the three wins at times: {seen:?}");
}

/// Waits until an order is no longer reserved.
async fn settle(shop: &Shop, id: &str) {
    crate::harness::until("the race to end", async || {
        let order = shop.get(&shop.staff, id).await.unwrap();
        (order.status() != OrderStatus::Reserved).then_some(())
    })
    .await;
}

async fn all(shop: &Shop) -> Vec<Order> {
    let mut orders = Vec::new();
    let mut cursor = String::new();
    loop {
        let request = shop_proto::order::ListOrdersRequest { limit: 100, cursor, ..Default::default() };
        let page = shop.orders.clone().list_orders(shop.staff.says(request)).await.unwrap().into_inner();
        orders.extend(page.orders);
        cursor = page.next_cursor;
        if cursor.is_empty() {
            return orders;
        }
    }
}
