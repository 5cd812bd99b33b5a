//! The feed of revocations: told by the use cases, read by this process's own verifier and by every other service.

use std::{sync::Arc, time::Duration};

use shop_auth::Revocations;
use shop_storage::Database;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::{
    domain::{Revocation, Subject},
    store::revocations as stored,
};

/// Revocations in one message, by contract.
const PAGE: u64 = 1_000;
/// How often the table is looked at for what other replicas wrote, and how often a stream says that it lives. The
/// contract asks for two seconds at most; the rest is for a slow network.
const INTERVAL: Duration = Duration::from_secs(1);
/// Streams at once: three services with some dozens of replicas each.
const MAX_STREAMS: usize = 256;
/// Messages a slow reader may have waiting; beyond them the stream waits for it.
const BUFFER: usize = 4;

/// The feed. Clones share it.
#[derive(Clone)]
pub(crate) struct Feed {
    database: Database,
    local: Revocations,
    /// Counts what was told, to wake those that wait.
    told: Arc<watch::Sender<u64>>,
    streams: Arc<Semaphore>,
}

impl Feed {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            local: Revocations::followed(),
            told: Arc::new(watch::Sender::new(0)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }

    /// What this process's verifier judges by.
    pub(crate) fn local(&self) -> Revocations {
        self.local.clone()
    }

    /// Takes in what was just committed here.
    pub(crate) fn tell(&self, revocations: &[Revocation]) {
        if !revocations.is_empty() {
            self.apply(revocations);
            self.told.send_modify(|told| *told += 1);
        }
    }

    fn apply(&self, revocations: &[Revocation]) {
        for revocation in revocations {
            match revocation.subject {
                Subject::Session(id) => self.local.revoke_session(id, revocation.forget_after),
                Subject::User { id, epoch } => self.local.revoke_below_epoch(id, epoch, revocation.forget_after),
            }
        }
    }

    /// Takes in what the table holds after a position; the position reached.
    pub(crate) async fn catch_up(&self, mut position: i64) -> Result<i64, Error> {
        loop {
            let page = stored::after(self.database.reader(), position, PAGE).await?;
            self.apply(&page);
            let Some(last) = page.last() else {
                self.local.heard();
                return Ok(position);
            };
            position = last.position;
        }
    }

    /// Keeps the local revocations current with what other replicas write, until `stop`.
    pub(crate) async fn keep_current(self, mut position: i64, stop: CancellationToken) {
        let work = async {
            loop {
                tokio::time::sleep(INTERVAL).await;
                match self.catch_up(position).await {
                    Ok(reached) => position = reached,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "Revocations can't be read.");
                        // Another server may have taken over, without the last of those that this one had.
                        position = 0;
                    }
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// A page of revocations after a position, and whether more follow.
    pub(crate) async fn list(&self, position: i64) -> Result<(Vec<Revocation>, bool), Error> {
        let mut page = stored::after(self.database.reader(), position, PAGE + 1).await?;
        let limit = usize::try_from(PAGE).unwrap_or(usize::MAX);
        let more = page.len() > limit;
        page.truncate(limit);
        Ok((page, more))
    }

    /// Revocations after a position and from then on as they happen, with an empty message when nothing happened for a
    /// second. Ends with `stop`, with its reader, or after an error.
    pub(crate) fn watch(
        &self,
        position: i64,
        stop: CancellationToken,
    ) -> Result<mpsc::Receiver<Result<Vec<Revocation>, Error>>, Error> {
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        let feed = self.clone();
        tokio::spawn(async move {
            stop.run_until_cancelled(feed.send_to(&sender, position)).await;
            drop(place);
        });
        Ok(receiver)
    }

    async fn send_to(&self, reader: &mpsc::Sender<Result<Vec<Revocation>, Error>>, mut position: i64) {
        let mut told = self.told.subscribe();
        loop {
            // What is told from here on wakes the wait below, also if this page has it already.
            told.mark_unchanged();
            let page = stored::after(self.database.reader(), position, PAGE).await.map_err(Error::from);
            let failed = page.is_err();
            let reached = page.as_ref().ok().and_then(|page| page.last()).map(|last| last.position);
            let full = page.as_ref().is_ok_and(|page| u64::try_from(page.len()).is_ok_and(|len| len >= PAGE));
            if reader.send(page).await.is_err() || failed {
                return;
            }
            position = reached.unwrap_or(position);
            if !full {
                tokio::select! {
                    _ = told.changed() => {}
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = reader.closed() => return,
                }
            }
        }
    }
}
