//! What a shop must never get wrong, with three order and two product replicas on a database server, any of which is
//! killed at any time.

use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinHandle;

use super::{Consul, Fleet, Layout, server};
use crate::{
    crash::{HASTY_PAYMENT_TIMEOUT, Stage, play_in_turn},
    oversell::{buy, crowd, sold_exactly},
    payment_race::{RACED_PAYMENT_TIMEOUT, payments_race},
    random_below,
    shop::Reached as _,
    sink::EventSink,
    tour::one_key_is_one_order,
};

/// Kills are this far apart at most: less than a start takes would only test starting.
const MAX_PAUSE_MS: u64 = 1_500;
/// Customers on every road through the states, some at a time.
const CUSTOMERS: usize = 24;

fn layout(server: String) -> Layout {
    Layout { user: 1, product: 2, order: 3, gateway: 1, ..Layout::three(server) }
}

/// Kills a random order or product replica with SIGKILL and starts another, again and again, until `done`.
async fn kill_at_random<T>(fleet: &mut Fleet, done: &JoinHandle<T>) -> usize {
    let mut kills = 0;
    while !done.is_finished() && kills < 20 {
        tokio::time::sleep(Duration::from_millis(300 + random_below(MAX_PAUSE_MS))).await;
        let mut victims = fleet.instances("order");
        victims.extend(fleet.instances("product"));
        let victim = &victims[usize::try_from(random_below(u64::try_from(victims.len()).unwrap())).unwrap()];
        let killed = fleet.take(victim);
        let service = killed.service;
        killed.kill().await;
        fleet.add_ready(service).await;
        kills += 1;
    }
    kills
}

async fn a_hundred_units_go_to_a_hundred_customers(server: String) {
    let consul = Consul::start().await;
    let mut fleet = Fleet::start(layout(server), &consul).await;
    let (product, customers) = crowd(&fleet).await;
    let buying = tokio::spawn(async move { join_all(customers.iter().map(|customer| buy(customer, product))).await });
    let kills = kill_at_random(&mut fleet, &buying).await;
    assert!(kills >= 2, "the crowd was served before it could be disturbed");
    sold_exactly(&fleet, product, &buying.await.unwrap()).await;
}

async fn every_road_is_gone_to_its_end(server: String) {
    let sink = EventSink::start().await;
    let consul = Consul::start().await;
    let mut fleet = Fleet::start(layout(server).with("SHOP_EVENT_SINK", sink.url()), &consul).await;
    let mut stages = Vec::new();
    for _ in 0..CUSTOMERS {
        stages.push(Stage::set(&fleet).await);
    }
    let playing = tokio::spawn(play_in_turn(stages));
    let kills = kill_at_random(&mut fleet, &playing).await;
    assert!(kills >= 2, "the scenario was over before it could be disturbed");
    let played = playing.await.unwrap();
    // What is paid is paid, however slow the machine is; what is placed now never will be.
    fleet.tell("SHOP_PAYMENT_TIMEOUT", HASTY_PAYMENT_TIMEOUT);
    for instance in fleet.instances("order") {
        fleet.take(&instance).kill().await;
        fleet.add_ready("order").await;
    }
    let expiring = tokio::spawn(join_all(played.into_iter().map(|(stage, orders)| stage.let_expire(orders))));
    kill_at_random(&mut fleet, &expiring).await;
    let ended = expiring.await.unwrap();
    fleet.is_settled_clean(crate::SETTLE_BOUND).await;
    for (stage, orders) in ended {
        stage.ended_well(&orders, "random kills").await;
        sink.has_all_events_in_order(&orders.ids(), "random kills").await;
    }
}

async fn a_key_is_one_order(server: String) {
    let consul = Consul::start().await;
    one_key_is_one_order(&Fleet::start(layout(server), &consul).await).await;
}

async fn no_payment_is_lost(server: String) {
    let consul = Consul::start().await;
    let layout = layout(server).with("SHOP_PAYMENT_TIMEOUT", RACED_PAYMENT_TIMEOUT);
    payments_race(&Fleet::start(layout, &consul).await).await;
}

/// Each scenario on each engine.
macro_rules! on_each_server {
    ($($scenario:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test]
            async fn $scenario() {
                let Some(server) = super::server("SHOP_TEST_POSTGRES_URL") else { return };
                super::$scenario(server).await;
            })*
        }

        mod mariadb {
            $(#[tokio::test]
            async fn $scenario() {
                let Some(server) = super::server("SHOP_TEST_MYSQL_URL") else { return };
                super::$scenario(server).await;
            })*
        }
    };
}

on_each_server!(
    a_hundred_units_go_to_a_hundred_customers,
    every_road_is_gone_to_its_end,
    a_key_is_one_order,
    no_payment_is_lost,
);
