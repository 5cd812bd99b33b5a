//! The election with clocks that stand still until they are moved.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures::FutureExt as _;
use tokio::task::JoinHandle;

use super::*;

/// A Lease, and ways to it that can be cut.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<(u64, Option<Versioned>)>>);

#[derive(Debug, Clone)]
struct Way {
    lease: Shared,
    cut: Arc<AtomicBool>,
}

impl Shared {
    fn way(&self) -> Way {
        Way { lease: self.clone(), cut: Arc::default() }
    }

    fn holder(&self) -> Option<String> {
        self.0.lock().1.as_ref()?.record.holder.clone()
    }
}

impl Way {
    async fn pass(&self) {
        if self.cut.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

impl LeaseStore for Way {
    async fn read(&self) -> Result<Option<Versioned>, Taken> {
        self.pass().await;
        Ok(self.lease.0.lock().1.clone())
    }

    async fn write(&self, version: Option<&str>, record: &LeaseRecord) -> Result<Versioned, Taken> {
        self.pass().await;
        let mut lease = self.lease.0.lock();
        if lease.1.as_ref().map(|lease| lease.version.as_str()) != version {
            return Err(Taken::Conflict);
        }
        lease.0 += 1;
        let written = Versioned { record: record.clone(), version: lease.0.to_string() };
        lease.1 = Some(written.clone());
        Ok(written)
    }
}

/// What an instance does while it leads: it says so.
struct Worker {
    way: Way,
    acts: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

fn instance(lease: &Shared, name: &str) -> Worker {
    let way = lease.way();
    let acts = Arc::<AtomicBool>::default();
    let mut elector = Elector::new(way.clone(), name.to_owned());
    let task = tokio::spawn({
        let acts = Arc::clone(&acts);
        async move {
            loop {
                elector.lead(|| work(Arc::clone(&acts))).await;
            }
        }
    });
    Worker { way, acts, task }
}

async fn work(acts: Arc<AtomicBool>) {
    struct Acts(Arc<AtomicBool>);
    impl Drop for Acts {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Relaxed);
        }
    }
    acts.store(true, Ordering::Relaxed);
    let _acts = Acts(acts);
    pending::<()>().await;
}

impl Worker {
    fn acts(&self) -> bool {
        self.acts.load(Ordering::Relaxed)
    }
}

const STEP: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_off_stops_before_another_begins() {
    let lease = Shared::default();
    let first = instance(&lease, "first");
    sleep(Duration::from_secs(1)).await;
    assert!(first.acts());
    let second = instance(&lease, "second");
    sleep(Duration::from_mins(1)).await;
    assert!(first.acts() && !second.acts(), "it renews");

    first.way.cut.store(true, Ordering::Relaxed);
    let cut = Instant::now();
    let mut stopped = None;
    while !second.acts() {
        assert!(cut.elapsed() < Duration::from_secs(30), "nobody took over");
        if !first.acts() {
            stopped.get_or_insert_with(Instant::now);
        }
        assert!(!(first.acts() && second.acts()), "both act");
        sleep(STEP).await;
    }
    let gap = stopped.expect("the first has stopped").elapsed();
    assert!(gap >= Duration::from_secs(2), "{gap:?}");
    assert!(!first.acts());
    assert_eq!(lease.holder().as_deref(), Some("second"));

    first.way.cut.store(false, Ordering::Relaxed);
    sleep(Duration::from_mins(1)).await;
    assert!(!first.acts() && second.acts(), "it does not come back by itself");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_frozen_does_nothing_when_it_wakes() {
    let turns = AtomicUsize::new(0);
    let renewed = Mutex::new(Instant::now());
    let work = poll_fn(|_| {
        turns.fetch_add(1, Ordering::Relaxed);
        Poll::<()>::Pending
    });
    let mut fenced = pin!(fenced(work, &renewed));
    let mut turn = || fenced.as_mut().now_or_never();
    assert_eq!((turn(), turns.load(Ordering::Relaxed)), (None, 1));
    tokio::time::advance(RENEW_DEADLINE / 2).await;
    assert_eq!((turn(), turns.load(Ordering::Relaxed)), (None, 2));
    tokio::time::advance(RENEW_DEADLINE / 2).await;
    assert_eq!((turn(), turns.load(Ordering::Relaxed)), (Some(()), 2));
}

#[tokio::test(start_paused = true)]
async fn one_whose_lease_was_taken_stops_at_once() {
    let lease = Shared::default();
    let first = instance(&lease, "first");
    sleep(Duration::from_secs(1)).await;
    {
        let mut lease = lease.0.lock();
        lease.0 += 1;
        let version = lease.0.to_string();
        let held = lease.1.as_mut().unwrap();
        held.version = version;
        held.record.holder = Some("somebody".to_owned());
    }
    sleep(RETRY + STEP).await;
    assert!(!first.acts());
    // Whoever it is never renews.
    sleep(LEASE_DURATION + RETRY * 2).await;
    assert!(first.acts());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_let_go_is_taken_at_once_and_one_of_a_dead_holder_after_its_time() {
    let lease = Shared::default();
    let mut first = Elector::new(lease.way(), "first".to_owned());
    first.lead(|| async {}).await;
    first.release().await;
    assert_eq!(lease.holder(), None);
    let second = instance(&lease, "second");
    sleep(STEP).await;
    assert!(second.acts());

    second.task.abort();
    let died = Instant::now();
    let third = instance(&lease, "third");
    while !third.acts() {
        assert!(died.elapsed() < LEASE_DURATION + RETRY * 2, "nobody took over");
        sleep(STEP).await;
    }
    assert!(died.elapsed() >= LEASE_DURATION);
}
