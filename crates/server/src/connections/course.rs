//! The course of one connection, from the first byte to an end in order.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use hyper_util::server::graceful::GracefulConnection;
use tokio_util::sync::CancellationToken;

use super::opening::Heard;

/// A peer that has connected when its server leaves gets this long for its first word: a request may be on its way, and
/// nobody else will answer it. One that says nothing loses nothing.
const FIRST_WORD: Duration = Duration::from_secs(1);

/// Serves until the peer has enough, or from `leaving` on until it has what it asked for.
pub(crate) async fn run<C>(connection: C, heard: Heard, leaving: CancellationToken)
where
    C: GracefulConnection,
    C::Error: fmt::Display,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = leaving.cancelled() => match first_word(connection.as_mut(), &heard).await {
            FirstWord::Said => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            FirstWord::Ended(ended) => ended,
            FirstWord::None => return,
        }
    };
    if let Err(error) = ended {
        heard.log_misunderstanding();
        tracing::debug!(error = %error, "a connection ended badly");
    }
}

enum FirstWord<E> {
    Said,
    None,
    Ended(Result<(), E>),
}

async fn first_word<C: GracefulConnection>(mut connection: Pin<&mut C>, heard: &Heard) -> FirstWord<C::Error> {
    let said = poll_fn(|context| {
        if heard.anything() {
            return Poll::Ready(FirstWord::Said);
        }
        let polled = connection.as_mut().poll(context);
        if let Poll::Ready(ended) = polled {
            return Poll::Ready(FirstWord::Ended(ended));
        }
        if heard.anything() { Poll::Ready(FirstWord::Said) } else { Poll::Pending }
    });
    tokio::time::timeout(FIRST_WORD, said).await.unwrap_or(FirstWord::None)
}
