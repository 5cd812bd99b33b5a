//! A thousand customers want a hundred units at once.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use shop_auth::{Role, UserCaller, UserTokenSigner};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    SETTLE_BOUND,
    client::{Client, order_of},
    random_below,
    shop::{Reached, Shop},
};

const CUSTOMERS: usize = 1_000;
const UNITS: usize = 100;
/// How often the shop is killed while they buy.
const KILLS: usize = 5;
/// Registrations under way at once: more than the password pool works on, so that it never idles.
const REGISTERING: usize = 8;

#[tokio::test]
async fn a_hundred_units_go_to_a_hundred_customers() {
    let shop = Shop::start().await;
    let (product, customers) = crowd(&shop).await;
    let begun = std::time::Instant::now();
    let answers = futures::future::join_all(customers.iter().map(|customer| buy(customer, product))).await;
    println!("{CUSTOMERS} customers had their answer after {} ms", begun.elapsed().as_millis());
    sold_exactly(&shop, product, &answers).await;
}

#[tokio::test]
async fn a_hundred_units_go_to_a_hundred_customers_though_the_shop_is_killed() {
    let mut shop = Shop::start_with(&[("SHOP_LEASE", "2s")]).await;
    let (product, customers) = crowd(&shop).await;
    let (answered, mut answers) = watch::channel(0);
    let buying = tokio::spawn(async move {
        let served = customers.iter().map(async |customer| {
            let status = buy(customer, product).await;
            answered.send_modify(|count| *count += 1);
            status
        });
        futures::future::join_all(served).await
    });
    for moment in moments() {
        tokio::time::timeout(SETTLE_BOUND, answers.wait_for(|count| *count >= moment)).await.unwrap().unwrap();
        shop.kill().await;
        assert!(*answers.borrow() < CUSTOMERS, "the crowd was served before it could be disturbed");
        shop.restart().await;
    }
    sold_exactly(&shop, product, &buying.await.unwrap()).await;
}

/// After how many answers the shop is killed. It is killed by what it has done rather than by the time, which is another on
/// each machine.
fn moments() -> [usize; KILLS] {
    let last = u64::try_from(CUSTOMERS * 9 / 10).unwrap();
    let mut moments = [(); KILLS].map(|()| usize::try_from(random_below(last)).unwrap());
    moments.sort_unstable();
    moments
}

pub(crate) async fn buy(customer: &Client, product: Uuid) -> u16 {
    let answer = customer.order_until_settled(&Uuid::new_v4().to_string(), &order_of(product, 1)).await;
    if answer.status.as_u16() == 409 {
        answer.problem(409, "OUT_OF_STOCK");
    }
    answer.status.as_u16()
}

pub(crate) async fn sold_exactly(shop: &impl Reached, product: Uuid, answers: &[u16]) {
    let of = |status: u16| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((of(201), of(409), answers.len()), (UNITS, CUSTOMERS - UNITS, CUSTOMERS));
    shop.is_settled_clean(SETTLE_BOUND).await;
    let admin = Client::admin(shop).await;
    assert_eq!(admin.inventory(product).await["available"], 0);
    assert_eq!(admin.orders("reserved").await, UNITS);
    assert_eq!(admin.orders("rejected").await, CUSTOMERS - UNITS);
}

/// A product with stock for some, and a registered customer for each of many, holding a token.
pub(crate) async fn crowd(shop: &impl Reached) -> (Uuid, Vec<Client>) {
    let admin = Client::admin(shop).await;
    let product = admin.product(500, i64::try_from(UNITS).unwrap()).await;
    let signer = UserTokenSigner::new(&shop.keys().options("user"), shop.shop_uid()).unwrap();
    let anonymous = Client::anonymous(shop);
    let customers = stream::iter(0..CUSTOMERS)
        .map(|n| {
            let (anonymous, signer) = (&anonymous, &signer);
            async move {
                let user_id = anonymous.register(&format!("customer-{n}@crowd.test")).await.id();
                // Signed as a login would: a thousand logins would only test the password hash again.
                let user = UserCaller { user_id, session_id: Uuid::now_v7(), role: Role::Customer, epoch: 0 };
                anonymous.with_token(signer.sign(&user, Duration::from_hours(1)).unwrap())
            }
        })
        .buffer_unordered(REGISTERING)
        .collect()
        .await;
    (product, customers)
}
