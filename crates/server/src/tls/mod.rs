//! Mutual TLS between the services: what handshakes are made with, kept up to date with the files.
//!
//! TLS protects the way, it is nobody's identity: who calls is judged by tokens, in `shop-auth`.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Meter},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::throttle::Throttle;

mod failure;
mod material;
mod options;
mod watch;

pub use failure::HandshakeError;
pub use material::TlsError;
pub use options::TlsOptions;

use failure::Failure;
use material::{Contents, Material};

/// Time for a handshake, the wait for its turn included. Peers are in the same cluster and give up after a second.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// Handshakes at once, a signature of some 100 µs each: more than all instances of a shop make when they start together.
const MAX_HANDSHAKES: usize = 1024;
/// The fatal alert of this name, as a record (RFC 8446, sections 5.1 and 6).
const UNEXPECTED_MESSAGE: [u8; 7] = [21, 3, 3, 0, 2, 2, 10];

/// The certificate of this process and the CAs it trusts, as the files hold them now. Clones are the same one.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    material: RwLock<Arc<Material>>,
    connection_age: Duration,
    handshakes: Semaphore,
    failures: Throttle,
    metrics: Metrics,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("connection_age", &self.shared.connection_age).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files, if there are any, and follows them from then on: until the last clone is gone. `serves` is the name
    /// that callers ask for, for a process that they call.
    ///
    /// Must be called on a tokio runtime.
    pub fn load(options: &TlsOptions, serves: Option<&'static str>) -> Result<Option<Self>, TlsError> {
        let Some(files) = options.files() else { return Ok(None) };
        let contents = Contents::read(&files)?;
        let material = Material::new(&contents, &files, serves)?;
        if material.has_expired() {
            tracing::error!("the certificate has expired: peers refuse it until there is a new one");
        }
        let meter = global::meter("shop");
        let shared = Arc::new(Shared {
            material: RwLock::new(Arc::new(material)),
            connection_age: options.tls_connection_age,
            handshakes: Semaphore::new(MAX_HANDSHAKES),
            failures: Throttle::new(),
            metrics: Metrics::new(&meter),
        });
        observe_expiry(&meter, &shared);
        let watch = watch::Watch { files, serves, applied: contents.fingerprint(), shared: Arc::downgrade(&shared) };
        tokio::spawn(watch.run());
        Ok(Some(Self { shared }))
    }

    /// How long a connection may be used.
    pub fn connection_age(&self) -> Duration {
        self.shared.connection_age
    }

    /// Shakes hands with a server that must be this service.
    pub async fn connect<IO>(&self, service: &'static str, io: IO) -> Result<client::TlsStream<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(service).unwrap_or_else(|_| unreachable!("a service's name is a DNS name"));
        let connector = TlsConnector::from(Arc::clone(&self.shared.material().client));
        let connected = timeout(HANDSHAKE_TIMEOUT, connector.connect(name, io)).await;
        connected.map_err(|_elapsed| HandshakeError::timed_out())?.map_err(HandshakeError::in_handshake)
    }

    /// Shakes hands with a client. A failure is logged and counted here: there is nobody else to tell.
    pub(crate) async fn accept<IO>(&self, io: IO) -> Option<server::TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = async {
            // The semaphore is never closed.
            let _turn = self.shared.handshakes.acquire().await;
            let acceptor = TlsAcceptor::from(Arc::clone(&self.shared.material().server));
            acceptor.accept(io).into_fallible().await
        };
        let error = match timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err((error, io))) => {
                let error = HandshakeError::in_handshake(error);
                part(io, &error).await;
                error
            }
            Err(_elapsed) => HandshakeError::timed_out(),
        };
        self.shared.metrics.failed(&error);
        if let Some(unsaid) = self.shared.failures.turn() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                tls.reason = error.reason(),
                tls.unsaid = unsaid,
                "can't agree on TLS with a caller"
            );
        }
        None
    }
}

/// Closes in order, so that the alert which tells the peer why arrives. rustls sends none for bytes that are no TLS at all.
async fn part<IO: AsyncWrite + Unpin>(mut io: IO, error: &HandshakeError) {
    let parted = async {
        if error.failure == Failure::NotTls {
            io.write_all(&UNEXPECTED_MESSAGE).await?;
        }
        io.shutdown().await
    };
    // A peer that is gone needs no telling.
    let _: Result<io::Result<()>, _> = timeout(HANDSHAKE_TIMEOUT, parted).await;
}

impl Shared {
    fn material(&self) -> Arc<Material> {
        // Nothing under this lock can leave it half changed.
        Arc::clone(&self.material.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, material: Material) {
        *self.material.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
    }
}

struct Metrics {
    reloads: Counter<u64>,
    failures: Counter<u64>,
}

impl Metrics {
    fn new(meter: &Meter) -> Self {
        Self {
            reloads: meter
                .u64_counter("shop.tls.reloads")
                .with_description("Changed certificate files that were taken or refused")
                .build(),
            failures: meter
                .u64_counter("shop.tls.handshake.failures")
                .with_description("TLS handshakes with callers that failed")
                .build(),
        }
    }

    fn reloaded(&self, outcome: &'static str) {
        self.reloads.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    fn failed(&self, error: &HandshakeError) {
        self.failures.add(1, &[KeyValue::new("reason", error.reason())]);
    }
}

fn observe_expiry(meter: &Meter, shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    meter
        .f64_observable_gauge("shop.tls.certificate.expiry")
        .with_unit("s")
        .with_description("When the certificate in use expires, in seconds since the epoch")
        .with_callback(move |observer| {
            if let Some(shared) = shared.upgrade() {
                observer.observe(shared.material().not_after.as_secs_f64(), &[]);
            }
        })
        .build();
}
