//! One request through the gateway's Service, as a client would make it.

use std::time::Duration;

use http::{Request, StatusCode, header::HOST};
use http_body_util::Empty;
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// What is asked for: it goes through the gateway to product and its database.
const PATH: &str = "/api/v1/products?limit=1";
/// What it may take: a healthy shop answers in milliseconds.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks the gateway at `host:port`. In maintenance it is to answer that it is.
pub(super) async fn probe(address: &str, maintenance: bool) -> Result<(), String> {
    let wanted = if maintenance { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    match timeout(LIMIT, status(address)).await {
        Ok(Ok(status)) if status == wanted => Ok(()),
        Ok(Ok(status)) => Err(format!("GET http://{address}{PATH} was answered with {status} instead of {wanted}")),
        Ok(Err(error)) => Err(format!("GET http://{address}{PATH} failed: {error}")),
        Err(_elapsed) => Err(format!("GET http://{address}{PATH} was not answered within {LIMIT:?}")),
    }
}

async fn status(address: &str) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(PATH).header(HOST, address).body(Empty::<Bytes>::new())?;
    tokio::select! {
        response = sender.send_request(request) => Ok(response?.status()),
        // It ends before the answer only with an error.
        ended = connection => Err(ended.err().map_or_else(|| "the connection was closed".into(), Into::into)),
    }
}
