//! How rustify's requests get to Consul and its answers back: every answer as it came, up to a bound.

use std::pin::Pin;

use reqwest_consul::Client as HttpClient;
use rustify::{client::Client as RustifyClient, errors::ClientError};
use thiserror::Error;

/// The largest answer that is read. An instance is about 1.5 KiB, and a key's value, at most 512 KiB, is a third more in
/// base64.
pub(crate) const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// What rustify hands on of a request or an answer.
type Request = http_consul::Request<Vec<u8>>;
type Response = http_consul::Response<Vec<u8>>;
type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response, ClientError>> + Send + 'a>>;

/// Why there is no answer; inside a [`ClientError`], which would say only that there is none.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("the request failed")]
    Http(#[source] reqwest_consul::Error),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer can't be put together")]
    Malformed(#[source] http_consul::Error),
}

impl From<NoAnswer> for ClientError {
    fn from(error: NoAnswer) -> Self {
        Self::GenericError { source: error.into() }
    }
}

/// One call's way to Consul.
pub(crate) struct Transport<'a> {
    pub(crate) base: &'a str,
    pub(crate) http: HttpClient,
}

impl Transport<'_> {
    async fn exchange(&self, request: Request) -> Result<Response, ClientError> {
        let request = reqwest_consul::Request::try_from(request).map_err(NoAnswer::Http)?;
        let mut answer = self.http.execute(request).await.map_err(NoAnswer::Http)?;
        let mut response = http_consul::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(NoAnswer::Http)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(NoAnswer::TooLarge.into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(response.body(body).map_err(NoAnswer::Malformed)?)
    }
}

// As `#[async_trait]`, which declared the trait, would write it.
impl RustifyClient for Transport<'_> {
    fn send<'this, 'future>(&'this self, request: Request) -> Sending<'future>
    where
        'this: 'future,
        Self: 'future,
    {
        Box::pin(self.exchange(request))
    }

    /// rustify's own drops the headers of what it takes for failures: a key that is not there is 404, with an index to
    /// wait at.
    fn execute<'this, 'future>(&'this self, request: Request) -> Sending<'future>
    where
        'this: 'future,
        Self: 'future,
    {
        self.send(request)
    }

    fn base(&self) -> &str {
        self.base
    }
}
