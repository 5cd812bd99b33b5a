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
    let mut response = std::pin::pin!(sender.send_request(request));
    let answered = tokio::select! {
        answered = &mut response => answered,
        ended = connection => {
            ended?;
            // It is closed, perhaps with its answer, which then is there already.
            response.await
        }
    };
    Ok(answered?.status())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn answered_with(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let probed = probe(&address, false).await;
        serving.await.unwrap();
        probed
    }

    #[tokio::test]
    async fn an_answer_counts_though_the_connection_ends_with_it() {
        // Which of the two is seen first is chance.
        for _ in 0..50 {
            answered_with("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_an_answer_is_none() {
        let error = answered_with("").await.unwrap_err();
        assert!(error.contains("failed"), "{error}");
    }
}
