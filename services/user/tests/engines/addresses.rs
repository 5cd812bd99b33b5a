//! Users' addresses.

use shop_proto::{
    status::{Reason, Refusal},
    types, user as proto,
};
use shop_types::new_id;

use crate::harness::{Shop, SignedIn, answer, as_caller, pointers, reason};

fn berlin() -> types::PostalAddress {
    types::PostalAddress {
        recipient: "Ada Lovelace".into(),
        line1: "Unter den Linden 1".into(),
        line2: "2. Stock".into(),
        city: "Berlin".into(),
        region: String::new(),
        postal_code: "10117".into(),
        country: "DE".into(),
    }
}

async fn create(shop: &Shop, user: &SignedIn, label: &str) -> Result<proto::Address, Refusal> {
    create_at(shop, user, label, Some(berlin())).await
}

async fn create_at(
    shop: &Shop,
    user: &SignedIn,
    label: &str,
    address: Option<types::PostalAddress>,
) -> Result<proto::Address, Refusal> {
    let request = proto::CreateAddressRequest { user_id: user.id.clone(), label: label.to_owned(), address };
    answer(shop.client().create_address(as_caller(&user.token(), request)).await).map(|answer| answer.address.unwrap())
}

async fn list(
    shop: &Shop,
    user: &SignedIn,
    limit: i32,
    cursor: &str,
) -> Result<(Vec<proto::Address>, String), Refusal> {
    let request = proto::ListAddressesRequest { user_id: user.id.clone(), limit, cursor: cursor.to_owned() };
    let listed = answer(shop.client().list_addresses(as_caller(&user.token(), request)).await)?;
    Ok((listed.addresses, listed.next_cursor))
}

async fn update(shop: &Shop, user: &SignedIn, request: proto::UpdateAddressRequest) -> Result<proto::Address, Refusal> {
    answer(shop.client().update_address(as_caller(&user.token(), request)).await).map(|answer| answer.address.unwrap())
}

async fn delete(shop: &Shop, user: &SignedIn, address_id: &str) -> Result<(), Refusal> {
    let request = proto::DeleteAddressRequest { user_id: user.id.clone(), address_id: address_id.to_owned() };
    answer(shop.client().delete_address(as_caller(&user.token(), request)).await).map(|_| ())
}

#[tokio::test]
async fn an_address_is_made_changed_and_deleted() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let made = create(&shop, &user, "home").await.unwrap();
    assert_eq!((made.label.as_str(), made.address.as_ref()), ("home", Some(&berlin())));
    assert_eq!(list(&shop, &user, 0, "").await.unwrap(), (vec![made.clone()], String::new()));

    let change =
        proto::UpdateAddressRequest { user_id: user.id.clone(), address_id: made.id.clone(), ..Default::default() };
    assert_eq!(update(&shop, &user, change.clone()).await.unwrap(), made);
    let changed = update(
        &shop,
        &user,
        proto::UpdateAddressRequest {
            label: Some(String::new()),
            line2: Some(String::new()),
            city: Some("Potsdam".into()),
            ..change.clone()
        },
    )
    .await
    .unwrap();
    let expected = types::PostalAddress { line2: String::new(), city: "Potsdam".into(), ..berlin() };
    assert_eq!((changed.label.as_str(), changed.address.as_ref()), ("", Some(&expected)));
    assert_eq!(list(&shop, &user, 0, "").await.unwrap().0, [changed]);
    let bad = proto::UpdateAddressRequest { recipient: Some(String::new()), country: Some("XX".into()), ..change };
    assert_eq!(pointers(update(&shop, &user, bad).await), ["/recipient", "/country"]);

    delete(&shop, &user, &made.id).await.unwrap();
    assert_eq!(reason(delete(&shop, &user, &made.id).await), Reason::NotFound);
    assert_eq!(list(&shop, &user, 0, "").await.unwrap().0, []);
    shop.close().await;
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let required = ["/recipient", "/line1", "/city", "/postal_code", "/country"];
    assert_eq!(pointers(create_at(&shop, &user, "", None).await), required);
    let label = "x".repeat(101);
    let address = types::PostalAddress { line2: "a\0b".into(), ..berlin() };
    assert_eq!(pointers(create_at(&shop, &user, &label, Some(address)).await), ["/label", "/line2"]);
    shop.close().await;
}

