//! Tells those who wait for an order, in this process, that it changed. A hint only: the database is what counts, and
//! changes by other processes are found by looking again.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use shop_types::Uuid;
use tokio::sync::Notify;

/// Orders somebody waits for. Bounded by the requests in flight.
#[derive(Debug, Default)]
pub(super) struct Bulletin {
    waited_for: Mutex<HashMap<Uuid, Waiters>>,
}

#[derive(Debug, Default)]
struct Waiters {
    count: usize,
    changed: Arc<Notify>,
}

/// A place among those who wait for an order.
#[derive(Debug)]
pub(super) struct Subscription {
    bulletin: Arc<Bulletin>,
    order_id: Uuid,
    changed: Arc<Notify>,
}

impl Bulletin {
    pub(super) fn subscribe(self: &Arc<Self>, order_id: Uuid) -> Subscription {
        let mut waited_for = self.waited_for();
        let waiters = waited_for.entry(order_id).or_default();
        waiters.count += 1;
        Subscription { bulletin: Arc::clone(self), order_id, changed: Arc::clone(&waiters.changed) }
    }

    /// The order changed.
    pub(super) fn announce(&self, order_id: Uuid) {
        if let Some(waiters) = self.waited_for().get(&order_id) {
            waiters.changed.notify_waiters();
        }
    }

    fn waited_for(&self) -> MutexGuard<'_, HashMap<Uuid, Waiters>> {
        // Nothing under this lock can leave it half changed.
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Wakes everyone who asked for `notified()` before a change.
    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Entry::Occupied(mut waiters) = self.bulletin.waited_for().entry(self.order_id) {
            waiters.get_mut().count -= 1;
            if waiters.get().count == 0 {
                waiters.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_who_waits_is_told_and_then_forgotten() {
        let bulletin = Arc::new(Bulletin::default());
        let (one, two) = (bulletin.subscribe(Uuid::nil()), bulletin.subscribe(Uuid::nil()));
        let mut told = [Box::pin(one.changed().notified()), Box::pin(two.changed().notified())];
        for waiting in &mut told {
            waiting.as_mut().enable();
        }
        bulletin.announce(Uuid::max());
        bulletin.announce(Uuid::nil());
        for waiting in told {
            waiting.await;
        }
        drop(one);
        assert_eq!(bulletin.waited_for().len(), 1);
        drop(two);
        assert!(bulletin.waited_for().is_empty());
    }
}
