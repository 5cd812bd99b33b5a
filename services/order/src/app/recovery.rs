//! Takes over steps that are due: those that failed and whose pause is over, and those of a process that died, once its
//! lease is over.

use std::time::Duration;

use futures::future;
use shop_storage::clock;

use super::{Error, Orders, worker};
use crate::{failpoint::Commit, store::sagas};

/// Steps taken over at once: as many as one group of commits takes.
const BATCH: usize = 64;
/// The pause while as many sagas run as may.
const WHILE_FULL: Duration = Duration::from_millis(50);

impl Orders {
    pub(super) async fn recover(self) {
        let stop = self.parts.shutdown.token();
        worker::turn("recovery", stop, &self.wake.recovery, || self.take_over()).await;
    }

    /// Takes over what is due.
    async fn take_over(&self) -> Result<Duration, Error> {
        let free = self.saga_permits.available_permits().min(BATCH);
        if free == 0 {
            return Ok(WHILE_FULL);
        }
        let reader = self.parts.database.reader();
        let due = sagas::due(reader, u64::try_from(free).unwrap_or(u64::MAX)).await?;
        let holder = self.parts.holder;
        let claims = due.iter().map(|&order_id| {
            self.commit(Commit::Claim, move |transaction| {
                Box::pin(async move { Ok(sagas::claim(transaction, order_id, holder).await?) })
            })
        });
        worker::pass_on(future::join_all(claims).await, |lease| {
            if let Some(lease) = lease {
                self.spawn_saga(lease);
            }
        })?;
        if due.len() == free {
            return Ok(Duration::ZERO);
        }
        let now = clock::read(reader).await?;
        Ok(worker::pause_until(sagas::next_due(reader).await?, now))
    }
}
