//! Following the user service's feed of revocations: a stream, and polling where the stream fails.
//!
//! A revocation has to be known here within five seconds, whatever single thing is broken: the stream's heartbeat comes
//! at least every two seconds, so one that is silent for [`MAX_SILENCE`] is given up and a poll follows at once.

use std::time::Duration;

use shop_proto::user::{ListRevocationsRequest, WatchRevocationsRequest, user_service_client::UserServiceClient};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

use super::Revocations;
use crate::{ServiceSigner, SignError, USER_ISSUER};

/// A stream that says nothing for this long is given up: its heartbeat is due every two seconds.
const MAX_SILENCE: Duration = Duration::from_millis(3_500);
/// One poll's deadline.
const POLL_TIMEOUT: Duration = Duration::from_secs(2);
/// The wait between polls, before jitter takes up to half of it away.
const POLL_INTERVAL: Duration = Duration::from_millis(1_500);
/// A stream that never said anything is tried again after polling for this long.
const STREAM_RETRY: Duration = Duration::from_secs(10);
/// The wait before the stream after one that spoke and ended, before jitter takes up to half of it away: a server that
/// ends every stream must not be asked for all there is without a pause.
const STREAM_PAUSE: Duration = Duration::from_secs(1);
/// How often an outage is mentioned in the log.
const WARN_INTERVAL: Duration = Duration::from_secs(30);
/// Revocations in one message, by contract; a message with as many may have more behind it.
const FULL_PAGE: usize = 1_000;

/// Why the feed was interrupted.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("the stream was silent for too long")]
    Silent,
    #[error("the stream ended")]
    Ended,
    #[error("the poll took too long")]
    PollTimeout,
    #[error("no service token")]
    Token(#[source] SignError),
    #[error("the call failed")]
    Call(#[source] Box<Status>),
}

impl From<SignError> for Interrupted {
    fn from(error: SignError) -> Self {
        Self::Token(error)
    }
}

impl From<Status> for Interrupted {
    fn from(status: Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// Keeps `revocations` current until `stop`. Never fails: an outage shows in [`Revocations::age`].
pub async fn follow<T>(
    client: UserServiceClient<T>,
    signer: ServiceSigner,
    revocations: Revocations,
    stop: CancellationToken,
) where
    T: GrpcService<Body> + Send,
    T::Future: Send,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    let mut feed = Feed { client, signer, revocations, warned: None };
    stop.run_until_cancelled(feed.run()).await;
}

struct Feed<T> {
    client: UserServiceClient<T>,
    signer: ServiceSigner,
    revocations: Revocations,
    /// When an outage was last mentioned.
    warned: Option<Instant>,
}

impl<T> Feed<T>
where
    T: GrpcService<Body> + Send,
    T::Future: Send,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    async fn run(&mut self) {
        loop {
            let mut spoke = false;
            let interrupted = self.stream(&mut spoke).await;
            tracing::debug!(
                error = &interrupted as &dyn std::error::Error,
                "The revocation stream was interrupted; polling."
            );
            // A stream that worked is worth trying again soon; one that never did would only delay the polls.
            if spoke {
                self.poll_until(Instant::now()).await;
                sleep(jittered(STREAM_PAUSE)).await;
            } else {
                self.poll_until(Instant::now() + STREAM_RETRY).await;
            }
        }
    }

    /// Reads the stream until it fails. From the beginning: what is not forgotten is little, and positions may have been
    /// set back by a restored database.
    async fn stream(&mut self, spoke: &mut bool) -> Interrupted {
        let attempt = async {
            let mut request = Request::new(WatchRevocationsRequest { after_position: 0 });
            request.metadata_mut().insert("authorization", self.signer.bearer(USER_ISSUER)?);
            let opened = timeout(MAX_SILENCE, self.client.watch_revocations(request)).await;
            let mut stream = opened.map_err(|_| Interrupted::Silent)??.into_inner();
            loop {
                let message = timeout(MAX_SILENCE, stream.message()).await.map_err(|_| Interrupted::Silent)??;
                let message = message.ok_or(Interrupted::Ended)?;
                self.revocations.apply(&message.revocations);
                if message.revocations.len() < FULL_PAGE {
                    self.revocations.heard();
                    *spoke = true;
                }
            }
        };
        let outcome: Result<std::convert::Infallible, Interrupted> = attempt.await;
        match outcome {
            Ok(never) => match never {},
            Err(interrupted) => interrupted,
        }
    }

    /// Polls until `retry_at` has passed and at least one poll has succeeded. Whenever the server was away, from the
    /// beginning: it may have come back with a restored database, whose positions were set back.
    async fn poll_until(&mut self, retry_at: Instant) {
        let mut position = 0;
        loop {
            match timeout(POLL_TIMEOUT, self.poll(position)).await.unwrap_or(Err(Interrupted::PollTimeout)) {
                Ok(_) if Instant::now() >= retry_at => return,
                Ok(reached) => position = reached,
                Err(error) => {
                    position = 0;
                    self.warn(&error);
                }
            }
            sleep(jittered(POLL_INTERVAL)).await;
        }
    }

    fn warn(&mut self, error: &Interrupted) {
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_INTERVAL) {
            self.warned = Some(Instant::now());
            let error = error as &dyn std::error::Error;
            let age_ms = self.revocations.age().map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            tracing::warn!(error, revocations.age_ms = age_ms, "Revocations can't be read.");
        }
    }

    /// Reads what was revoked after a position; the position reached.
    async fn poll(&mut self, mut after_position: i64) -> Result<i64, Interrupted> {
        loop {
            let mut request = Request::new(ListRevocationsRequest { after_position });
            request.metadata_mut().insert("authorization", self.signer.bearer(USER_ISSUER)?);
            let page = self.client.list_revocations(request).await?.into_inner();
            self.revocations.apply(&page.revocations);
            let Some(last) = page.revocations.last() else { break };
            after_position = last.position;
            if !page.more {
                break;
            }
        }
        self.revocations.heard();
        Ok(after_position)
    }
}

/// Between half of `wait` and all of it, so that processes that lost the same server do not return as one.
fn jittered(wait: Duration) -> Duration {
    let random = shop_types::Uuid::new_v4().as_bytes()[0];
    wait.mul_f64(0.5 + f64::from(random) / 512.0)
}
