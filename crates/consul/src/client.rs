//! The client: one call at a time, with a token, a time and a judgement of what came back.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use consulrs::api::{EndpointMiddleware, Features, features::Blocking};
use futures::FutureExt as _;
use reqwest_consul::{Certificate, Client as HttpClient, redirect};
use rustify::{
    endpoint::{Endpoint, EndpointResult},
    errors::ClientError,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use tracing::{Dispatch, instrument::WithSubscriber as _};

use crate::{
    address::ConsulAddress,
    error::Error,
    files,
    transport::{MAX_ANSWER, NoAnswer, Transport},
};

/// What a call may take that Consul answers at once. Writes go through its log on disk, on a majority of its servers.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// To connect. Consul is in the same network, or on the same machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// What Consul adds to the wait of a blocking query at most, so that not all come back at once: a sixteenth.
const WAIT_JITTER: u32 = 16;
/// Connections kept for the next call; a process has a handful of blocking queries open and little else.
const IDLE_CONNECTIONS: usize = 2;
/// What an error repeats of Consul's words.
const MAX_MESSAGE: usize = 300;

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Where Consul is.
    pub address: ConsulAddress,
    /// Who asks.
    pub token: Token,
    /// Certificates that Consul's own must descend from.
    pub authority: Authority,
}

/// Who vouches for Consul's certificate.
#[derive(Debug, Clone, Default)]
pub enum Authority {
    /// Whoever the system trusts.
    #[default]
    System,
    /// The certificates (PEM) in this file, which is read for each call: it may be exchanged at any time.
    File(PathBuf),
    /// These certificates (PEM).
    Given(Vec<u8>),
}

impl ClientOptions {
    /// Makes sure that the files that are named can be used.
    pub fn check_files(&self) -> Result<(), Error> {
        self.token()?;
        self.trusted()?.map_or(Ok(()), |pem| self.certificates(&pem).map(drop))
    }

    /// Whether no file has to be read for a call.
    fn is_fixed(&self) -> bool {
        !matches!(self.authority, Authority::File(_)) && !matches!(self.token, Token::File(_))
    }

    fn token(&self) -> Result<Option<String>, Error> {
        match &self.token {
            Token::Anonymous => Ok(None),
            Token::Given(token) => Ok(Some(token.expose_secret().to_owned())),
            Token::File(path) => files::token(path).map(Some),
        }
    }

    /// The certificates to trust instead of the system's, as they are now.
    fn trusted(&self) -> Result<Option<Vec<u8>>, Error> {
        match &self.authority {
            Authority::System => Ok(None),
            Authority::File(path) => files::read(path, files::AUTHORITY).map(Some),
            Authority::Given(pem) => Ok(Some(pem.clone())),
        }
    }

    fn certificates(&self, pem: &[u8]) -> Result<Vec<Certificate>, Error> {
        let path = match &self.authority {
            Authority::File(path) => path.as_path(),
            Authority::System | Authority::Given(_) => Path::new("what was given"),
        };
        certificates(pem, path)
    }
}

/// An ACL token.
#[derive(Debug, Clone)]
pub enum Token {
    /// None: what Consul allows to anyone.
    Anonymous,
    /// This one.
    Given(SecretString),
    /// The one in this file, which is read for each call: it may be exchanged at any time.
    File(PathBuf),
}

/// A value, and the state of Consul that it is of.
#[derive(Debug, Clone)]
pub struct Indexed<T> {
    /// To wait at for the next state.
    pub index: u64,
    /// The value.
    pub value: T,
}

/// A query that is answered when there is something newer, or when its time is up.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// The state that is known; 0 to be answered at once.
    pub index: u64,
    /// The time; Consul adds up to a sixteenth.
    pub time: Duration,
}

impl Wait {
    /// The index to wait at after an answer: one that goes back starts anew, since Consul lost what it knew, and it is
    /// never 0 twice, which would be no waiting at all.
    #[must_use]
    pub fn after(self, answered: u64) -> Self {
        let index = if answered < self.index { 0 } else { answered.max(1) };
        Self { index, ..self }
    }
}

/// Calls Consul. Clones share connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    options: ClientOptions,
    http: Mutex<Option<Connected>>,
}

