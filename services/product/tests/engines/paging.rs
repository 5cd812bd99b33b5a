//! Pages that are read while products come and go.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use shop_product::{SeedProduct, seed};
use shop_proto::product::{self as proto, ProductSort};
use shop_storage::Database;
use shop_testing::TestDatabase;

use crate::harness::{Shop, new_product};

/// Products that stay.
const STAY: usize = 300;
/// Products that are made and archived again: each is two changes.
const COME_AND_GO: usize = 5_000;
const SORTS: [ProductSort; 4] =
    [ProductSort::Unspecified, ProductSort::PriceAsc, ProductSort::PriceDesc, ProductSort::Name];
/// Changes under way at once.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn every_row_that_stays_is_seen_exactly_once_while_ten_thousand_come_and_go() {
    let own = TestDatabase::new(shop_product::NAME).await;
    shop_product::migrate_up(&own.options()).await.unwrap();
    let database = Database::open(shop_product::NAME, &own.options()).await.unwrap();
    let stays = (0..STAY).map(|n| SeedProduct {
        sku: format!("STAY-{n}"),
        slug: format!("stay-{n}"),
        // Among those that come and go, in every order.
        name: format!("Product {}", n * COME_AND_GO / STAY),
        price: i64::try_from(n % 50).unwrap(),
        ..SeedProduct::default()
    });
    seed(&database, "USD".parse().unwrap(), &[], stays).await.unwrap();
    database.close().await.unwrap();
    let shop = Shop::open_with(|served| served.database = own.options()).await;

    let done = AtomicBool::new(false);
    let changing = async {
        let come_and_go = |n: usize| {
            let shop = &shop;
            async move {
                let request = new_product(&format!("gone-{n}"), i64::try_from(n % 50).unwrap());
                let product =
                    shop.create(proto::CreateProductRequest { name: format!("Product {n}"), ..request }).await?;
                shop.archive(&product).await
            }
        };
        stream::iter(0..COME_AND_GO)
            .map(come_and_go)
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await
            .unwrap();
        done.store(true, Ordering::Relaxed);
    };
    let reading = async {
        let mut readings = 0;
        for sort in SORTS.into_iter().cycle() {
            let request = proto::ListProductsRequest { limit: 20, sort: sort.into(), ..Default::default() };
            let mut seen = HashMap::<String, usize>::new();
            for slug in shop.list_all(&request).await {
                *seen.entry(slug).or_default() += 1;
            }
            let repeated: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
            assert!(repeated.is_empty(), "seen more than once by {sort:?}: {repeated:?}");
            let skipped: Vec<_> =
                (0..STAY).map(|n| format!("stay-{n}")).filter(|slug| !seen.contains_key(slug)).collect();
            assert!(skipped.is_empty(), "skipped by {sort:?}: {skipped:?}");
            readings += 1;
            if done.load(Ordering::Relaxed) {
                return readings;
            }
        }
        unreachable!("the orders are gone through again and again")
    };
    let ((), readings) = tokio::join!(changing, reading);
    assert!(readings > SORTS.len(), "the catalogue was read only {readings} times while it changed");
    shop.close().await;
}
