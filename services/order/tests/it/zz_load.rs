//! scratch
use futures::{StreamExt as _, stream};
use crate::harness::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 100).await;
    for concurrency in [1usize, 8, 64, 256, 400] {
        let n = if concurrency == 1 { 30 } else { concurrency.max(100) * 2 };
        let begun = std::time::Instant::now();
        let errors: Vec<_> = stream::iter(0..n).map(|i| { let (shop, ada, tea) = (&shop, &ada, &tea); async move {
            let t = std::time::Instant::now();
            let r = shop.create(ada, &format!("k-{concurrency}-{i}"), &[(tea, 1)]).await;
            (r.err().map(|e| e.reason), t.elapsed())
        }}).buffer_unordered(concurrency).collect().await;
        let took = begun.elapsed();
        let mut reasons = std::collections::HashMap::new();
        for (e, _) in &errors { *reasons.entry(format!("{e:?}")).or_insert(0) += 1; }
        let mut lat: Vec<_> = errors.iter().map(|(_, t)| t.as_millis()).collect(); lat.sort();
        println!("c={concurrency} n={n} {:?} -> {:.1}/s p50={}ms max={}ms {reasons:?}", took, n as f64 / took.as_secs_f64(), lat[lat.len()/2], lat.last().unwrap());
    }
}
