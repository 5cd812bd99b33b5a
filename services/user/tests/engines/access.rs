//! Who may call what: every method by every kind of caller, as the access table says.

use shop_auth::Role;
use shop_proto::{
    access::{METHODS, Rule},
    status::{Reason, Refusal},
    user as proto,
};
use tonic::{Request, Response, Status};

use crate::harness::{Shop, Token, as_caller};

/// Calls the method with an empty request, which none of them finds valid or anything for.
async fn call(shop: &Shop, method: &str, token: &Token) -> Result<(), Refusal> {
    fn message<T: Default>(token: &Token) -> Request<T> {
        as_caller(token, T::default())
    }
    fn done<T>(result: Result<Response<T>, Status>) -> Result<(), Refusal> {
        result.map(|_| ()).map_err(|status| Refusal::from_status(&status))
    }
    let mut users = shop.client();
    match method {
        "Register" => done(users.register(message::<proto::RegisterRequest>(token)).await),
        "Login" => done(users.login(message::<proto::LoginRequest>(token)).await),
        "Refresh" => done(users.refresh(message::<proto::RefreshRequest>(token)).await),
        "Logout" => done(users.logout(message::<proto::LogoutRequest>(token)).await),
        "GetUser" => done(users.get_user(message::<proto::GetUserRequest>(token)).await),
        "UpdateProfile" => done(users.update_profile(message::<proto::UpdateProfileRequest>(token)).await),
        "ChangePassword" => done(users.change_password(message::<proto::ChangePasswordRequest>(token)).await),
        "DeleteUser" => done(users.delete_user(message::<proto::DeleteUserRequest>(token)).await),
        "ListUsers" => done(users.list_users(message::<proto::ListUsersRequest>(token)).await),
        "UpdateUser" => done(users.update_user(message::<proto::UpdateUserRequest>(token)).await),
        "ListAddresses" => done(users.list_addresses(message::<proto::ListAddressesRequest>(token)).await),
        "CreateAddress" => done(users.create_address(message::<proto::CreateAddressRequest>(token)).await),
        "UpdateAddress" => done(users.update_address(message::<proto::UpdateAddressRequest>(token)).await),
        "DeleteAddress" => done(users.delete_address(message::<proto::DeleteAddressRequest>(token)).await),
        "ValidateUser" => done(users.validate_user(message::<proto::ValidateUserRequest>(token)).await),
        "ListRevocations" => done(users.list_revocations(message::<proto::ListRevocationsRequest>(token)).await),
        "WatchRevocations" => done(users.watch_revocations(message::<proto::WatchRevocationsRequest>(token)).await),
        other => panic!("{other} is called by no test"),
    }
}

#[tokio::test]
async fn every_method_lets_in_whom_the_table_says() {
    let shop = Shop::open().await;
    let callers = [
        ("nobody", None),
        ("customer", shop.stranger(Role::Customer)),
        ("staff", shop.stranger(Role::Staff)),
        ("admin", shop.stranger(Role::Admin)),
        ("order", shop.service("order")),
        ("product", shop.service("product")),
        ("gateway", shop.service("gateway")),
    ];
    let mut methods = 0;
    for method in METHODS.iter().filter(|method| method.path.starts_with("/shop.user.v1.")) {
        let name = method.path.rsplit('/').next().unwrap();
        methods += 1;
        for (caller, token) in &callers {
            let allowed = match method.rule {
                Rule::Public => true,
                Rule::Authenticated | Rule::Owner => ["customer", "staff", "admin"].contains(caller),
                Rule::Staff => ["staff", "admin"].contains(caller),
                Rule::Admin => *caller == "admin",
                Rule::Service(services) => services.contains(caller),
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
