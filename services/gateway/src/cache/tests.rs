//! Kept products, with calls that do as a test says.

use std::{pin::pin, sync::atomic::AtomicUsize};

use futures::{future::join_all, poll};
use shop_proto::{product, types};
use tokio::sync::Notify;

use super::{slots::MAX_BYTES, *};

fn product(version: i64) -> Product {
    let at = || Some(prost_types::Timestamp::default());
    let price = Some(types::Money { amount: 1, currency: "USD".into() });
    let status = product::ProductStatus::Active.into();
    let id = "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c".into();
    let wire =
        product::Product { id, version, price, status, created_at: at(), updated_at: at(), ..Default::default() };
    wire.try_into().unwrap()
}

fn slug() -> Key {
    Key::Slug("mug".into())
}

fn slots(products: &Products) -> usize {
    products.slots.lock().by_key.len()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_who_miss_the_same_product_are_one_call() {
    let products = Products::new();
    let (calls, go_on) = (AtomicUsize::new(0), Notify::new());
    let ask = || async {
        calls.fetch_add(1, Ordering::SeqCst);
        go_on.notified().await;
        Ok(product(7))
    };
    // Each is polled once before any is polled again: all of them wait when the call is let go on.
    let all = join_all((0..10_000).map(|_| products.get(slug(), ask)));
    let (found, ()) = tokio::join!(all, async { go_on.notify_one() });
    assert!(found.iter().all(|entry| entry.as_ref().unwrap().tag == "\"7\""));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_older_than_a_second_nor_than_a_change() {
    let products = Products::new();
    let version = AtomicUsize::new(0);
    let ask = || async { Ok(product(i64::try_from(version.fetch_add(1, Ordering::SeqCst)).unwrap() + 1)) };
    let read = async || products.get(slug(), ask).await.unwrap().tag.clone();
    assert_eq!((read().await, read().await), (etag(1), etag(1)));
    tokio::time::advance(MAX_AGE).await;
    assert_eq!(read().await, etag(1));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!((read().await, read().await), (etag(2), etag(2)));
    // A change of another product is none of this one's.
    products.changed([Key::Id(Uuid::nil())]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(read().await, etag(2));
    products.changed([Key::Id(product(1).id.0)]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!((read().await, read().await), (etag(3), etag(3)));
    products.changed([slug()]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(read().await, etag(4));
}

#[tokio::test(start_paused = true)]
async fn an_import_is_remembered_in_bounded_space() {
    let products = Products::new();
    let ask = || async { Ok(product(1)) };
    products.get(slug(), ask).await.unwrap();
    for number in 0..u128::try_from(MAX_CHANGES).unwrap() * 3 {
        products.changed([Key::Id(Uuid::from_u128(number))]);
    }
    assert!(products.changes.read().of.len() <= MAX_CHANGES);
    // What was asked for before so many changes is not believed, since some were forgotten.
    let oldest = Instant::now() - MAX_AGE;
    assert!(!products.holds(&slug(), None, Instant::now() - Duration::from_millis(1), oldest));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(products.holds(&slug(), None, Instant::now(), oldest));
}

#[tokio::test]
async fn what_nobody_waits_for_leaves_nothing() {
    let products = Products::new();
    let never = || std::future::pending::<Result<Product, Problem>>();
    {
        let (mut first, mut second) = (pin!(products.get(slug(), never)), pin!(products.get(slug(), never)));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        assert_eq!((slots(&products), products.asked.load(Ordering::Relaxed)), (1, 1));
    }
    assert_eq!(slots(&products), 0);
    let fails = || async { Err(Problem::internal("no")) };
    products.get(slug(), fails).await.unwrap_err();
    assert_eq!(slots(&products), 0);
}

#[tokio::test]
async fn one_who_waits_asks_in_place_of_one_who_went_away() {
    let products = Products::new();
    let calls = AtomicUsize::new(0);
    let ask = || async {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            std::future::pending::<()>().await;
        }
        Ok(product(7))
    };
    let mut first = Box::pin(products.get(slug(), ask));
    let mut second = pin!(products.get(slug(), ask));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    drop(first);
    assert_eq!(second.await.unwrap().tag, etag(7));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_in_space_and_time() {
    let products = Products::new();
    let ask = || async { Ok(product(1)) };
    let read = async |number| products.get(Key::Id(Uuid::from_u128(number)), ask).await.unwrap();
    let most = MAX_BYTES / read(0).await.size();
    for number in 1..u128::try_from(most).unwrap() + 10 {
        read(number).await;
    }
    assert_eq!(slots(&products), most);
    assert!(products.slots.lock().bytes <= MAX_BYTES);
    tokio::time::advance(MAX_AGE + Duration::from_millis(1)).await;
    read(0).await;
    assert_eq!(slots(&products), 1);
    // What is old when it comes is good for those who waited for it.
    let late = || async {
        tokio::time::sleep(MAX_AGE * 2).await;
        Ok(product(2))
    };
    assert_eq!(products.get(slug(), late).await.unwrap().tag, etag(2));
    assert_eq!((slots(&products), products.slots.lock().bytes), (0, 0));
}

/// What a request with so much time left gets of a product whose first call takes all the time it has.
async fn asked_within(products: &Products, seconds: u64, calls: &AtomicUsize) -> Result<Arc<Entry>, Arc<Problem>> {
    let ask = || async {
        if calls.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(product(7));
        }
        tokio::time::sleep_until(deadline::current().unwrap().moment()).await;
        Err(Problem::new(Reason::DeadlineExceeded, "late"))
    };
    deadline::scope(Deadline::after(Duration::from_secs(seconds)), products.get(slug(), ask)).await
}

#[tokio::test(start_paused = true)]
async fn one_who_has_more_time_than_the_one_who_asked_asks_again() {
    let (products, calls) = (Products::new(), AtomicUsize::new(0));
    let (first, as_long, longer) = tokio::join!(
        asked_within(&products, 3, &calls),
        asked_within(&products, 4, &calls),
        asked_within(&products, 9, &calls)
    );
    assert!(first.is_err() && as_long.is_err());
    assert_eq!(longer.unwrap().tag, etag(7));
    assert_eq!((calls.into_inner(), slots(&products)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_being_changed_is_asked_for_again_when_that_is_over_or_called_off() {
    let (products, calls) = (Products::new(), AtomicUsize::new(0));
    let ask = || async {
        calls.fetch_add(1, Ordering::SeqCst);
        Ok(product(1))
    };
    products.get(slug(), ask).await.unwrap();
    let changing = products.changing([slug()]);
    products.get(slug(), ask).await.unwrap();
    drop(changing);
    tokio::time::advance(Duration::from_millis(1)).await;
    products.get(slug(), ask).await.unwrap();
    assert_eq!(calls.into_inner(), 2);
}
