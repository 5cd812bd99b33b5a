//! The part of the user service that product calls: the feed of revocations, behind the real access layer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use shop_auth::{AccessLayer, KeyBundle, Revocations, Verifier, keys::KeyPaths};
use shop_proto::user::{
    self as proto,
    user_service_server::{UserService, UserServiceServer},
};
use shop_server::{GrpcServer, Running, ServerOptions, Shutdown};
use shop_types::{Instant, Uuid};
use tokio_stream::{Stream, StreamExt as _, wrappers::IntervalStream};
use tonic::{Request, Response, Status, async_trait, service::Routes};

/// What has been revoked; it is told again with every heartbeat.
#[derive(Clone, Default)]
pub(crate) struct Feed(Arc<Mutex<Vec<proto::Revocation>>>);

impl Feed {
    /// Voids the session's tokens.
    pub(crate) fn revoke_session(&self, session_id: Uuid) {
        let forget_after = Instant::now().plus(Duration::from_mins(5));
        self.0.lock().unwrap().push(proto::Revocation {
            position: 1,
            subject: Some(proto::revocation::Subject::SessionId(session_id.to_string())),
            forget_after: Some(prost_types::Timestamp { seconds: forget_after.as_seconds(), nanos: 0 }),
        });
    }
}

type Revoked = Pin<Box<dyn Stream<Item = Result<proto::WatchRevocationsResponse, Status>> + Send>>;

macro_rules! feed_and_absent {
    ($($method:ident: $request:ident => $response:ident;)+) => {
        #[async_trait]
        impl UserService for Feed {
            type WatchRevocationsStream = Revoked;

            async fn watch_revocations(
                &self,
                _: Request<proto::WatchRevocationsRequest>,
            ) -> Result<Response<Revoked>, Status> {
                let (feed, heartbeat) = (self.clone(), tokio::time::interval(Duration::from_millis(100)));
                let messages = IntervalStream::new(heartbeat).map(move |_| {
                    Ok(proto::WatchRevocationsResponse { revocations: feed.0.lock().unwrap().clone() })
                });
                Ok(Response::new(Box::pin(messages)))
            }

            async fn list_revocations(
                &self,
                _: Request<proto::ListRevocationsRequest>,
            ) -> Result<Response<proto::ListRevocationsResponse>, Status> {
                Ok(Response::new(proto::ListRevocationsResponse::default()))
            }

            $(async fn $method(&self, _: Request<proto::$request>) -> Result<Response<proto::$response>, Status> {
                Err(Status::unimplemented("product does not call it"))
            })+
        }
    };
}

feed_and_absent! {
    register: RegisterRequest => RegisterResponse;
    login: LoginRequest => LoginResponse;
    refresh: RefreshRequest => RefreshResponse;
    logout: LogoutRequest => LogoutResponse;
    get_user: GetUserRequest => GetUserResponse;
    update_profile: UpdateProfileRequest => UpdateProfileResponse;
    change_password: ChangePasswordRequest => ChangePasswordResponse;
    delete_user: DeleteUserRequest => DeleteUserResponse;
    list_users: ListUsersRequest => ListUsersResponse;
    update_user: UpdateUserRequest => UpdateUserResponse;
    list_addresses: ListAddressesRequest => ListAddressesResponse;
    create_address: CreateAddressRequest => CreateAddressResponse;
    update_address: UpdateAddressRequest => UpdateAddressResponse;
    delete_address: DeleteAddressRequest => DeleteAddressResponse;
    validate_user: ValidateUserRequest => ValidateUserResponse;
}

/// Serves the feed to whoever has product's token.
pub(crate) async fn start(feed: Feed, keys: &KeyPaths, shutdown: &Shutdown) -> Running {
    let any = "127.0.0.1:0".parse().unwrap();
    let server = GrpcServer::bind("user", any, &ServerOptions::embedded(any)).await.unwrap();
    let bundle = KeyBundle::load(&keys.options("user").key_bundle).unwrap();
    let verifier = Verifier::new(bundle, "user", "local", Revocations::local());
    server.start(Routes::new(UserServiceServer::new(feed)), AccessLayer::new(verifier), shutdown)
}