/// An HTTP client, and the certificates it trusts.
struct Connected {
    trusted: Option<Vec<u8>>,
    http: HttpClient,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

/// An answer, good or bad.
pub(crate) struct Answer {
    pub(crate) status: u16,
    index: Option<u64>,
    body: Vec<u8>,
}

impl Client {
    /// A client; nothing is read or connected to before the first call.
    pub fn new(options: ClientOptions) -> Self {
        Self { shared: Arc::new(Shared { options, http: Mutex::default() }) }
    }

    /// Where it calls.
    pub fn address(&self) -> &ConsulAddress {
        &self.shared.options.address
    }

    /// A call that is answered at once, well or not at all.
    pub(crate) async fn call<E: Endpoint>(&self, endpoint: E) -> Result<(), Error> {
        let request = describe(&endpoint);
        // The library's future is large, and callers hold theirs for as long as they live.
        let answer = Box::pin(self.exchange(endpoint, None, CALL_LIMIT)).await?;
        Self::well(&request, &answer)
    }

    /// A query, perhaps with a wait.
    pub(crate) async fn query<E: Endpoint>(
        &self,
        endpoint: E,
        filter: Option<String>,
        wait: Option<Wait>,
    ) -> Result<Answer, Error> {
        let blocking =
            wait.map(|wait| Blocking { index: wait.index, wait: Some(format!("{}ms", wait.time.as_millis())) });
        let features = Features { blocking, filter, ..Features::default() };
        let waits =
            wait.filter(|wait| wait.index > 0).map_or(Duration::ZERO, |wait| wait.time + wait.time / WAIT_JITTER);
        self.exchange(endpoint, Some(features), waits + CALL_LIMIT).await
    }

    async fn exchange<E: Endpoint>(
        &self,
        endpoint: E,
        features: Option<Features>,
        limit: Duration,
    ) -> Result<Answer, Error> {
        let request = describe(&endpoint);
        let (token, http) = self.prepare().await?;
        let middleware = EndpointMiddleware { features, token, version: "v1".to_owned() };
        let transport = Transport { base: self.address().as_str(), http };
        let endpoint = endpoint.with_middleware(&middleware);
        // consulrs and rustify tell each call in several lines of info and errors in others, and unwrap what they parse.
        let call = AssertUnwindSafe(endpoint.exec(&transport)).catch_unwind().with_subscriber(Dispatch::none());
        match timeout(limit, call).await {
            Ok(Ok(Ok(result))) => Ok(read(&result)),
            Ok(Ok(Err(error))) => Err(self.no_answer(request, error)),
            Ok(Err(panic)) => Err(Error::Panicked { request, message: message_of(panic.as_ref()) }),
            Err(_elapsed) => Err(Error::TimedOut { address: self.address().to_string(), request, limit }),
        }
    }

    /// Reads the files that are named, and makes an HTTP client if need be: a thread's work, since reading may block and
    /// the system's certificates take 40 ms.
    async fn prepare(&self) -> Result<(Option<String>, HttpClient), Error> {
        let client = self.clone();
        let prepare = move || {
            let token = client.shared.options.token()?;
            let http = client.http(client.shared.options.trusted()?)?;
            Ok((token, http))
        };
        if !self.shared.options.is_fixed() || self.connected().is_none() {
            return tokio::task::spawn_blocking(prepare).await.map_err(|error| Error::Client(Box::new(error)))?;
        }
        prepare()
    }

    fn no_answer(&self, request: String, error: ClientError) -> Error {
        let address = self.address().to_string();
        let ClientError::GenericError { source } = error else { return Error::Client(Box::new(error)) };
        match source.downcast::<NoAnswer>() {
            // What answers speaks no HTTP.
            Ok(NoAnswer::Http(error)) if speaks_otherwise(&error) => {
                Error::NotConsul { address, request, source: None }
            }
            Ok(NoAnswer::Http(source)) if source.is_builder() => Error::Client(Box::new(source)),
            Ok(NoAnswer::Http(source)) => Error::Unreachable { address, source },
            Ok(NoAnswer::TooLarge) => Error::TooLarge { request, limit: MAX_ANSWER },
            Ok(error @ NoAnswer::Malformed(_)) => Error::Client(Box::new(error)),
            Err(other) => Error::Client(other.into()),
        }
    }

