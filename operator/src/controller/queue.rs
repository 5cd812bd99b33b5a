//! Which Shop is reconciled when. Pure: time is passed in.
//!
//! A Shop is never worked on twice at once; what happens meanwhile makes it due again. Those that fail wait longer each time,
//! each for itself, so that one that never gets well keeps nobody from being served.

use std::{collections::HashMap, fmt, time::Duration};

use tokio::time::Instant;

/// Shops that are worked on at once: each waits for the network most of the time, and their calls add up on the API server.
const CONCURRENT: usize = 8;
/// What happens together is dealt with together.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two runs for one Shop: its pods change several times a second while they start. A pod that goes has to be out of
/// Consul within two seconds.
const MIN_GAP: Duration = Duration::from_millis(500);
/// Of so many turns one goes to whoever has been due for longest, news or not.
const TURNS: usize = 4;
/// A run that is to follow so soon is the next step of something rather than a look.
const STEP: Duration = Duration::from_secs(2);
/// The first wait after a failure, doubled with each more.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest.
const MAX_BACKOFF: Duration = Duration::from_mins(1);
/// Doublings until the longest is reached.
const MAX_DOUBLINGS: u32 = 6;

/// A Shop's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Look again after this time, whatever happens.
    Again(Duration),
    /// It failed.
    Failed,
    /// There is no such Shop any more.
    Gone,
}

#[derive(Debug, Default)]
struct Entry {
    due: Option<Instant>,
    /// Something happened to it, rather than that it may be time to look.
    news: bool,
    /// What of the Shop itself is a reason to look, as it was last seen.
    seen: Option<u64>,
    running: bool,
    failures: u32,
    finished: Option<Instant>,
}

/// The Shops that are known, and when each is due.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: HashMap<Key, Entry>,
    running: usize,
    turn: usize,
}

impl Queue {
    /// Something happened to a Shop.
    pub(super) fn wake(&mut self, key: Key, now: Instant) {
        self.entries.entry(key.clone()).or_default().news = true;
        self.look(key, now);
    }

    /// A Shop was shown, with what of it is a reason to look. Shown again without a change, as after each status that is
    /// written, it is no news.
    pub(super) fn show(&mut self, key: Key, reason: u64, now: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        entry.news |= entry.seen.replace(reason) != Some(reason);
        self.look(key, now);
    }

    /// It may be time to look at a Shop.
    fn look(&mut self, key: Key, now: Instant) {
        let entry = self.entries.entry(key).or_default();
        let earliest = entry.finished.map_or(now, |finished| finished + MIN_GAP);
        let at = earliest.max(now + SETTLE);
        entry.due = Some(entry.due.map_or(at, |due| due.min(at)));
    }

    /// Something may have happened to any.
    pub(super) fn wake_all(&mut self, now: Instant) {
        for key in self.entries.keys().cloned().collect::<Vec<_>>() {
            self.look(key, now);
        }
    }

    /// Takes the one that has been due for longest, of those with news if there are any: with a thousand Shops a look at all
    /// of them takes minutes, and who changes something does not wait for that.
    pub(super) fn take(&mut self, now: Instant) -> Option<Key> {
        if self.running >= CONCURRENT {
            return None;
        }
        let due = |entry: &Entry| entry.due.filter(|due| !entry.running && *due <= now);
        let by_age = self.turn.is_multiple_of(TURNS);
        let (key, _) = self
            .entries
            .iter()
            .filter_map(|(key, entry)| Some((key.clone(), (!by_age && !entry.news, due(entry)?))))
            .min_by_key(|(_, rank)| *rank)?;
        self.turn = self.turn.wrapping_add(1);
        let entry = self.entries.entry(key.clone()).or_default();
        entry.due = None;
        entry.news = false;
        entry.running = true;
        self.running += 1;
        Some(key)
    }

    /// When the next one is due, if another may run.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self.entries.values().filter(|entry| !entry.running).filter_map(|entry| entry.due);
        waiting.min().filter(|_| self.running < CONCURRENT)
    }

    /// A run ended. `jitter` is from 0 to 1.
    pub(super) fn finish(&mut self, key: &Key, outcome: Outcome, now: Instant, jitter: f64) {
        self.running -= 1;
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.running = false;
        entry.finished = Some(now);
        let woken = entry.due.map(|due| due.max(now + MIN_GAP));
        let next = match outcome {
            Outcome::Again(after) => {
                entry.failures = 0;
                entry.news |= after <= STEP;
                now + spread(after, jitter)
            }
            Outcome::Failed => {
                let backoff = FIRST_BACKOFF * 2_u32.pow(entry.failures.min(MAX_DOUBLINGS));
                entry.failures = entry.failures.saturating_add(1);
                now + spread(backoff.min(MAX_BACKOFF), jitter)
            }
            Outcome::Gone => {
                // One of its name that came meanwhile is another matter.
                match woken {
                    Some(due) => *entry = Entry { due: Some(due), news: true, ..Entry::default() },
                    None => drop(self.entries.remove(key)),
                }
                return;
            }
        };
        entry.due = Some(woken.map_or(next, |woken| woken.min(next)));
    }

    /// How often in a row a Shop has failed.
    pub(super) fn failures(&self, key: &Key) -> u32 {
        self.entries.get(key).map_or(0, |entry| entry.failures)
    }
}

