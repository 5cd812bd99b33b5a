//! Tells a sink of every change: the outbox's events as CloudEvents 1.0 in structured JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>), signed like the
//! payment provider's notices.
//!
//! At least once, and in order for each order: an order's events are sent one after the other under a lease, and the
//! next only after the one before was taken. A consumer drops repeats by `id`. What is unsent is found row by row, never
//! by a high-water mark, so an event that was committed late is not missed.

use std::{sync::Arc, time::Duration};

use reqwest::{StatusCode, Url, header::CONTENT_TYPE, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use shop_storage::clock;
use shop_types::{Instant, Uuid};
use tokio::sync::Semaphore;

use super::{Error, Orders, saga, worker};
use crate::{
    domain::SigningKey,
    failpoint::{self, Call, Commit},
    store::outbox::{self, Delivery, StoredEvent},
};

/// Orders whose events are sent at once.
const CONCURRENCY: usize = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause while as many deliveries run as may.
const WHILE_FULL: Duration = Duration::from_millis(50);

/// The way to the sink.
#[derive(Clone)]
pub(crate) struct Relay {
    client: reqwest::Client,
    sink: Url,
    key: SigningKey,
    /// The events' `source`.
    source: Arc<str>,
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the sink can't be reached")]
    Http(#[source] reqwest::Error),
    #[error("the sink answered {0}")]
    Refused(StatusCode),
}

impl Relay {
    /// A relay to `sink`. `shop_uid` makes the events' source unique; `timeout` bounds the sending of one, and must be well
    /// below the lease of a delivery, which each event that was sent extends.
    pub(crate) fn new(
        sink: Url,
        secret: &SecretString,
        shop_uid: &str,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        let source = format!("/shops/{shop_uid}/orders").into();
        Ok(Self { client, sink, key: SigningKey::new(secret.expose_secret()), source })
    }

    /// Sends an event, signed as of `now`.
    async fn send(&self, event: &StoredEvent, now: Instant) -> Result<(), SendError> {
        let body = json!({
            "specversion": "1.0",
            "id": format!("{}.{}", event.order_id, event.version),
            "source": &*self.source,
            "type": event.event_type,
            "subject": event.order_id,
            "time": event.at.to_string(),
            "datacontenttype": "application/json",
            "data": event.data,
        })
        .to_string();
        let signature = self.key.sign(now, body.as_bytes());
        let request = self
            .client
            .post(self.sink.clone())
            .header(CONTENT_TYPE, "application/cloudevents+json; charset=utf-8")
            .header("X-Shop-Signature", signature)
            .body(body);
        // The URL may hold a password.
        let response = request.send().await.map_err(|error| SendError::Http(error.without_url()))?;
        if response.status().is_success() { Ok(()) } else { Err(SendError::Refused(response.status())) }
    }
}

impl Orders {
    pub(super) async fn relay(self, relay: Relay) {
        let stop = self.parts.shutdown.token();
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        worker::turn("relay", stop, &self.wake.relay, || self.take_deliveries(&relay, &permits)).await;
    }

    /// Takes on orders with unsent events, each in a task of its own.
    async fn take_deliveries(&self, relay: &Relay, permits: &Arc<Semaphore>) -> Result<Duration, Error> {
        let free = permits.available_permits();
        if free == 0 {
            return Ok(WHILE_FULL);
        }
        let reader = self.parts.database.reader();
        let lease = self.parts.holder.lease;
        let mut claimed = Vec::new();
        if outbox::any_due(reader).await? {
            claimed = self
                .commit(Commit::RelayClaim, move |transaction| {
                    Box::pin(async move { Ok(outbox::claim(transaction, free as u64, lease).await?) })
                })
                .await?;
        }
        let full = claimed.len() == free;
        for delivery in claimed {
            // Only this worker takes permits, and asked for no more than were free.
            let Ok(permit) = Arc::clone(permits).try_acquire_owned() else { break };
            let (orders, relay) = (self.clone(), relay.clone());
            self.parts.shutdown.spawn("delivery of events", async move {
                orders.deliver_events(&relay, delivery).await;
                drop(permit);
                orders.wake.relay.notify_one();
            });
        }
        if full {
            return Ok(WHILE_FULL);
        }
        let now = clock::read(reader).await?;
        Ok(worker::pause_until(outbox::next_due(reader).await?, now))
    }

    /// Sends an order's events until there is none, or one fails.
    async fn deliver_events(&self, relay: &Relay, mut delivery: Delivery) {
        let result = async {
            while let Some(event) = outbox::next(self.parts.database.reader(), delivery.order_id).await? {
                // The database's, which a consumer that refuses old signatures finds right on every replica.
                let now = clock::read(self.parts.database.reader()).await?;
                failpoint::before_call(Call::Event);
                let sent = relay.send(&event, now).await;
                failpoint::after_call(Call::Event);
                if let Err(error) = sent {
                    self.metrics.event("failed");
                    return self.postpone_delivery(delivery, &error).await;
                }
                self.metrics.event("sent");
                if !self.note_sent(delivery, event.version).await? {
                    return Ok(());
                }
                delivery.attempts = 0;
            }
            self.commit(Commit::RelayFinish, move |transaction| {
                Box::pin(async move { Ok(outbox::finish(transaction, delivery).await?) })
            })
            .await
        };
        if let Err(error) = result.await {
            // The lease runs out, and the order is found due.
            let cause = &error as &dyn std::error::Error;
            tracing::warn!(order.id = %delivery.order_id, error = cause, "the outbox could not be written");
        }
    }

    /// Notes that an event was sent; false when another process has the delivery now.
    async fn note_sent(&self, delivery: Delivery, version: i64) -> Result<bool, Error> {
        let lease = self.parts.holder.lease;
        self.commit(Commit::RelaySent, move |transaction| {
            Box::pin(async move { Ok(outbox::sent(transaction, delivery, version, lease).await?) })
        })
        .await
    }

    async fn postpone_delivery(&self, delivery: Delivery, error: &SendError) -> Result<(), Error> {
        let pause = saga::pause(delivery.attempts, Uuid::new_v4());
        tracing::warn!(
            order.id = %delivery.order_id,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            error = error as &dyn std::error::Error,
            "an event was not taken and will be sent again"
        );
        self.commit(Commit::RelayPostpone, move |transaction| {
            Box::pin(async move { Ok(outbox::postpone(transaction, delivery, pause).await?) })
        })
        .await
    }
}
