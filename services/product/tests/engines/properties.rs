//! Any interleaving and duplication of reserve, commit, release and return over several orders keeps the invariants:
//! one at a time they do what a simple model does, and all at once they still add up.

use futures::future::join_all;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use shop_proto::{product::reserve_response::Outcome, status::Reason};
use shop_types::{Uuid, new_id};
use tokio::runtime::Runtime;

use crate::harness::Shop;

const PRODUCTS: usize = 2;
const ORDERS: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Command {
    Reserve,
    Commit,
    Release,
    Return,
}

#[derive(Debug, Clone)]
struct Scenario {
    stock: [i64; PRODUCTS],
    /// Pieces of each product in each order; never both 0.
    wanted: [[i64; PRODUCTS]; ORDERS],
    commands: Vec<(usize, Command)>,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let wanted = [0i64..4, 0i64..4].prop_map(|wanted| if wanted == [0, 0] { [1, 0] } else { wanted });
    let command = prop_oneof![
        3 => Just(Command::Reserve),
        2 => Just(Command::Commit),
        2 => Just(Command::Release),
        2 => Just(Command::Return)
    ];
    let orders = [wanted.clone(), wanted.clone(), wanted.clone(), wanted];
    ([0i64..8, 0i64..8], orders, vec((0..ORDERS, command), 1..24)).prop_map(|(stock, wanted, commands)| Scenario {
        stock,
        wanted,
        commands,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Held,
    Committed,
    Released,
    Refused,
    Returned,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Reserved,
    Refused,
    Done,
    Conflict,
}

/// What the shop should be: states of orders, and stock that follows from them.
struct Model {
    scenario: Scenario,
    states: [State; ORDERS],
}

impl Model {
    fn pieces(&self, product: usize, state: State) -> i64 {
        (0..ORDERS).filter(|&order| self.states[order] == state).map(|order| self.scenario.wanted[order][product]).sum()
    }

    /// On hand, reserved, available.
    fn stock(&self, product: usize) -> (i64, i64, i64) {
        let on_hand = self.scenario.stock[product] - self.pieces(product, State::Committed);
        let reserved = self.pieces(product, State::Held);
        (on_hand, reserved, on_hand - reserved)
    }

    fn run(&mut self, order: usize, command: Command) -> Answer {
        let (next, answer) = match (command, self.states[order]) {
            (Command::Reserve, State::None) => {
                let fits = (0..PRODUCTS).all(|product| self.scenario.wanted[order][product] <= self.stock(product).2);
                if fits { (State::Held, Answer::Reserved) } else { (State::Refused, Answer::Refused) }
            }
            (Command::Reserve, state @ (State::Held | State::Committed)) => (state, Answer::Reserved),
            (Command::Reserve, State::Refused) => (State::Refused, Answer::Refused),
            (Command::Commit, State::Held | State::Committed) => (State::Committed, Answer::Done),
            (Command::Release, State::None | State::Held | State::Released) => (State::Released, Answer::Done),
            (Command::Release, State::Refused) => (State::Refused, Answer::Done),
            (Command::Return, State::Committed | State::Returned) => (State::Returned, Answer::Done),
            (_, state) => (state, Answer::Conflict),
        };
        self.states[order] = next;
        answer
    }
}

/// The scenario's products and orders in a shop that other scenarios share.
struct Run<'a> {
    shop: &'a Shop,
    products: Vec<String>,
    orders: Vec<Uuid>,
    scenario: &'a Scenario,
}

impl<'a> Run<'a> {
    async fn new(shop: &'a Shop, scenario: &'a Scenario) -> Self {
        let mut products = Vec::new();
        for stock in scenario.stock {
            products.push(shop.product(&format!("p {}", new_id().simple()), 1, stock).await.id);
        }
        Self { shop, products, orders: (0..ORDERS).map(|_| new_id()).collect(), scenario }
    }

    async fn run(&self, order: usize, command: Command) -> Answer {
        let id = self.orders[order];
        let wanted = self.products.iter().zip(self.scenario.wanted[order]);
        let lines: Vec<_> =
            wanted.filter(|(_, pieces)| *pieces > 0).map(|(id, pieces)| (id.as_str(), pieces)).collect();
        let answer = match command {
            Command::Reserve => self.shop.reserve(id, &lines).await.map(|outcome| match outcome {
                Outcome::Reserved(_) => Answer::Reserved,
                Outcome::Refused(_) => Answer::Refused,
            }),
            Command::Commit => self.shop.commit(id).await.map(|()| Answer::Done),
            Command::Release => self.shop.release(id).await.map(|()| Answer::Done),
            Command::Return => self.shop.give_back(id).await.map(|()| Answer::Done),
        };
        answer.unwrap_or_else(|refusal| {
            assert_eq!(refusal.reason, Reason::StateConflict);
            Answer::Conflict
        })
    }
}

fn check<F>(cases: u32, test: F)
where
    F: for<'a> Fn(&'a Runtime, &'a Shop, Scenario) -> Result<(), TestCaseError>,
{
    let runtime = Runtime::new().unwrap();
    let shop = runtime.block_on(Shop::open());
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&scenario(), |scenario| test(&runtime, &shop, scenario));
    runtime.block_on(async {
        shop.assert_clean().await;
        shop.close().await;
    });
    outcome.unwrap();
}

#[test]
fn one_at_a_time_they_do_what_the_model_does() {
    check(40, |runtime, shop, scenario| {
        runtime.block_on(async {
            let run = Run::new(shop, &scenario).await;
            let mut model = Model { scenario: scenario.clone(), states: [State::None; ORDERS] };
            for &(order, command) in &scenario.commands {
                let expected = model.run(order, command);
                prop_assert_eq!(run.run(order, command).await, expected, "{:?} of order {}", command, order);
            }
            for (product, id) in run.products.iter().enumerate() {
                prop_assert_eq!(shop.stock(id).await, model.stock(product));
            }
            Ok(())
        })
    });
}

#[test]
fn all_at_once_they_still_add_up() {
    check(24, |runtime, shop, scenario| {
        runtime.block_on(async {
            let run = Run::new(shop, &scenario).await;
            join_all(scenario.commands.iter().map(|&(order, command)| run.run(order, command))).await;
            for (product, id) in run.products.iter().enumerate() {
                let (on_hand, reserved, available) = shop.stock(id).await;
                prop_assert_eq!(on_hand, reserved + available);
                prop_assert!(reserved >= 0 && available >= 0 && on_hand <= scenario.stock[product]);
            }
            // Bringing every order to its end leaves nothing reserved.
            for order in 0..ORDERS {
                run.run(order, Command::Release).await;
                run.run(order, Command::Return).await;
            }
            for (product, id) in run.products.iter().enumerate() {
                let all = scenario.stock[product];
                prop_assert_eq!(shop.stock(id).await, (all, 0, all));
            }
            Ok(())
        })
    });
}