#[tokio::test]
async fn another_users_address_is_not_there() {
    let shop = Shop::open().await;
    let (ada, eve) = (shop.customer("ada@example.com").await, shop.customer("eve@example.com").await);
    let admin = shop.admin().await;
    let address = create(&shop, &ada, "home").await.unwrap();
    for other in [&eve, &admin] {
        // By another's path, and by one's own.
        for user_id in [&ada.id, &other.id] {
            let (user_id, address_id) = (user_id.clone(), address.id.clone());
            let change = proto::UpdateAddressRequest {
                user_id: user_id.clone(),
                address_id: address_id.clone(),
                city: Some("Paris".into()),
                ..Default::default()
            };
            assert_eq!(reason(update(&shop, other, change).await), Reason::NotFound);
            let request = proto::DeleteAddressRequest { user_id: user_id.clone(), address_id };
            let deleted = answer(shop.client().delete_address(as_caller(&other.token(), request)).await);
            assert_eq!(reason(deleted), Reason::NotFound);
        }
        let request = proto::ListAddressesRequest { user_id: ada.id.clone(), ..Default::default() };
        let listed = answer(shop.client().list_addresses(as_caller(&other.token(), request)).await);
        assert_eq!(reason(listed), Reason::NotFound);
        let request =
            proto::CreateAddressRequest { user_id: ada.id.clone(), label: String::new(), address: Some(berlin()) };
        let created = answer(shop.client().create_address(as_caller(&other.token(), request)).await);
        assert_eq!(reason(created), Reason::NotFound);
    }
    for nothing in [new_id().to_string(), "no-id".to_owned()] {
        assert_eq!(reason(delete(&shop, &ada, &nothing).await), Reason::NotFound);
    }
    assert_eq!(list(&shop, &ada, 0, "").await.unwrap().0, [address]);
    shop.close().await;
}

#[tokio::test]
async fn pages_show_each_address_once_newest_first() {
    let shop = Shop::open().await;
    let (ada, eve) = (shop.customer("ada@example.com").await, shop.customer("eve@example.com").await);
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(create(&shop, &ada, &number.to_string()).await.unwrap());
    }
    made.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = list(&shop, &ada, 3, &cursor).await.unwrap();
        seen.extend(page);
        if next.is_empty() {
            break;
        }
        assert_eq!(reason(list(&shop, &eve, 3, &next).await), Reason::InvalidCursor, "a cursor is its owner's");
        cursor = next;
    }
    assert_eq!(seen, made);
    for limit in [-1, 101] {
        assert_eq!(pointers(list(&shop, &ada, limit, "").await), ["limit"]);
    }
    assert_eq!(reason(list(&shop, &ada, 3, "nonsense").await), Reason::InvalidCursor);
    shop.close().await;
}

#[tokio::test]
async fn nobody_has_more_than_a_hundred() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let made = futures::future::join_all((0..105).map(|_| create(&shop, &user, ""))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 100);
    assert!(made.into_iter().filter_map(Result::err).all(|refusal| refusal.reason == Reason::StateConflict));
    shop.close().await;
}

#[tokio::test]
async fn order_gets_the_snapshot_of_an_own_address_and_no_other() {
    let shop = Shop::open().await;
    let (ada, eve) = (shop.customer("ada@example.com").await, shop.customer("eve@example.com").await);
    let address = create(&shop, &ada, "home").await.unwrap();
    let validate = async |user: &SignedIn| {
        let request = proto::ValidateUserRequest { user_id: user.id.clone(), address_id: address.id.clone() };
        answer(shop.client().validate_user(as_caller(&shop.service("order"), request)).await).unwrap()
    };
    let good = validate(&ada).await;
    assert_eq!((good.standing(), good.address), (proto::Standing::Good, Some(berlin())));
    let foreign = validate(&eve).await;
    assert_eq!((foreign.standing(), foreign.address), (proto::Standing::AddressUnknown, None));
    shop.delete(&ada).await.unwrap();
    assert_eq!(shop.count("SELECT count(*) AS n FROM addresses").await, 0);
    shop.close().await;
}