    /// What a bad answer means.
    pub(crate) fn well(request: &str, answer: &Answer) -> Result<(), Error> {
        let request = || request.to_owned();
        match answer.status {
            200..=299 => Ok(()),
            403 => Err(Error::Denied { request: request(), message: answer.message() }),
            404 => Err(Error::NotFound { request: request() }),
            status => Err(Error::Failed { request: request(), status, message: answer.message() }),
        }
    }

    /// The value of a good answer.
    pub(crate) fn value<T: serde::de::DeserializeOwned>(
        &self,
        request: &str,
        answer: &Answer,
    ) -> Result<Indexed<T>, Error> {
        Self::well(request, answer)?;
        match (serde_json::from_slice(&answer.body), answer.index) {
            (Ok(value), Some(index)) => Ok(Indexed { index, value }),
            (value, _) => Err(self.not_consul(request, value.err())),
        }
    }

    /// The index of an answer without a value.
    pub(crate) fn index(&self, request: &str, answer: &Answer) -> Result<u64, Error> {
        answer.index.ok_or_else(|| self.not_consul(request, None))
    }

    fn not_consul(&self, request: &str, source: Option<serde_json::Error>) -> Error {
        Error::NotConsul { address: self.address().to_string(), request: request.to_owned(), source }
    }

    /// The HTTP client, made anew when the certificates it is to trust are others.
    fn http(&self, trusted: Option<Vec<u8>>) -> Result<HttpClient, Error> {
        let mut connected = self.connected();
        if let Some(connected) = &*connected
            && connected.trusted == trusted
        {
            return Ok(connected.http.clone());
        }
        let certificates = match &trusted {
            Some(pem) => self.shared.options.certificates(pem)?,
            None => Vec::new(),
        };
        let http = connect(self.address(), certificates)?;
        *connected = Some(Connected { trusted, http: http.clone() });
        Ok(http)
    }

    fn connected(&self) -> std::sync::MutexGuard<'_, Option<Connected>> {
        // Nothing under this lock can leave it half changed.
        self.shared.http.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn message(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().chars().take(MAX_MESSAGE).collect()
    }
}

/// A request as errors name it, without its query.
pub(crate) fn describe(endpoint: &impl Endpoint) -> String {
    format!("{:?} /v1/{}", endpoint.method(), endpoint.path())
}

fn read<T: serde::de::DeserializeOwned + Send + Sync>(result: &EndpointResult<T>) -> Answer {
    let response = &result.response;
    let index = response.headers().get("X-Consul-Index").and_then(|value| value.to_str().ok()?.parse().ok());
    Answer { status: response.status().as_u16(), index, body: response.body().clone() }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    message.unwrap_or("no message").to_owned()
}

/// Whether there was something, and it was no HTTP.
fn speaks_otherwise(error: &reqwest_consul::Error) -> bool {
    error.is_decode()
        || std::error::Error::source(error).is_some_and(|source| source.to_string().contains("invalid HTTP"))
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<Certificate>, Error> {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if certificates.is_empty() => {
            Err(files::refuse(path, files::AUTHORITY, "there is no certificate in it"))
        }
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(files::refuse(path, files::AUTHORITY, "expected certificates in PEM")),
    }
}

fn connect(address: &ConsulAddress, certificates: Vec<Certificate>) -> Result<HttpClient, Error> {
    let builder = HttpClient::builder()
        .connect_timeout(CONNECT_LIMIT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_only()
        // Consul never redirects, and the token is for nobody else.
        .redirect(redirect::Policy::none())
        // It is in the same network: what the environment says of proxies is for the way out.
        .no_proxy()
        .user_agent(concat!("shop/", env!("CARGO_PKG_VERSION")));
    let builder = if address.is_https() {
        // OpenSSL, which the system keeps up to date, rather than the rustls of reqwest's time.
        let trust_system = certificates.is_empty();
        let builder = builder.use_native_tls().tls_built_in_root_certs(trust_system);
        certificates.into_iter().fold(builder, reqwest_consul::ClientBuilder::add_root_certificate)
    } else {
        // OpenSSL reads the system's certificates in any case, which takes longer than all else a start does.
        builder.use_rustls_tls().tls_built_in_root_certs(false)
    };
    builder.build().map_err(|error| Error::Client(Box::new(error)))
}
