//! A first catalogue, and what a start checks.

use std::time::{Duration, Instant};

use sea_orm::DbBackend;
use shop_product::{SeedProduct, Seeded, seed};
use shop_server::{LeftEarly, ServerOptions, Shutdown};
use shop_storage::Database;
use shop_testing::TestDatabase;
use shop_types::Currency;

use crate::{
    harness::{BOUND, Shop},
    user::{self, Feed},
};

fn tea() -> SeedProduct {
    SeedProduct {
        sku: "TEA".to_owned(),
        slug: "tea".to_owned(),
        name: "Tea".to_owned(),
        price: 499,
        attributes: vec![("origin".to_owned(), "Japan".to_owned())],
        stock: 12,
        ..SeedProduct::default()
    }
}

async fn open(own: &TestDatabase) -> Database {
    shop_product::migrate_up(&own.options()).await.unwrap();
    Database::open(shop_product::NAME, &own.options()).await.unwrap()
}

#[tokio::test]
async fn seeding_twice_is_seeding_once() {
    let own = TestDatabase::new(shop_product::NAME).await;
    let database = open(&own).await;
    let usd: Currency = "USD".parse().unwrap();
    let coffee = SeedProduct { sku: "COFFEE".into(), slug: "coffee".into(), name: "Coffee".into(), stock: 0, ..tea() };
    assert_eq!(seed(&database, usd, &[], [tea()]).await.unwrap(), Seeded { created: 1, present: 0 });
    let repriced = SeedProduct { price: 1, stock: 5, ..tea() };
    let seeded = seed(&database, usd, &[], [repriced, coffee]).await.unwrap();
    assert_eq!(seeded, Seeded { created: 1, present: 1 });
    let wrong = SeedProduct { sku: "X".into(), slug: "X".into(), ..tea() };
    assert!(seed(&database, usd, &[], [wrong]).await.unwrap_err().to_string().contains("/slug"));
    database.close().await.unwrap();

    let shop = Shop::open_with(|served| served.database = own.options()).await;
    let key = Some(shop_proto::product::get_product_request::Key::Slug("tea".to_owned()));
    let found = shop.products.clone().get_product(shop_proto::product::GetProductRequest { key }).await.unwrap();
    let found = found.into_inner().product.unwrap();
    assert_eq!((found.price.unwrap().amount, found.attributes["origin"].as_str()), (499, "Japan"));
    assert_eq!(shop.stock(&found.id).await, (12, 0, 12));
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test]
async fn a_start_refuses_what_it_can_not_serve_from() {
    let dir = tempfile::tempdir().unwrap();
    let keys = shop_auth::keys::create(dir.path(), &["user", "product"]).unwrap();
    let shutdown = Shutdown::new();
    let user = user::start(Feed::default(), &keys, &shutdown).await;
    let own = TestDatabase::new(shop_product::NAME).await;
    let mut options = crate::harness::options(own.options(), &keys, &user);
    let refused = shop_product::start(options.clone(), &shutdown).await.unwrap_err();
    assert!(refused.to_string().contains("migrate up"), "{refused:#}");

    let database = open(&own).await;
    seed(&database, "USD".parse().unwrap(), &[], [tea()]).await.unwrap();
    // Replicas share a server; a file is one process's.
    if database.backend() == DbBackend::Sqlite {
        let refused = shop_product::start(options.clone(), &shutdown).await.unwrap_err();
        assert!(refused.to_string().contains("in use by another process"), "{refused:#}");
    }
    database.close().await.unwrap();

    options.currency = "EUR".parse().unwrap();
    let refused = shop_product::start(options.clone(), &shutdown).await.unwrap_err();
    assert!(refused.to_string().contains("priced in USD"), "{refused:#}");

    options.currency = "USD".parse().unwrap();
    options.server = ServerOptions::embedded(user.addresses().serve);
    let refused = shop_product::start(options, &shutdown).await.unwrap_err();
    assert!(refused.to_string().contains(&user.addresses().serve.to_string()), "{refused:#}");
    shutdown.begin();
    user.join().await.unwrap();
}

#[tokio::test]
async fn a_start_that_is_asked_to_leave_does_not_wait_to_be_ready() {
    let dir = tempfile::tempdir().unwrap();
    let keys = shop_auth::keys::create(dir.path(), &["user", "product"]).unwrap();
    let shutdown = Shutdown::new();
    let user = user::start(Feed::default(), &keys, &shutdown).await;
    let own = TestDatabase::new(shop_product::NAME).await;
    let mut options = crate::harness::options(own.options(), &keys, &user);
    shop_product::migrate_up(&options.database).await.unwrap();
    // Whoever listens there says nothing, so it would wait for the feed.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    options.user_address = vec![silent.local_addr().unwrap().into()];
    let starting = async {
        let running = shop_product::start(options.clone(), &shutdown).await.unwrap();
        (running, Instant::now())
    };
    let asking = async {
        let connection = silent.accept().await.unwrap();
        shutdown.begin();
        (connection, Instant::now())
    };
    let ((running, started), (_connection, asked)) = tokio::join!(starting, asking);
    assert!(started - asked < Duration::from_secs(3), "{:?}", started - asked);
    tokio::time::timeout(BOUND, running.join()).await.unwrap().unwrap();
    user.join().await.unwrap();

    // Asked before it has even opened its database, it does not begin.
    let refused = shop_product::start(options, &shutdown).await.unwrap_err();
    assert!(refused.is::<LeftEarly>(), "{refused:#}");
}
