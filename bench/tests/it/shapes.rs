//! The load has the shape it was given.

use std::time::Duration;

use shop_bench::load::{Load, Mix, Operation, Plan, Shape};

use crate::{
    fake_shop::{Call, FakeShop},
    plan,
};

#[tokio::test]
async fn each_second_has_its_rate_and_warming_up_does_not_count() {
    let shop = FakeShop::start().await;
    let shape: Shape = "1s@50,1s@250,1s@50".parse().unwrap();
    let mix = Mix::of([(Operation::Product, 1)]);
    let warm_up = Duration::from_secs(1);
    let base = plan(&shop, 1.0, Duration::from_secs(1));
    let report = Load::run(Plan { shape, mix, warm_up, ..base }).await.unwrap();
    assert_eq!((report.intended, report.expected), (350, 350), "{report}");
    assert_eq!(shop.product_calls(), 400, "the warm-up is 50 more");
    // When exactly each is due is the schedule's own test; on a busy machine some end a moment later.
    let seconds: Vec<u64> = report.timeline.iter().map(|second| second.expected).collect();
    assert!(seconds[1] > 2 * seconds[0] && seconds[1] > seconds[2], "{seconds:?}");
}

#[tokio::test]
async fn a_load_can_be_ended_and_waits_for_what_is_under_way() {
    let shop = FakeShop::start().await;
    let mix = Mix::of([(Operation::Product, 1)]);
    let load = Load::start(Plan { mix, ..plan(&shop, 200.0, Duration::from_hours(1)) }).await.unwrap();
    let bound = tokio::time::Instant::now() + Duration::from_secs(10);
    while load.so_far().expected < 100 {
        assert!(tokio::time::Instant::now() < bound, "{:?}", load.so_far());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let report = load.finish().await.unwrap();
    assert!(report.intended >= 100 && report.intended == report.expected, "{report}");
    assert_eq!(shop.product_calls() as u64, report.expected);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_visitors() {
    let mut paths = Vec::new();
    for seed in [7, 7, 8] {
        let shop = FakeShop::start().await;
        let mix = Mix::browsing();
        Load::run(Plan { mix, seed, ..plan(&shop, 100.0, Duration::from_secs(1)) }).await.unwrap();
        let calls = shop.calls();
        // Requests overlap, so they may arrive in another order; what is read before the load is not theirs.
        let mut asked: Vec<String> = calls.into_iter().filter(Call::is_product).map(|call| call.path).collect();
        asked.sort();
        paths.push(asked);
    }
    assert_eq!(paths[0], paths[1]);
    assert_ne!(paths[0], paths[2]);
}
