//! Requests and what comes back.

use std::{net::SocketAddr, sync::LazyLock};

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A client of the gateway, signed in or not.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: SocketAddr,
    token: Option<String>,
    documented: bool,
}

/// A response, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    pub text: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            address,
            token: None,
            documented: true,
        }
    }

    pub(crate) fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// For answers that the stand-in gives and the real services would not: their statuses need not be in the document.
    pub(crate) fn undocumented(&self) -> Self {
        Self { documented: false, ..self.clone() }
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// A request to a path below `/api/v1`, or to one that begins with two slashes as it is.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path =
            path.strip_prefix('/').filter(|path| path.starts_with('/')).map_or(format!("/api/v1{path}"), str::to_owned);
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, url) = (request.method().as_str().to_lowercase(), request.url().clone());
        let response = self.http.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if self.documented {
            assert_documented(&method, url.path(), status);
        }
        let bytes = response.bytes().await.unwrap().to_vec();
        Answer { status, headers, text: String::from_utf8_lossy(&bytes).into_owned(), bytes }
    }

    /// A connection to write to as one likes.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// Bytes that no well-behaved client sends; the head of the answer, or all of it if the server closes.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Every status of an operation is in the document, so that the document can be relied on.
fn assert_documented(method: &str, path: &str, status: u16) {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&shop_gateway::openapi::text()).unwrap());
    let fits = |template: &&String| {
        let mut parts = template.split('/').zip(path.split('/'));
        template.split('/').count() == path.split('/').count()
            && parts.all(|(named, given)| named == given || named.starts_with('{') && !given.is_empty())
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let candidates = paths.keys().filter(fits);
    let Some(template) = candidates.min_by_key(|template| template.matches('{').count()) else { return };
    if let Some(operation) = paths[template].get(method) {
        let documented = operation["responses"].get(status.to_string()).is_some();
        assert!(documented, "{method} {template} answered {status}, which the document does not say");
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The document of a failure, which must be one with this status and code, and whole.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["type"], format!("/problems/{}", code.to_lowercase().replace('_', "-")));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["trace_id"].as_str().map(str::len), Some(32), "{problem}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        for member in ["title", "detail", "instance"] {
            assert!(!problem[member].as_str().unwrap().is_empty(), "{member} of {problem}");
        }
        assert!(problem["errors"].is_array(), "{problem}");
        problem
    }
}
