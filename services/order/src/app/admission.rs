//! How many orders are placed at once. More than can be placed in time would all be late together: each would hold up the
//! others at the database, be repeated by its client, and come to nothing again. Who finds no place soon is refused
//! before anything is read or written, which costs next to nothing.

use std::{sync::Arc, time::Duration};

use tokio::{sync::OwnedSemaphorePermit, time};

use super::{Error, Orders};

/// Orders on their way from the first look at their key to the rest of their saga. At some 20 ms each that is thousands a
/// second; on a machine that does ten a second, all of them are answered within their deadline.
pub(super) const MAX_PLACING: usize = 64;
/// The longest wait for a place: a tenth of a request's time, so that what is let in has the rest.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A place among the orders that are being placed. It is free again when all clones of it are dropped.
#[derive(Clone)]
pub(super) struct Admitted(#[expect(dead_code, reason = "held for its drop")] Arc<OwnedSemaphorePermit>);

impl Orders {
    /// A place, as soon as one is free.
    pub(super) async fn admit(&self) -> Result<Admitted, Error> {
        match time::timeout(LONGEST_WAIT, Arc::clone(&self.placing_permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Admitted(Arc::new(permit))),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Error::Overloaded("orders are being placed")),
        }
    }
}
