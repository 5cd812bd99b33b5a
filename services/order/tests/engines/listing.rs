//! Pages of orders and of their history.

use shop_proto::{
    order::{self as proto, ListOrdersRequest, OrderStatus},
    status::{Reason, Refusal},
};

use crate::harness::{Person, Shop, answer, pointers, reason, usd};

async fn page(shop: &Shop, person: &Person, request: &ListOrdersRequest) -> Result<(Vec<String>, String), Refusal> {
    let page = answer(shop.orders.clone().list_orders(person.says(request.clone())).await)?;
    Ok((page.orders.into_iter().map(|order| order.id).collect(), page.next_cursor))
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 100).await;
    let mut placed = Vec::new();
    for _ in 0..7 {
        placed.insert(0, shop.reserved(&ada, &[(&tea, 1)]).await.id);
    }
    let mut request = ListOrdersRequest { limit: 3, ..Default::default() };
    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let (ids, cursor) = page(&shop, &ada, &request).await.unwrap();
        sizes.push(ids.len());
        seen.extend(ids);
        if cursor.is_empty() {
            break;
        }
        // What comes in meanwhile is newer than every page to come.
        shop.reserved(&ada, &[(&tea, 1)]).await;
        request.cursor = cursor;
    }
    assert_eq!(seen, placed);
    assert_eq!(sizes, [3, 3, 1]);
}

#[tokio::test]
async fn filters_and_the_cursors_that_belong_to_them() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let tea = shop.product(499, 100).await;
    let reserved = [shop.reserved(&ada, &[(&tea, 1)]).await.id, shop.reserved(&ada, &[(&tea, 1)]).await.id];
    let owed = shop.paid(&bob, &[(&tea, 1)]).await.id;
    shop.pay(&owed, "bank-2", usd(7)).await.unwrap();

    let of = |status: OrderStatus, refund_due| ListOrdersRequest {
        status: status.into(),
        refund_due,
        ..ListOrdersRequest::default()
    };
    let staff = &shop.staff;
    let ids = async |request| page(&shop, staff, &request).await.unwrap().0;
    assert_eq!(ids(of(OrderStatus::Reserved, None)).await, [reserved[1].clone(), reserved[0].clone()]);
    assert_eq!(ids(of(OrderStatus::Unspecified, Some(true))).await, [owed.as_str()]);
    assert_eq!(ids(of(OrderStatus::Paid, Some(true))).await, [owed]);
    assert_eq!(ids(of(OrderStatus::Unspecified, Some(false))).await.len(), 2);
    assert!(ids(of(OrderStatus::Shipped, None)).await.is_empty());

    let first = ListOrdersRequest { limit: 1, ..of(OrderStatus::Reserved, None) };
    let (_, cursor) = page(&shop, staff, &first).await.unwrap();
    let (next, last) =
        page(&shop, staff, &ListOrdersRequest { cursor: cursor.clone(), ..first.clone() }).await.unwrap();
    assert_eq!((next, last.as_str()), (vec![reserved[0].clone()], ""));
    let elsewhere = ListOrdersRequest { cursor: cursor.clone(), ..of(OrderStatus::Paid, None) };
    assert_eq!(reason(page(&shop, staff, &elsewhere).await), Reason::InvalidCursor);
    let changed = ListOrdersRequest { cursor: format!("{cursor}A"), ..first.clone() };
    assert_eq!(reason(page(&shop, staff, &changed).await), Reason::InvalidCursor);
    let anothers = ListOrdersRequest { cursor, ..first };
    assert_eq!(reason(page(&shop, &ada, &anothers).await), Reason::InvalidCursor);
}

#[tokio::test]
async fn what_a_listing_is_asked_for_has_bounds() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    for (request, pointer) in [
        (ListOrdersRequest { limit: 101, ..Default::default() }, "limit"),
        (ListOrdersRequest { limit: -1, ..Default::default() }, "limit"),
        (ListOrdersRequest { status: 99, ..Default::default() }, "status"),
        (ListOrdersRequest { user_id: "me".to_owned(), ..Default::default() }, "user_id"),
    ] {
        let refusal = page(&shop, &ada, &request).await.unwrap_err();
        assert_eq!((refusal.reason, pointers(&refusal)), (Reason::ValidationFailed, vec![pointer]));
    }
}

#[tokio::test]
async fn a_history_has_pages_too() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 100).await;
    let order = shop.shipped(&ada, &[(&tea, 1)]).await;
    let mut versions = Vec::new();
    let mut cursor = String::new();
    loop {
        let request = proto::ListOrderHistoryRequest { order_id: order.id.clone(), limit: 3, cursor };
        let page = answer(shop.orders.clone().list_order_history(ada.says(request)).await).unwrap();
        versions.extend(page.entries.into_iter().map(|entry| entry.version));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(versions, [1, 2, 3, 4]);
    let other = shop.reserved(&ada, &[(&tea, 1)]).await;
    let request = |order_id: &str, cursor: &str| proto::ListOrderHistoryRequest {
        order_id: order_id.to_owned(),
        limit: 1,
        cursor: cursor.to_owned(),
    };
    let first = answer(shop.orders.clone().list_order_history(ada.says(request(&order.id, ""))).await).unwrap();
    let elsewhere = shop.orders.clone().list_order_history(ada.says(request(&other.id, &first.next_cursor))).await;
    assert_eq!(reason(answer(elsewhere)), Reason::InvalidCursor);
}
