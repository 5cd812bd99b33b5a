//! The reservation matrix, every cell, through gRPC: the answer, and what it does to the stock.

use shop_proto::{
    product::{self as proto, RefusalReason, reserve_response::Outcome},
    status::{Reason, Refusal},
};
use shop_types::{Uuid, new_id};

use crate::harness::{Shop, pointers, reason, usd};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Held,
    Committed,
    Released,
    Tombstone,
    Refused,
    Returned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Reserve,
    Commit,
    Release,
    Return,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Reserved,
    Refused,
    Done,
    Conflict,
}

/// On hand, reserved, available of a product of ten pieces, by what is held or committed of it.
type Stock = (i64, i64, i64);
const UNTOUCHED: Stock = (10, 0, 10);
const HELD: Stock = (10, 4, 6);
const GONE: Stock = (6, 0, 6);

/// What each command answers in a state, and the stock after it.
type Row = [(Command, Answer, Stock); 4];

const MATRIX: [(State, Row); 7] = {
    use Answer::{Conflict, Done, Refused, Reserved};
    use Command::{Commit, Release, Reserve, Return};
    [
        (
            State::None,
            [
                (Reserve, Reserved, HELD),
                (Commit, Conflict, UNTOUCHED),
                (Release, Done, UNTOUCHED),
                (Return, Conflict, UNTOUCHED),
            ],
        ),
        (
            State::Held,
            [(Reserve, Reserved, HELD), (Commit, Done, GONE), (Release, Done, UNTOUCHED), (Return, Conflict, HELD)],
        ),
        (
            State::Committed,
            [(Reserve, Reserved, GONE), (Commit, Done, GONE), (Release, Conflict, GONE), (Return, Done, UNTOUCHED)],
        ),
        (
            State::Released,
            [
                (Reserve, Conflict, UNTOUCHED),
                (Commit, Conflict, UNTOUCHED),
                (Release, Done, UNTOUCHED),
                (Return, Conflict, UNTOUCHED),
            ],
        ),
        (
            State::Tombstone,
            [
                (Reserve, Conflict, UNTOUCHED),
                (Commit, Conflict, UNTOUCHED),
                (Release, Done, UNTOUCHED),
                (Return, Conflict, UNTOUCHED),
            ],
        ),
        (
            State::Refused,
            [
                (Reserve, Refused, UNTOUCHED),
                (Commit, Conflict, UNTOUCHED),
                (Release, Done, UNTOUCHED),
                (Return, Conflict, UNTOUCHED),
            ],
        ),
        (
            State::Returned,
            [
                (Reserve, Conflict, UNTOUCHED),
                (Commit, Conflict, UNTOUCHED),
                (Release, Conflict, UNTOUCHED),
                (Return, Done, UNTOUCHED),
            ],
        ),
    ]
};

/// An order, its lines, and how to bring it into a state.
struct Order<'a> {
    shop: &'a Shop,
    id: Uuid,
    product: proto::Product,
    quantity: i64,
}

impl Order<'_> {
    async fn run(&self, command: Command) -> Result<Answer, Refusal> {
        match command {
            Command::Reserve => {
                let lines = [(self.product.id.as_str(), self.quantity)];
                self.shop.reserve(self.id, &lines).await.map(|outcome| match outcome {
                    Outcome::Reserved(_) => Answer::Reserved,
                    Outcome::Refused(_) => Answer::Refused,
                })
            }
            Command::Commit => self.shop.commit(self.id).await.map(|()| Answer::Done),
            Command::Release => self.shop.release(self.id).await.map(|()| Answer::Done),
            Command::Return => self.shop.give_back(self.id).await.map(|()| Answer::Done),
        }
    }

    async fn answer(&self, command: Command) -> Answer {
        self.run(command).await.unwrap_or_else(|refusal| {
            assert_eq!(refusal.reason, Reason::StateConflict, "{refusal:?}");
            Answer::Conflict
        })
    }
}

async fn order_in(shop: &Shop, state: State) -> Order<'_> {
    use Command::{Commit, Release, Reserve, Return};
    let name = new_id().simple().to_string();
    let product = shop.product(&format!("p {name}"), 250, 10).await;
    let quantity = if state == State::Refused { 11 } else { 4 };
    let order = Order { shop, id: new_id(), product, quantity };
    let path: &[Command] = match state {
        State::None => &[],
        State::Held | State::Refused => &[Reserve],
        State::Committed => &[Reserve, Commit],
        State::Released => &[Reserve, Release],
        State::Tombstone => &[Release],
        State::Returned => &[Reserve, Commit, Return],
    };
    for &command in path {
        assert_ne!(order.answer(command).await, Answer::Conflict, "on the way to {state:?}");
    }
    order
}

