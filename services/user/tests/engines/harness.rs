//! A user server with its surroundings, and callers of every kind.

use std::time::Duration;

use secrecy::SecretString;
use shop_auth::{Role, ServiceSigner, UserCaller, UserTokenSigner, keys};
use shop_discovery::{DiscoveryOptions, Pool, PoolOptions, StaticResolver, Target};
use shop_proto::{
    status::{Reason, Refusal},
    user::{self as proto, user_service_client::UserServiceClient},
};
use shop_server::{Running, ServerOptions, Shutdown};
use shop_storage::DatabaseOptions;
use shop_testing::TestDatabase;
use shop_types::{Uuid, new_id};
use shop_user::Options;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
};

/// Every wait of a test ends after this.
pub(crate) const BOUND: Duration = Duration::from_secs(20);
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const WRONG: &str = "incorrect horse battery";
/// Where clients are unless a test says otherwise.
pub(crate) const HOME: &str = "192.0.2.1";
pub(crate) const ADMIN: &str = "admin@example.com";

/// A token as metadata; `None` is nobody's.
pub(crate) type Token = Option<MetadataValue<Ascii>>;

pub(crate) struct Shop {
    pub(crate) users: UserServiceClient<Pool>,
    pub(crate) keys: keys::KeyPaths,
    pub(crate) shutdown: Shutdown,
    pub(crate) database: TestDatabase,
    replicas: Vec<Running>,
    dir: tempfile::TempDir,
}

/// Somebody with a session.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn {
    pub(crate) id: String,
    pub(crate) refresh: String,
    pub(crate) access: String,
}

impl SignedIn {
    pub(crate) fn token(&self) -> Token {
        Some(format!("Bearer {}", self.access).parse().unwrap())
    }
}

impl Shop {
    /// A shop with one admin and nobody else.
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(adjust: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys::create(dir.path(), &["user", "product", "order", "gateway"]).unwrap();
        let database = TestDatabase::new(shop_user::NAME).await;
        let mut options = options(database.options(), &keys);
        adjust(&mut options);
        shop_user::migrate_up(&options.database).await.unwrap();
        shop_user::create_admin(&options.database, ADMIN, &SecretString::from(PASSWORD)).await.unwrap();
        Self::start(options, keys, database, dir).await
    }

    async fn start(options: Options, keys: keys::KeyPaths, database: TestDatabase, dir: tempfile::TempDir) -> Self {
        let shutdown = Shutdown::new();
        let running = shop_user::start(options, &shutdown).await.unwrap();
        Self { users: client(&running), keys, shutdown, database, replicas: vec![running], dir }
    }

    /// The process ends and another begins on the same database.
    pub(crate) async fn restart(self) -> Self {
        let Self { keys, shutdown, database, replicas, dir, users } = self;
        drop(users);
        shutdown.begin();
        for running in replicas {
            tokio::time::timeout(BOUND, running.join()).await.unwrap().unwrap();
        }
        let options = options(database.options(), &keys);
        Self::start(options, keys, database, dir).await
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) fn client(&self) -> UserServiceClient<Pool> {
        self.users.clone()
    }

    /// Another replica on the same database; a SQLite file has one process, which then is its own neighbour.
    pub(crate) async fn neighbour(&mut self) -> UserServiceClient<Pool> {
        if self.database.file().is_some() {
            return self.client();
        }
        let running = shop_user::start(options(self.database.options(), &self.keys), &self.shutdown).await.unwrap();
        let client = client(&running);
        self.replicas.push(running);
        client
    }

    /// Leaves as a process does.
    pub(crate) async fn close(self) {
        self.shutdown.begin();
        for running in self.replicas {
            tokio::time::timeout(BOUND, running.join()).await.unwrap().unwrap();
        }
    }

    /// Changes the database behind the server's back: lets time pass, or is another replica.
    pub(crate) async fn sql(&self, statement: &str) {
        self.database.execute(statement).await;
    }

