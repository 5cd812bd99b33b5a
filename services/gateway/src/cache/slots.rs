//! The table of products: where those who want one meet, and what is kept of it for those who come later.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{Entry, Failure, Key, MAX_AGE};

/// What is kept, in all.
pub(super) const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What came of asking for a product.
pub(super) type Outcome = Result<Arc<Entry>, Failure>;
/// Where those who want a product meet: the first of them asks for all. If it goes away, the next one does.
pub(super) type Slot = Arc<OnceCell<Outcome>>;

#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) by_key: HashMap<Key, Slot>,
    /// Those that have an entry, in the order in which they got it.
    kept: VecDeque<(Key, Arc<Entry>)>,
    /// Of all that are kept.
    pub(super) bytes: usize,
}

impl Slots {
    /// Keeps what the key's slot got, until it is old or there is no room; then the oldest goes first.
    pub(super) fn keep(&mut self, key: Key, entry: Arc<Entry>) {
        self.bytes += entry.size();
        self.kept.push_back((key, entry));
        while let Some((_, oldest)) = self.kept.front()
            && (self.bytes > MAX_BYTES || oldest.asked.elapsed() > MAX_AGE)
            && let Some((key, oldest)) = self.kept.pop_front()
        {
            self.bytes -= oldest.size();
            let is_there = |slot: &Slot| matches!(slot.get(), Some(Ok(entry)) if Arc::ptr_eq(entry, &oldest));
            if self.by_key.get(&key).is_some_and(is_there) {
                self.by_key.remove(&key);
            }
        }
    }
}

/// One who waits at a slot, and the last of whom takes it away if nothing came of it.
pub(super) struct Waiting<'a> {
    pub(super) slots: &'a Mutex<Slots>,
    pub(super) key: &'a Key,
    pub(super) slot: Slot,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut slots = self.slots.lock();
        let slot = mem::take(&mut self.slot);
        let useless = match slot.get() {
            Some(Ok(_)) => false,
            Some(Err(_)) => true,
            // Slots are shared, and left, under the lock alone: nobody is there but the table and this one.
            None => Arc::strong_count(&slot) == 2,
        };
        if useless && slots.by_key.get(self.key).is_some_and(|there| Arc::ptr_eq(there, &slot)) {
            slots.by_key.remove(self.key);
        }
        // Before the lock, which whoever leaves next may wait for.
        drop(slot);
    }
}