#[tokio::test]
async fn every_cell_answers_and_moves_stock_as_documented() {
    let shop = Shop::open().await;
    for (state, row) in MATRIX {
        for (command, expected, stock) in row {
            let order = order_in(&shop, state).await;
            assert_eq!(order.answer(command).await, expected, "{state:?} × {command:?}");
            assert_eq!(shop.stock(&order.product.id).await, stock, "{state:?} × {command:?}");
            // Whatever it was, a repeat gives the same and moves nothing more.
            let moved_on = expected == Answer::Conflict || order.answer(command).await == expected;
            assert!(moved_on, "{state:?} × {command:?}, repeated");
            assert_eq!(shop.stock(&order.product.id).await, stock, "{state:?} × {command:?}, repeated");
        }
    }
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test]
async fn a_repeat_with_other_lines_is_refused() {
    let shop = Shop::open().await;
    for state in [State::Held, State::Committed, State::Refused] {
        let order = order_in(&shop, state).await;
        let before = shop.stock(&order.product.id).await;
        let other = shop.product(&format!("o {}", new_id().simple()), 1, 100).await;
        for lines in [
            vec![(order.product.id.as_str(), 1)],
            vec![(other.id.as_str(), order.quantity)],
            vec![(order.product.id.as_str(), order.quantity), (other.id.as_str(), 1)],
        ] {
            assert_eq!(reason(shop.reserve(order.id, &lines).await), Reason::IdempotencyKeyReused, "{state:?}");
        }
        assert_eq!(shop.stock(&order.product.id).await, before);
        assert_eq!(shop.stock(&other.id).await, (100, 0, 100));
    }
    shop.close().await;
}

#[tokio::test]
async fn price_and_name_are_those_of_the_moment_that_reserved() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 250, 10).await;
    let order = new_id();
    let line = proto::ReservedLine {
        product_id: tea.id.clone(),
        quantity: 3,
        sku: "TEA".to_owned(),
        name: "Tea".to_owned(),
        unit_price: usd(250),
    };
    let reserved = Outcome::Reserved(proto::Reserved { lines: vec![line] });
    // The same product twice is one line.
    assert_eq!(shop.reserve(order, &[(&tea.id, 1), (&tea.id, 2)]).await.unwrap(), reserved);
    let change = proto::UpdateProductRequest {
        product_id: tea.id.clone(),
        expected_version: 1,
        name: Some("Dear tea".to_owned()),
        price: usd(999),
        ..Default::default()
    };
    let changed = shop.update(change).await.unwrap();
    shop.archive(&changed).await.unwrap();
    assert_eq!(shop.reserve(order, &[(&tea.id, 3)]).await.unwrap(), reserved);
    shop.commit(order).await.unwrap();
    assert_eq!(shop.reserve(order, &[(&tea.id, 3)]).await.unwrap(), reserved);
    shop.close().await;
}

#[tokio::test]
async fn all_lines_are_taken_or_none_and_the_refusal_stays() {
    let shop = Shop::open().await;
    let plenty = shop.product("Plenty", 1, 100).await;
    let few = shop.product("Few", 1, 2).await;
    let none = shop.product("None", 1, 0).await;
    let unknown = new_id().to_string();
    let order = new_id();
    let lines = [(plenty.id.as_str(), 5), (few.id.as_str(), 3), (none.id.as_str(), 1)];
    let short = |product: &proto::Product, available| proto::RefusedLine {
        product_id: product.id.clone(),
        reason: RefusalReason::OutOfStock.into(),
        available,
    };
    let refused = Outcome::Refused(proto::Refused { lines: vec![short(&few, 2), short(&none, 0)] });
    assert_eq!(shop.reserve(order, &lines).await.unwrap(), refused);
    for (product, stock) in [(&plenty, 100), (&few, 2), (&none, 0)] {
        assert_eq!(shop.stock(&product.id).await, (stock, 0, stock));
    }
    // It is the answer for this order even when there is enough; another order gets what there is.
    shop.adjust(&few.id, 10, "Delivery", "more").await.unwrap();
    shop.adjust(&none.id, 10, "Delivery", "more").await.unwrap();
    assert_eq!(shop.reserve(order, &lines).await.unwrap(), refused);
    assert!(matches!(shop.reserve(new_id(), &lines).await.unwrap(), Outcome::Reserved(_)));

    let with_unknown = shop.reserve(new_id(), &[(&plenty.id, 1000), (&unknown, 1)]).await.unwrap();
    let Outcome::Refused(proto::Refused { mut lines }) = with_unknown else {
        panic!("an unknown product was reserved")
    };
    lines.sort_by_key(|line| line.reason);
    let reasons: Vec<_> = lines.iter().map(|line| (line.product_id.as_str(), line.reason(), line.available)).collect();
    let expected =
        [(plenty.id.as_str(), RefusalReason::OutOfStock, 95), (unknown.as_str(), RefusalReason::NotOrderable, 0)];
    assert_eq!(reasons, expected);
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test]
async fn a_malformed_reservation_is_refused_and_leaves_nothing() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 10).await;
    let order = new_id();
    let wrong = [("x", 1), (tea.id.as_str(), 0), (tea.id.as_str(), -1)];
    let expected = ["/lines/0/product_id", "/lines/1/quantity", "/lines/2/quantity"];
    assert_eq!(pointers(shop.reserve(order, &wrong).await), expected);
    assert_eq!(pointers(shop.reserve(order, &[]).await), ["/lines"]);
    assert_eq!(pointers(shop.reserve(order, &vec![(tea.id.as_str(), 1); 101]).await), ["/lines"]);
    assert!(matches!(shop.reserve(order, &[(&tea.id, 1)]).await.unwrap(), Outcome::Reserved(_)));
    shop.close().await;
}