    /// What a `SELECT count(*) AS n` counts.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        self.database.count(query).await
    }

    /// A token that the user service would sign for a user whom it does not know.
    pub(crate) fn stranger(&self, role: Role) -> Token {
        let caller = UserCaller { user_id: new_id(), session_id: new_id(), role, epoch: 0 };
        Some(format!("Bearer {}", self.sign(&caller)).parse().unwrap())
    }

    pub(crate) fn sign(&self, caller: &UserCaller) -> String {
        let signer = UserTokenSigner::new(&self.keys.options("user"), "local").unwrap();
        signer.sign(caller, Duration::from_mins(5)).unwrap()
    }

    pub(crate) fn service(&self, name: &'static str) -> Token {
        Some(self.signer(name).bearer(shop_user::NAME).unwrap())
    }

    pub(crate) fn signer(&self, name: &'static str) -> ServiceSigner {
        ServiceSigner::new(&self.keys.options(name), name, "local").unwrap()
    }

    pub(crate) async fn register(&self, email: &str) -> Result<proto::User, Refusal> {
        self.register_with(email, PASSWORD, "Ada").await
    }

    pub(crate) async fn register_with(&self, email: &str, password: &str, name: &str) -> Result<proto::User, Refusal> {
        let request = proto::RegisterRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            display_name: name.to_owned(),
        };
        answer(self.client().register(request).await).map(|answer| answer.user.unwrap())
    }

    /// A login that the gateway passes on for a client at `address`.
    pub(crate) async fn login_from(&self, address: &str, email: &str, password: &str) -> Result<SignedIn, Refusal> {
        let request = proto::LoginRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            client_address: address.to_owned(),
        };
        let answered = answer(self.client().login(as_caller(&self.service("gateway"), request)).await)?;
        Ok(signed_in(answered.tokens))
    }

    pub(crate) async fn login(&self, email: &str) -> SignedIn {
        self.login_from(HOME, email, PASSWORD).await.unwrap()
    }

    pub(crate) async fn admin(&self) -> SignedIn {
        self.login(ADMIN).await
    }

    /// A customer with a session.
    pub(crate) async fn customer(&self, email: &str) -> SignedIn {
        self.register(email).await.unwrap();
        self.login(email).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<SignedIn, Refusal> {
        let request = proto::RefreshRequest { refresh_token: token.to_owned() };
        Ok(signed_in(answer(self.client().refresh(request).await)?.tokens))
    }

    pub(crate) async fn logout(&self, token: &str) {
        let request = proto::LogoutRequest { refresh_token: token.to_owned() };
        answer(self.client().logout(request).await).unwrap();
    }

    pub(crate) async fn get(&self, token: &Token, id: &str) -> Result<proto::User, Refusal> {
        let request = proto::GetUserRequest { user_id: id.to_owned() };
        answer(self.client().get_user(as_caller(token, request)).await).map(|answer| answer.user.unwrap())
    }

    /// Whether the access token still opens doors.
    pub(crate) async fn lets_in(&self, user: &SignedIn) -> bool {
        match self.get(&user.token(), &user.id).await {
            Ok(_) => true,
            Err(refusal) => {
                assert_eq!(refusal.reason, Reason::InvalidToken);
                false
            }
        }
    }

    pub(crate) async fn set(
        &self,
        token: &Token,
        id: &str,
        role: Option<proto::Role>,
        disabled: Option<bool>,
    ) -> Result<proto::User, Refusal> {
        let request = proto::UpdateUserRequest { user_id: id.to_owned(), role: role.map(Into::into), disabled };
        answer(self.client().update_user(as_caller(token, request)).await).map(|answer| answer.user.unwrap())
    }

    pub(crate) async fn delete(&self, user: &SignedIn) -> Result<(), Refusal> {
        let request = proto::DeleteUserRequest { user_id: user.id.clone() };
        answer(self.client().delete_user(as_caller(&user.token(), request)).await).map(|_| ())
    }

    pub(crate) async fn change_password(&self, user: &SignedIn, current: &str, new: &str) -> Result<(), Refusal> {
        let request = proto::ChangePasswordRequest {
            user_id: user.id.clone(),
            current_password: current.to_owned(),
            new_password: new.to_owned(),
        };
        answer(self.client().change_password(as_caller(&user.token(), request)).await).map(|_| ())
    }

    pub(crate) async fn revocations(&self, after_position: i64) -> proto::ListRevocationsResponse {
        let request = proto::ListRevocationsRequest { after_position };
        answer(self.client().list_revocations(as_caller(&self.service("order"), request)).await).unwrap()
    }
}

fn client(running: &Running) -> UserServiceClient<Pool> {
    let target = Target { shop_uid: "local".to_owned(), service: shop_user::NAME };
    let pool = Pool::new(target, StaticResolver::new([running.addresses().serve]), PoolOptions::default());
    UserServiceClient::new(pool)
}

fn options(database: DatabaseOptions, keys: &keys::KeyPaths) -> Options {
    Options {
        server: ServerOptions::embedded("127.0.0.1:0".parse().unwrap()),
        database,
        auth: keys.options(shop_user::NAME),
        discovery: DiscoveryOptions::default(),
        cursor_secret: SecretString::from("a secret of thirty-two bytes or more"),
        access_token_ttl: shop_user::DEFAULT_ACCESS_TOKEN_TTL,
    }
}

fn signed_in(tokens: Option<proto::Tokens>) -> SignedIn {
    let tokens = tokens.unwrap();
    let claims: serde_json::Value = jsonwebtoken::dangerous::insecure_decode(&tokens.access_token).unwrap().claims;
    SignedIn {
        id: claims["sub"].as_str().unwrap().to_owned(),
        refresh: tokens.refresh_token,
        access: tokens.access_token,
    }
}

/// What a login or a refresh through a client of one's own answered.
pub(crate) fn tokens(result: Result<Response<proto::RefreshResponse>, Status>) -> Result<SignedIn, Refusal> {
    Ok(signed_in(answer(result)?.tokens))
}

pub(crate) fn session_of(user: &SignedIn) -> Uuid {
    let claims: serde_json::Value = jsonwebtoken::dangerous::insecure_decode(&user.access).unwrap().claims;
    claims["sid"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn as_caller<T>(token: &Token, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", token.clone());
    }
    request
}

pub(crate) fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, Refusal> {
    result.map(Response::into_inner).map_err(|status| Refusal::from_status(&status))
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Reason {
    result.unwrap_err().reason
}

/// The pointers of the fields that a request was refused for.
pub(crate) fn pointers<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Vec<String> {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.reason, Reason::ValidationFailed);
    refusal.violations.into_iter().map(|violation| violation.pointer).collect()
}

/// Waits for a condition, for as long as any wait may take.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let waited = tokio::time::timeout(BOUND, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not come about");
}
