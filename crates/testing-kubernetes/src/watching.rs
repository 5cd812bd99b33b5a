//! The answer to a watch: a line for each event, some of which are held back.

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Hands on whole lines that are to be kept, until it is told to break off; the client sees the connection end then.
pub(crate) fn lines(
    answer: reqwest::Response,
    broken: CancellationToken,
    keep: impl FnMut(&Value) -> bool + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    let state = (answer, BytesMut::new(), broken, keep);
    stream::unfold(Some(state), async |state| {
        let (mut answer, mut read, broken, mut keep) = state?;
        loop {
            if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                let line = read.split_to(end + 1).freeze();
                if serde_json::from_slice(&line).is_ok_and(|event| keep(&event)) {
                    return Some((Ok(line), Some((answer, read, broken, keep))));
                }
                continue;
            }
            match broken.run_until_cancelled(answer.chunk()).await {
                None => return Some((Err(Broken), None)),
                Some(Ok(Some(bytes))) => read.extend_from_slice(&bytes),
                // The API server ends a watch after some minutes.
                Some(Ok(None) | Err(_)) => return None,
            }
        }
    })
}

/// The proxy broke it off.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the proxy broke it off")
    }
}

impl std::error::Error for Broken {}