/// A tenth more or less, so that what began together does not stay together.
fn spread(time: Duration, jitter: f64) -> Duration {
    time.mul_f64(0.9 + 0.2 * jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: f64 = 0.5;

    fn key(name: &str) -> Key {
        Key { namespace: "a".to_owned(), name: name.to_owned() }
    }

    fn second(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn what_happens_together_is_one_run_and_what_happens_meanwhile_another() {
        let mut queue = Queue::default();
        let start = Instant::now();
        queue.wake(key("a"), start);
        queue.wake(key("a"), start);
        assert_eq!(queue.take(start), None, "it settles first");
        let now = start + SETTLE;
        assert_eq!(queue.next(), Some(now));
        assert_eq!(queue.take(now), Some(key("a")));
        assert_eq!(queue.take(now), None);
        queue.wake(key("a"), now);
        assert_eq!((queue.take(now + second(1)), queue.next()), (None, None), "it is worked on");
        queue.finish(&key("a"), Outcome::Again(second(300)), now + second(1), CALM);
        assert_eq!(queue.next(), Some(now + second(1) + MIN_GAP));
        assert_eq!(queue.take(now + second(2)), Some(key("a")));
        queue.finish(&key("a"), Outcome::Again(second(300)), now + second(2), CALM);
        assert_eq!(queue.next(), Some(now + second(302)));
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_a_bound_until_one_run_goes_well() {
        let mut queue = Queue::default();
        let mut now = Instant::now();
        queue.wake(key("a"), now);
        now += SETTLE;
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(queue.take(now), Some(key("a")));
            queue.finish(&key("a"), Outcome::Failed, now, CALM);
            let next = queue.next().unwrap();
            waits.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(queue.failures(&key("a")), 9);
        // A change is a reason to look sooner.
        queue.take(now);
        queue.finish(&key("a"), Outcome::Failed, now, CALM);
        queue.wake(key("a"), now);
        now = queue.next().unwrap();
        assert_eq!(queue.take(now), Some(key("a")));
        queue.finish(&key("a"), Outcome::Again(second(300)), now, CALM);
        assert_eq!(queue.failures(&key("a")), 0);
    }

    #[test]
    fn one_that_always_fails_starves_none_and_no_more_than_the_bound_run() {
        let mut queue = Queue::default();
        let start = Instant::now();
        for number in 0..1000 {
            queue.wake(key(&number.to_string()), start);
        }
        let mut now = start + SETTLE;
        let mut first = Vec::new();
        while let Some(key) = queue.take(now) {
            first.push(key);
        }
        assert_eq!((first.len(), queue.next()), (CONCURRENT, None));
        let stuck = first.pop().unwrap();
        for key in first {
            queue.finish(&key, Outcome::Again(second(300)), now, CALM);
        }
        let mut done = CONCURRENT - 1;
        while let Some(key) = queue.take(now) {
            now += Duration::from_millis(1);
            queue.finish(&key, Outcome::Again(second(300)), now, CALM);
            done += 1;
        }
        assert_eq!(done, 999, "all but the one that never ends");
        queue.finish(&stuck, Outcome::Failed, now, CALM);
    }

    #[test]
    fn news_go_first_and_keep_nobody_from_being_looked_at() {
        let mut queue = Queue::default();
        let start = Instant::now();
        for number in 0..100 {
            queue.show(key(&number.to_string()), 1, start);
        }
        let mut now = start + SETTLE;
        while let Some(key) = queue.take(now) {
            queue.finish(&key, Outcome::Again(second(300)), now, CALM);
        }
        // All are to be looked at, one of them since its status was written.
        now += second(1);
        queue.wake_all(now);
        queue.show(key("7"), 1, now);
        let change = now + second(5);
        queue.show(key("50"), 2, change);
        now = change + SETTLE;
        let turns: Vec<_> = (0..CONCURRENT).map_while(|_| queue.take(now)).collect();
        let place = turns.iter().position(|taken| *taken == key("50"));
        assert!(place.is_some_and(|place| place < 2), "{turns:?}");
        // However many news there are, the others get their turns.
        for taken in turns {
            queue.finish(&taken, Outcome::Again(second(300)), now, CALM);
        }
        let mut quiet = 0;
        for round in 0..400_u64 {
            now += MIN_GAP;
            for number in 0..10 {
                queue.wake(key(&format!("busy-{number}")), now);
            }
            now += SETTLE;
            if let Some(taken) = queue.take(now) {
                quiet += usize::from(!taken.name.starts_with("busy"));
                queue.finish(&taken, Outcome::Again(second(3000 + round)), now, CALM);
            }
        }
        assert!(quiet > 80, "{quiet}");
    }

    #[test]
    fn one_that_is_gone_is_forgotten_unless_it_came_again() {
        let mut queue = Queue::default();
        let now = Instant::now();
        queue.wake(key("a"), now);
        queue.take(now + SETTLE);
        queue.wake(key("a"), now + SETTLE);
        queue.finish(&key("a"), Outcome::Gone, now + SETTLE, CALM);
        let again = queue.next().unwrap();
        assert_eq!(queue.take(again), Some(key("a")));
        queue.finish(&key("a"), Outcome::Gone, again, CALM);
        queue.wake_all(again);
        assert_eq!(queue.next(), None);
    }
}
