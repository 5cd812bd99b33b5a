//! A proxy in front of the API server, for one client, which fails as it is told.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    asked::{Asked, Verb},
    server::{Kubernetes, kubeconfig},
    watching::{self, Broken},
};

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is handed on.
    Pass,
    /// It is handed on after a while.
    Slow(Duration),
    /// It is not handed on, and answered with this status.
    Answer(u16),
    /// It is not handed on, and answered well with this.
    Body(String),
    /// It is carried out, and answered with this status all the same.
    AnswerAfter(u16),
    /// It is not handed on, and its connection is closed.
    Close,
    /// It is carried out, and its connection is closed.
    CloseAfter,
    /// It is not handed on, and never answered.
    Hang,
    /// It is carried out, and never answered.
    HangAfter,
    /// It is not handed on, and answered well with what neither begins nor ends: a connection whose other end is gone.
    Mute,
}

type Rule = Box<dyn FnMut(&Asked) -> Fault + Send>;
type Sieve = Box<dyn FnMut(&Asked, &Value) -> bool + Send>;
type Body = UnsyncBoxBody<Bytes, Broken>;

/// Listens until it is dropped, without TLS.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    folder: TempDir,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    http: reqwest::Client,
    url: String,
    rule: Mutex<Rule>,
    sieve: Mutex<Sieve>,
    asked: Mutex<Vec<Asked>>,
    /// Something was carried out that its client does not hear of.
    carried_out: Notify,
    /// Cancelled, and made anew, to break off what is open.
    open: Mutex<CancellationToken>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Proxy {
    /// In front of this one, faultless until told otherwise.
    pub async fn start(kubernetes: &Kubernetes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            http: kubernetes.http(),
            url: kubernetes.url().to_owned(),
            rule: Mutex::new(Box::new(|_| Fault::Pass)),
            sieve: Mutex::new(Box::new(|_, _| true)),
            asked: Mutex::default(),
            carried_out: Notify::new(),
            open: Mutex::default(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(listen(listener, Arc::clone(&shared), stop.clone())));
        let folder = TempDir::with_prefix("shop-proxy-").unwrap();
        fs::write(folder.path().join("kubeconfig"), kubeconfig(&format!("http://{address}"), None)).unwrap();
        Self { address, folder, shared, _stop: stop.drop_guard() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A configuration of clients that go through it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Decides about each request from now on.
    pub fn rule(&self, rule: impl FnMut(&Asked) -> Fault + Send + 'static) {
        *self.shared.rule.lock() = Box::new(rule);
    }

    /// Decides from now on which events of watches are handed on, by the watch and the event.
    pub fn sieve(&self, keep: impl FnMut(&Asked, &Value) -> bool + Send + 'static) {
        *self.shared.sieve.lock() = Box::new(keep);
    }

    /// Neither fails nor holds back anything from now on.
    pub fn behave(&self) {
        self.rule(|_| Fault::Pass);
        self.sieve(|_, _| true);
    }

    /// Breaks off every watch and every request that is under way.
    pub fn break_off(&self) {
        std::mem::take(&mut *self.shared.open.lock()).cancel();
    }

    /// Lets nothing through any more, and breaks off what is under way.
    pub fn cut(&self) {
        self.rule(|_| Fault::Close);
        self.break_off();
    }

    /// Returns when something was carried out that its client does not hear of.
    pub async fn carried_out(&self) {
        self.shared.carried_out.notified().await;
    }

    /// What was asked so far, in the order in which it came.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// The changes among it.
    pub fn changes(&self) -> Vec<Asked> {
        self.shared.asked.lock().iter().filter(|asked| asked.is_change()).cloned().collect()
    }

    /// Forgets what was asked.
    pub fn forget(&self) {
        self.shared.asked.lock().clear();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(stop.clone().run_until_cancelled_owned(connection(stream, Arc::clone(&shared))));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move {
            let open = shared.open.lock().clone();
            open.run_until_cancelled(shared.answer(request, open.clone())).await.unwrap_or(Err(Broken))
        }
    });
    // Its client went, or the proxy closed it.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        open: CancellationToken,
    ) -> Result<Response<Body>, Broken> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let asked = Asked::of(&parts, &body);
        let fault = (self.rule.lock())(&asked);
        self.asked.lock().push(asked.clone());
        let hand_on = async {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let mut headers = parts.headers.clone();
            headers.remove(header::HOST);
            let call = self.http.request(parts.method.clone(), format!("{}{path}", self.url));
            call.headers(headers).body(body).send().await.map_err(|_| Broken)
        };
        match fault {
            Fault::Pass => {}
            Fault::Slow(delay) => sleep(delay).await,
            Fault::Answer(status) => return Ok(status_of(status)),
            Fault::Body(text) => return Ok(json_of(200, text)),
            Fault::Close => return Err(Broken),
            Fault::Hang => return std::future::pending().await,
            Fault::Mute => return Ok(mute(open)),
            Fault::AnswerAfter(_) | Fault::CloseAfter | Fault::HangAfter => {
                hand_on.await?.bytes().await.map_err(|_| Broken)?;
                self.carried_out.notify_one();
                return match fault {
                    Fault::AnswerAfter(status) => Ok(status_of(status)),
                    Fault::HangAfter => std::future::pending().await,
                    _ => Err(Broken),
                };
            }
        }
        let answer = hand_on.await?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if name != header::TRANSFER_ENCODING && name != header::CONNECTION {
                response = response.header(name, value);
            }
        }
        let body = if asked.verb == Verb::Watch {
            let shared = Arc::clone(self);
            let keep = move |event: &Value| (shared.sieve.lock())(&asked, event);
            StreamBody::new(watching::lines(answer, open, keep).map_ok(Frame::data)).boxed_unsync()
        } else {
            full(answer.bytes().await.map_err(|_| Broken)?)
        };
        Ok(response.body(body).unwrap())
    }
}

/// An answer of which nothing comes until it is broken off.
fn mute(open: CancellationToken) -> Response<Body> {
    let nothing = futures::stream::once(async move {
        open.cancelled().await;
        Err(Broken)
    });
    Response::new(StreamBody::new(nothing).boxed_unsync())
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// What the API server answers when it refuses.
fn status_of(code: u16) -> Response<Body> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": format!("the proxy of the test answers {code}"),
    });
    json_of(code, body.to_string())
}

fn json_of(code: u16, body: String) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .header(header::CONTENT_TYPE, "application/json")
        .body(full(body.into()))
        .unwrap()
}
