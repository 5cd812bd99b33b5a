//! Who may call what: every method of the services, by every kind of caller, as the access table says.

use shop_auth::Role;
use shop_proto::{
    access::{METHODS, Rule},
    product as proto,
    status::{Reason, Refusal},
};
use shop_types::new_id;
use tonic::{Request, Response, Status};

use crate::harness::{BOUND, Shop, Token, as_caller};

/// Calls the method with an empty request, which none of them finds valid or anything for.
async fn call(shop: &Shop, method: &str, token: &Token) -> Result<(), Refusal> {
    fn message<T: Default>(token: &Token) -> Request<T> {
        as_caller(token, T::default())
    }
    fn done<T>(result: Result<Response<T>, Status>) -> Result<(), Refusal> {
        result.map(|_| ()).map_err(|status| Refusal::from_status(&status))
    }
    let (mut products, mut categories) = (shop.products.clone(), shop.categories.clone());
    let mut reservations = shop.reservations.clone();
    match method {
        "ListProducts" => done(products.list_products(message::<proto::ListProductsRequest>(token)).await),
        "GetProduct" => done(products.get_product(message::<proto::GetProductRequest>(token)).await),
        "CreateProduct" => done(products.create_product(message::<proto::CreateProductRequest>(token)).await),
        "UpdateProduct" => done(products.update_product(message::<proto::UpdateProductRequest>(token)).await),
        "ArchiveProduct" => done(products.archive_product(message::<proto::ArchiveProductRequest>(token)).await),
        "GetAvailability" => done(products.get_availability(message::<proto::GetAvailabilityRequest>(token)).await),
        "GetInventory" => done(products.get_inventory(message::<proto::GetInventoryRequest>(token)).await),
        "AdjustInventory" => done(products.adjust_inventory(message::<proto::AdjustInventoryRequest>(token)).await),
        "ListCategories" => done(categories.list_categories(message::<proto::ListCategoriesRequest>(token)).await),
        "GetCategory" => done(categories.get_category(message::<proto::GetCategoryRequest>(token)).await),
        "CreateCategory" => done(categories.create_category(message::<proto::CreateCategoryRequest>(token)).await),
        "UpdateCategory" => done(categories.update_category(message::<proto::UpdateCategoryRequest>(token)).await),
        "DeleteCategory" => done(categories.delete_category(message::<proto::DeleteCategoryRequest>(token)).await),
        "Reserve" => done(reservations.reserve(message::<proto::ReserveRequest>(token)).await),
        "Commit" => done(reservations.commit(message::<proto::CommitRequest>(token)).await),
        "Release" => done(reservations.release(message::<proto::ReleaseRequest>(token)).await),
        "Return" => done(reservations.r#return(message::<proto::ReturnRequest>(token)).await),
        other => panic!("{other} is called by no test"),
    }
}

#[tokio::test]
async fn every_method_lets_in_whom_the_table_says() {
    let shop = Shop::open().await;
    let callers = [
        ("nobody", None),
        ("customer", shop.user(Role::Customer)),
        ("staff", shop.user(Role::Staff)),
        ("admin", shop.user(Role::Admin)),
        ("order", shop.service("order")),
        ("gateway", shop.service("gateway")),
    ];
    let mut methods = 0;
    for method in METHODS.iter().filter(|method| method.path.starts_with("/shop.product.v1.")) {
        let name = method.path.rsplit('/').next().unwrap();
        methods += 1;
        for (caller, token) in &callers {
            let allowed = match method.rule {
                Rule::Public => true,
                Rule::Staff => ["staff", "admin"].contains(caller),
                Rule::Service(services) => services.contains(caller),
                Rule::Authenticated | Rule::Owner | Rule::Admin => panic!("{name} has a rule that product had none of"),
            };
            let refused = call(&shop, name, token).await.err().map(|refusal| refusal.reason);
            let denied = matches!(refused, Some(Reason::Unauthenticated | Reason::Forbidden));
            assert_eq!(denied, !allowed, "{caller} calls {name}: {refused:?}");
            if !allowed {
                let expected = if *caller == "nobody" { Reason::Unauthenticated } else { Reason::Forbidden };
                assert_eq!(refused, Some(expected), "{caller} calls {name}");
            }
        }
        // A token that is presented must be good, whatever the method.
        let forged: Token = Some("Bearer eyJhbGciOiJub25lIn0.e30.".parse().unwrap());
        assert_eq!(call(&shop, name, &forged).await.unwrap_err().reason, Reason::InvalidToken, "{name}");
    }
    assert_eq!(methods, 17);
    shop.close().await;
}

#[tokio::test]
async fn a_revoked_session_is_over() {
    let shop = Shop::open().await;
    let (over, other) = (new_id(), new_id());
    let (over_token, other_token) = (shop.session(Role::Staff, over), shop.session(Role::Staff, other));
    for token in [&over_token, &other_token] {
        assert_eq!(call(&shop, "GetInventory", token).await.unwrap_err().reason, Reason::NotFound);
    }
    shop.feed.revoke_session(over);
    let refused = async {
        while call(&shop, "GetInventory", &over_token).await.unwrap_err().reason != Reason::InvalidToken {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, refused).await.unwrap();
    assert_eq!(call(&shop, "GetInventory", &other_token).await.unwrap_err().reason, Reason::NotFound);
    shop.close().await;
}

#[tokio::test]
async fn without_the_feed_staff_is_refused_and_the_shop_still_sells() {
    // Nothing listens at port 1.
    let shop = Shop::open_with(|options| options.user_address = vec!["127.0.0.1:1".parse().unwrap()]).await;
    assert_eq!(call(&shop, "GetInventory", &shop.staff).await.unwrap_err().reason, Reason::Unavailable);
    assert_eq!(call(&shop, "GetInventory", &shop.user(Role::Customer)).await.unwrap_err().reason, Reason::Forbidden);
    for token in [None, shop.user(Role::Customer)] {
        call(&shop, "ListProducts", &token).await.unwrap();
    }
    assert_eq!(call(&shop, "Reserve", &shop.order).await.unwrap_err().reason, Reason::ValidationFailed);
    shop.close().await;
}
