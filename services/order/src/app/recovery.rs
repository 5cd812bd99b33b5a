//! Takes over steps that are due: those that failed and whose pause is over, and those of a process that died, once its
//! lease is over.

use std::time::Duration;

use shop_storage::clock;

use super::{Error, Orders, worker};
use crate::{failpoint::Commit, store::sagas};

/// Steps taken over at once, in one transaction.
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
        // A look costs the others nothing; most find nothing.
        if sagas::any_due(reader).await? {
            let holder = self.parts.holder;
            let claimed = self
                .commit(Commit::Claim, move |transaction| {
                    Box::pin(async move { Ok(sagas::claim(transaction, free as u64, holder).await?) })
                })
                .await?;
            let full = claimed.len() == free;
            for lease in claimed {
                self.spawn_saga(lease, None);
            }
            if full {
                return Ok(Duration::ZERO);
            }
        }
        let now = clock::read(reader).await?;
        Ok(worker::pause_until(sagas::next_due(reader).await?, now))
    }
}
