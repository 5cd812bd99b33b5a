//! Tells those who wait for an order, or watch it, in this process, that it changed. A hint only: the database is what
//! counts, and changes by other processes are found by looking again.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use shop_types::Uuid;
use tokio::sync::Notify;

use crate::domain::Order;

/// Orders somebody waits for. Bounded by the requests in flight and the streams.
#[derive(Debug, Default)]
pub(super) struct Bulletin {
    waited_for: Mutex<HashMap<Uuid, Waiters>>,
}

#[derive(Debug, Default)]
struct Waiters {
    count: usize,
    /// Those of them who are told of changes by other processes too.
    watching: usize,
    /// The version that was last seen by a look at the database.
    version: Option<i64>,
    /// As the saga left it, when this process ran it while somebody waited.
    settled: Option<Arc<Order>>,
    changed: Arc<Notify>,
}

/// A place among those who wait for an order.
#[derive(Debug)]
pub(super) struct Subscription {
    bulletin: Arc<Bulletin>,
    order_id: Uuid,
    watching: bool,
    changed: Arc<Notify>,
}

impl Bulletin {
    /// For a short wait: told of what this process does.
    pub(super) fn subscribe(self: &Arc<Self>, order_id: Uuid) -> Subscription {
        self.enter(order_id, false)
    }

    /// For a long one: told of what anybody does, within a look of [`Bulletin::watched`].
    pub(super) fn watch(self: &Arc<Self>, order_id: Uuid) -> Subscription {
        self.enter(order_id, true)
    }

    fn enter(self: &Arc<Self>, order_id: Uuid, watching: bool) -> Subscription {
        let mut waited_for = self.waited_for();
        let waiters = waited_for.entry(order_id).or_default();
        waiters.count += 1;
        waiters.watching += usize::from(watching);
        Subscription { bulletin: Arc::clone(self), order_id, watching, changed: Arc::clone(&waiters.changed) }
    }

    /// The order changed, to this.
    pub(super) fn announce_as(&self, order: &Arc<Order>) {
        if let Some(waiters) = self.waited_for().get_mut(&order.id) {
            waiters.settled = Some(Arc::clone(order));
            waiters.changed.notify_waiters();
        }
    }

    /// The order changed.
    pub(super) fn announce(&self, order_id: Uuid) {
        if let Some(waiters) = self.waited_for().get(&order_id) {
            waiters.changed.notify_waiters();
        }
    }

    /// The orders whose version is to be looked at now and then.
    pub(super) fn watched(&self) -> Vec<Uuid> {
        self.waited_for().iter().filter(|(_, waiters)| waiters.watching > 0).map(|(order_id, _)| *order_id).collect()
    }

    /// The order has this version. Unless the look before had it too, it changed; before a first look it may have.
    pub(super) fn saw(&self, order_id: Uuid, version: i64) {
        if let Some(waiters) = self.waited_for().get_mut(&order_id)
            && waiters.version.replace(version) != Some(version)
        {
            waiters.changed.notify_waiters();
        }
    }

    fn waited_for(&self) -> MutexGuard<'_, HashMap<Uuid, Waiters>> {
        // Nothing under this lock can leave it half changed.
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    pub(super) fn order_id(&self) -> Uuid {
        self.order_id
    }

    /// The order as its saga left it in this process, at some time since somebody waits for it.
    pub(super) fn settled(&self) -> Option<Arc<Order>> {
        self.bulletin.waited_for().get(&self.order_id).and_then(|waiters| waiters.settled.clone())
    }

    /// Wakes everyone who asked for `notified()` before a change.
    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Entry::Occupied(mut waiters) = self.bulletin.waited_for().entry(self.order_id) {
            waiters.get_mut().count -= 1;
            waiters.get_mut().watching -= usize::from(self.watching);
            if waiters.get().count == 0 {
                waiters.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

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

    #[test]
    fn a_look_tells_what_is_new_to_it() {
        let bulletin = Arc::new(Bulletin::default());
        let waiting = bulletin.subscribe(Uuid::nil());
        assert!(bulletin.watched().is_empty());
        let watching = bulletin.watch(Uuid::nil());
        assert_eq!(bulletin.watched(), [Uuid::nil()]);
        let told = |version| {
            let mut told = Box::pin(watching.changed().notified());
            told.as_mut().enable();
            bulletin.saw(Uuid::nil(), version);
            told.now_or_never().is_some()
        };
        assert_eq!([told(1), told(1), told(3), told(3)], [true, false, true, false]);
        drop(watching);
        assert!(bulletin.watched().is_empty());
        drop(waiting);
        assert!(bulletin.waited_for().is_empty());
    }
}
