//! Every action in every state.

use shop_proto::{
    order::{Order, OrderStatus},
    status::{Reason, Refusal},
};
use shop_types::new_id;

use crate::harness::{Person, Shop, usd};

const STATES: [OrderStatus; 7] = [
    OrderStatus::Reserved,
    OrderStatus::Rejected,
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::Delivered,
    OrderStatus::Cancelled,
    OrderStatus::Refunded,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Cancel,
    Ship,
    Deliver,
    Refund,
}

const ACTIONS: [Action; 4] = [Action::Cancel, Action::Ship, Action::Deliver, Action::Refund];

const PRICE: i64 = 499;

/// An order in a state, by the way it is reached.
async fn in_state(shop: &Shop, ada: &Person, tea: &str, state: OrderStatus) -> Order {
    let items = [(tea, 1)];
    match state {
        OrderStatus::Reserved => shop.reserved(ada, &items).await,
        OrderStatus::Rejected => {
            let refusal = shop.create(ada, &new_id().to_string(), &[(tea, 9_999)]).await.unwrap_err();
            shop.get(ada, &refusal.metadata["order_id"]).await.unwrap()
        }
        OrderStatus::Paid => shop.paid(ada, &items).await,
        OrderStatus::Shipped => shop.shipped(ada, &items).await,
        OrderStatus::Delivered => {
            let order = shop.shipped(ada, &items).await;
            shop.deliver(&order.id).await.unwrap()
        }
        OrderStatus::Cancelled => {
            let order = shop.reserved(ada, &items).await;
            shop.cancel(ada, &order.id).await.unwrap()
        }
        OrderStatus::Refunded => {
            let order = shop.shipped(ada, &items).await;
            shop.refund(&order.id, &new_id().to_string(), usd(PRICE), false).await.unwrap().order.unwrap()
        }
        OrderStatus::Expired | OrderStatus::Pending | OrderStatus::Unspecified => {
            panic!("{state:?} has a test of its own")
        }
    }
}

async fn act(shop: &Shop, action: Action, id: &str) -> Result<Order, Refusal> {
    match action {
        Action::Cancel => shop.cancel(&shop.staff, id).await,
        Action::Ship => shop.ship(id).await,
        Action::Deliver => shop.deliver(id).await,
        Action::Refund => {
            let refunded = shop.refund(id, &new_id().to_string(), usd(PRICE), false).await;
            refunded.map(|refunded| refunded.order.unwrap())
        }
    }
}

/// The table of states, as clients meet it.
fn expected(state: OrderStatus, action: Action) -> Option<OrderStatus> {
    match (state, action) {
        (OrderStatus::Reserved | OrderStatus::Paid, Action::Cancel) => Some(OrderStatus::Cancelled),
        (OrderStatus::Paid, Action::Ship) => Some(OrderStatus::Shipped),
        (OrderStatus::Shipped, Action::Deliver) => Some(OrderStatus::Delivered),
        (OrderStatus::Shipped | OrderStatus::Delivered, Action::Refund) => Some(OrderStatus::Refunded),
        _ => None,
    }
}

#[tokio::test]
async fn every_action_in_every_state() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(PRICE, 1_000).await;
    for state in STATES {
        for action in ACTIONS {
            let order = in_state(&shop, &ada, &tea, state).await;
            assert_eq!(order.status(), state);
            let result = act(&shop, action, &order.id).await;
            if let Some(to) = expected(state, action) {
                assert_eq!(result.unwrap().status(), to, "{state:?} × {action:?}");
                continue;
            }
            let refusal = result.unwrap_err();
            assert_eq!(refusal.reason, Reason::StateConflict, "{state:?} × {action:?}");
            let name = state.as_str_name().trim_start_matches("ORDER_STATUS_").to_lowercase();
            assert_eq!(refusal.metadata["order_status"], name, "{refusal:?}");
            assert!(refusal.detail.contains(&name), "{refusal:?}");
        }
    }
    shop.assert_clean().await;
}

#[tokio::test]
async fn repeating_an_action_whose_state_has_passed_is_a_conflict() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(PRICE, 10).await;
    let order = shop.paid(&ada, &[(&tea, 1)]).await;
    for action in [Action::Ship, Action::Deliver, Action::Refund] {
        act(&shop, action, &order.id).await.unwrap();
        assert_eq!(act(&shop, action, &order.id).await.unwrap_err().reason, Reason::StateConflict, "{action:?}");
    }
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    act(&shop, Action::Cancel, &order.id).await.unwrap();
    assert_eq!(act(&shop, Action::Cancel, &order.id).await.unwrap_err().reason, Reason::StateConflict);
    shop.assert_clean().await;
}

#[tokio::test]
async fn an_order_that_is_not_there_is_not_found() {
    let shop = Shop::open().await;
    for id in [new_id().to_string(), "7".to_owned(), String::new()] {
        for action in ACTIONS {
            assert_eq!(act(&shop, action, &id).await.unwrap_err().reason, Reason::NotFound, "{id:?} {action:?}");
        }
        assert_eq!(shop.get(&shop.staff, &id).await.unwrap_err().reason, Reason::NotFound);
        assert_eq!(shop.pay(&id, "ref", usd(1)).await.unwrap_err().reason, Reason::NotFound);
    }
}
