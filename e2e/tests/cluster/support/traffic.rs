//! Steady traffic through the ingress, while something is done to the shop.

use std::time::Duration;

use shop_bench::load::{KeyedRetry, Load, Mix, Plan, Shape};

use super::{Scene, client::INGRESS};

/// Requests a second: what two cores carry beside a cluster and a roll-out.
const RATE: f64 = 25.0;
/// At most; it is ended when the test is through.
const LONGEST: Duration = Duration::from_mins(8);
/// Shoppers; each is a password hash to begin with.
const SHOPPERS: usize = 5;

/// Puts a steady load on a shop: Poisson arrivals, nothing is sent twice.
pub(crate) async fn traffic(scene: &Scene, shop: &str, mix: Mix) -> Load {
    let staff = scene.admin(shop).await;
    for _ in 0..5 {
        staff.product(1_999, 1_000_000).await;
    }
    let (email, password) = scene.credentials(shop).await;
    let plan = Plan {
        host: Some(scene.host()),
        shoppers: SHOPPERS,
        keyed_retry: KeyedRetry::Never,
        mix,
        ..Plan::new([INGRESS], Shape::constant(RATE, LONGEST)).with_staff(email, password)
    };
    Load::start(plan).await.unwrap()
}

/// Ends the load; every request must have been answered as a shop in order answers.
pub(crate) async fn all_served(load: Load) {
    let report = load.finish().await.unwrap();
    println!("{report}");
    assert!(report.intended > 100, "{report}");
    assert_eq!((report.failed, report.dropped), (0, 0), "{report}");
}
