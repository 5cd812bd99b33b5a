//! Leases, the outbox and what is forgotten, on a database of their own.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};
use shop_storage::{Database, StorageError, clock, migrate};
use shop_testing::TestDatabase;
use shop_types::{Instant, Uuid, new_id};

use super::{
    keys::{self, UsedKey},
    orders,
    outbox::{self, Delivery},
    revise::{self, Guard, NotRevised, Revision},
    sagas::{self, Holder, Lease},
};
use crate::{
    domain::{
        Actor, Change, Event, IdempotencyKey, Item, ItemAnswer, Line, Order, ShippingAddress, Status, Step, WrongState,
    },
    migration,
};

const LEASE: Duration = Duration::from_secs(10);

struct Fixture {
    database: Database,
    _own: TestDatabase,
}

/// Runs an expression on a transaction that is committed.
macro_rules! write {
    ($fixture:expr, |$transaction:ident| $body:expr) => {
        $fixture
            .database
            .write(move |$transaction: &DatabaseTransaction| {
                let writing = $body;
                Box::pin(async move { Ok::<_, StorageError>(writing.await) })
            })
            .await
            .unwrap()
    };
}

impl Fixture {
    async fn new() -> Self {
        let own = TestDatabase::new("order").await;
        let database = Database::open("order", &own.options()).await.unwrap();
        migrate::up::<migration::Migrator>(&database, migration::SCHEMA).await.unwrap();
        Self { database, _own: own }
    }

    /// A pending order with its saga and events.
    async fn order(&self) -> (Order, Lease) {
        let now = clock::read(self.database.reader()).await.unwrap();
        let order = order(now);
        let placed = order.clone();
        let lease = write!(self, |transaction| {
            let (order, revision) = (placed.clone(), revision(Change::Placed, now));
            async move {
                revise::insert(transaction, &order, &revision).await.unwrap();
                sagas::insert(transaction, order.id, Step::FIRST, holder(LEASE), now).await.unwrap()
            }
        });
        (order, lease)
    }

    async fn revise(&self, order: &Order, change: Change, guard: Guard) -> Result<Order, NotRevised> {
        let order = order.clone();
        let now = clock::read(self.database.reader()).await.unwrap();
        write!(self, |transaction| {
            let order = order.clone();
            async move { revise::revise(transaction, order, &revision(change, now), guard).await }
        })
    }

    /// Takes what is due.
    async fn claim(&self) -> Vec<Lease> {
        write!(self, |t| sagas::claim(t, 10, holder(LEASE))).unwrap()
    }

    async fn claim_events(&self) -> Vec<Delivery> {
        write!(self, |t| outbox::claim(t, 10, LEASE)).unwrap()
    }

    async fn sql(&self, sql: &'static str) {
        let changed = write!(self, |transaction| transaction.execute_unprepared(sql)).unwrap();
        assert!(changed.rows_affected() > 0, "{sql} changed nothing");
    }
}

fn holder(lease: Duration) -> Holder {
    Holder { owner: new_id(), lease }
}

fn revision(change: Change, at: Instant) -> Revision {
    Revision { change, actor: Actor::Order, reason: None, note: None, at }
}

fn order(now: Instant) -> Order {
    let address = ShippingAddress {
        recipient: "Ada".into(),
        line1: "1".into(),
        line2: None,
        city: "Berlin".into(),
        region: None,
        postal_code: "1".into(),
        country: "DE".into(),
    };
    Order {
        id: new_id(),
        user_id: new_id(),
        status: Status::Pending,
        items: vec![Item { line: Line { product_id: new_id(), quantity: 1 }, answer: ItemAnswer::None }],
        total: None,
        address,
        reason: None,
        expires_at: None,
        dues: Vec::new(),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

#[tokio::test]
async fn a_stored_order_reads_back() {
    let fixture = Fixture::new().await;
    let (order, _) = fixture.order().await;
    let reader = fixture.database.reader();
    assert_eq!(orders::find(reader, order.id, None).await.unwrap(), Some(order.clone()));
    assert_eq!(orders::find(reader, order.id, Some(order.user_id)).await.unwrap(), Some(order.clone()));
    assert_eq!(orders::find(reader, order.id, Some(Uuid::nil())).await.unwrap(), None);
}

#[tokio::test]
async fn a_version_is_written_once_and_only_along_an_edge() {
    let fixture = Fixture::new().await;
    let (order, _) = fixture.order().await;
    let refused = fixture.revise(&order, Change::Moved(Event::Ship), Guard::None).await;
    let wrong = WrongState { from: Status::Pending, event: Event::Ship };
    assert!(matches!(refused, Err(NotRevised::WrongState(state)) if state == wrong));

    let reserved = fixture.revise(&order, Change::Moved(Event::Reserve), Guard::None).await.unwrap();
    assert_eq!((reserved.status, reserved.version), (Status::Reserved, 2));
    let raced = fixture.revise(&order, Change::Moved(Event::Reject), Guard::None).await;
    assert!(matches!(raced, Err(NotRevised::Raced)), "{raced:?}");
    assert_eq!(orders::find(fixture.database.reader(), order.id, None).await.unwrap(), Some(reserved));
}

#[tokio::test]
async fn a_new_version_leaves_alone_what_never_changes() {
    let fixture = Fixture::new().await;
    // Which columns are written is the same on all, and SQLite alone has triggers without functions or privileges.
    if fixture.database.backend() != DbBackend::Sqlite {
        return;
    }
    let (order, _) = fixture.order().await;
    write!(fixture, |transaction| transaction.execute_unprepared(
        "CREATE TRIGGER fixed BEFORE UPDATE OF id, user_id, address, created_at ON orders
         BEGIN SELECT RAISE(ABORT, 'written'); END"
    ))
    .unwrap();
    fixture.revise(&order, Change::Moved(Event::Reserve), Guard::None).await.unwrap();
}

#[tokio::test]
async fn what_refers_to_an_order_is_found_by_an_index() {
    let fixture = Fixture::new().await;
    let backend = fixture.database.backend();
    let scanned = match backend {
        DbBackend::Sqlite => {
            "SELECT t.name FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f ON f.\"table\" = 'orders'
             WHERE t.type = 'table' AND NOT EXISTS (
                 SELECT 1 FROM pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c
                 ON c.seqno = 0 AND c.name = f.\"from\")"
        }
        DbBackend::Postgres => {
            "SELECT c.conrelid::regclass::text AS name FROM pg_constraint c
             WHERE c.contype = 'f' AND c.confrelid = 'orders'::regclass AND NOT EXISTS (
                 SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])"
        }
        // MySQL makes an index for a foreign key that has none.
        _ => return,
    };
    let tables = fixture.database.reader().query_all_raw(Statement::from_string(backend, scanned)).await.unwrap();
    let tables: Vec<String> = tables.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    assert_eq!(tables, [""; 0]);
}

#[tokio::test]
async fn the_databases_clock_decides_what_is_in_time() {
    let fixture = Fixture::new().await;
    let now = clock::read(fixture.database.reader()).await.unwrap();
    for (expires_at, in_time, overdue) in [(now.plus(LEASE), true, false), (Instant::from_micros(1), false, true)] {
        for (guard, event, passes) in [(Guard::InTime, Event::Pay, in_time), (Guard::Overdue, Event::Expire, overdue)] {
            let (order, _) = fixture.order().await;
            let order = Order { expires_at: Some(expires_at), ..order };
            let reserved = fixture.revise(&order, Change::Moved(Event::Reserve), Guard::None).await.unwrap();
            match fixture.revise(&reserved, Change::Moved(event), guard).await {
                Ok(_) => assert!(passes, "{guard:?}"),
                Err(error) => assert!(!passes && matches!(error, NotRevised::Guarded), "{guard:?} {error}"),
            }
        }
    }
}

#[tokio::test]
async fn whoever_lost_a_lease_changes_nothing() {
    let fixture = Fixture::new().await;
    let (order, first) = fixture.order().await;
    let id = order.id;
    assert_eq!(fixture.claim().await, [], "it is somebody's");

    fixture.sql("UPDATE sagas SET due_at = 1").await;
    assert!(sagas::any_due(fixture.database.reader()).await.unwrap());
    let claimed = fixture.claim().await;
    assert_eq!(claimed, [Lease { epoch: first.epoch + 1, ..first }]);
    let second = claimed[0];
    assert!(!sagas::any_due(fixture.database.reader()).await.unwrap());

    let before = sagas::find(fixture.database.reader(), id).await.unwrap();
    assert_eq!(write!(fixture, |t| sagas::advance(t, first, None, holder(LEASE))).unwrap(), None);
    assert!(!write!(fixture, |t| sagas::postpone(t, first, LEASE)).unwrap());
    assert_eq!(sagas::find(fixture.database.reader(), id).await.unwrap(), before);

    let next = write!(fixture, |t| sagas::advance(t, second, Some(Step::Reserve), holder(LEASE))).unwrap();
    let next = next.unwrap().unwrap();
    assert_eq!((next.step, next.epoch), (Step::Reserve, second.epoch));
    assert_eq!(write!(fixture, |t| sagas::advance(t, second, None, holder(LEASE))).unwrap(), None, "it is done");
    assert!(!write!(fixture, |t| sagas::postpone(t, second, LEASE)).unwrap(), "it is done");
    assert_eq!(write!(fixture, |t| sagas::advance(t, next, None, holder(LEASE))).unwrap(), Some(None));
    assert_eq!(sagas::find(fixture.database.reader(), id).await.unwrap().unwrap().step, None);
}

#[tokio::test]
async fn a_step_begins_only_at_rest() {
    let fixture = Fixture::new().await;
    let (order, lease) = fixture.order().await;
    let id = order.id;
    assert_eq!(write!(fixture, |t| sagas::begin(t, id, Step::Commit, holder(LEASE))).unwrap(), None);
    write!(fixture, |t| sagas::advance(t, lease, None, holder(LEASE))).unwrap().unwrap();
    let begun = write!(fixture, |t| sagas::begin(t, id, Step::Commit, holder(LEASE))).unwrap().unwrap();
    assert_eq!((begun.step, begun.epoch), (Step::Commit, lease.epoch + 1));
}

#[tokio::test]
async fn a_failed_step_is_due_after_its_pause_and_a_cancel_ends_it() {
    let fixture = Fixture::new().await;
    let (order, lease) = fixture.order().await;
    let id = order.id;
    assert!(write!(fixture, |t| sagas::postpone(t, lease, LEASE)).unwrap());
    assert!(!sagas::any_due(fixture.database.reader()).await.unwrap());
    let request =
        sagas::CancelRequest { by: order.user_id, reason: crate::domain::Reason::CancelledByCustomer, note: None };
    let asked = request.clone();
    write!(fixture, |t| {
        let asked = asked.clone();
        async move { sagas::request_cancel(t, id, &asked).await }
    })
    .unwrap();
    let claimed = fixture.claim().await;
    assert_eq!(claimed, [Lease { epoch: lease.epoch + 1, attempts: 1, ..lease }]);
    assert_eq!(sagas::find(fixture.database.reader(), id).await.unwrap().unwrap().cancel, Some(request));
}

#[tokio::test]
async fn a_step_that_fails_after_a_cancel_has_no_pause() {
    for (step, pauses) in [(Step::ValidateUser, false), (Step::Reserve, false), (Step::Release, true)] {
        let fixture = Fixture::new().await;
        let (_, lease) = fixture.order().await;
        let lease = if step == lease.step {
            lease
        } else {
            let next = write!(fixture, |t| sagas::advance(t, lease, Some(step), holder(LEASE))).unwrap();
            next.unwrap().unwrap()
        };
        fixture.sql("UPDATE sagas SET cancel_by = order_id, cancel_reason = 'cancelled_by_customer'").await;
        assert!(write!(fixture, |t| sagas::postpone(t, lease, LEASE)).unwrap());
        assert_eq!(sagas::any_due(fixture.database.reader()).await.unwrap(), !pauses, "{step}");
    }
}

/// In the middle of an upgrade.
#[tokio::test]
async fn steps_that_this_binary_does_not_know_are_left_to_others() {
    let fixture = Fixture::new().await;
    fixture.order().await;
    fixture.sql("UPDATE sagas SET due_at = 1, step = 'insure'").await;
    let reader = fixture.database.reader();
    assert!(!sagas::any_due(reader).await.unwrap());
    assert_eq!(sagas::next_due(reader).await.unwrap(), None);
    let (_, known) = fixture.order().await;
    fixture.sql("UPDATE sagas SET due_at = 1").await;
    assert_eq!(fixture.claim().await, [Lease { epoch: known.epoch + 1, ..known }]);
}

#[tokio::test]
async fn a_step_that_is_given_back_is_due_and_counts_no_attempt() {
    let fixture = Fixture::new().await;
    let (_, lease) = fixture.order().await;
    write!(fixture, |t| sagas::give_back(t, lease)).unwrap();
    assert_eq!(fixture.claim().await, [Lease { epoch: lease.epoch + 1, ..lease }]);
    write!(fixture, |t| sagas::give_back(t, lease)).unwrap();
    assert!(!sagas::any_due(fixture.database.reader()).await.unwrap(), "it is another's");
}

#[tokio::test]
async fn events_leave_in_order_and_none_is_forgotten_at_the_end() {
    let fixture = Fixture::new().await;
    let (order, _) = fixture.order().await;
    let (id, reader) = (order.id, fixture.database.reader());
    let reserved = fixture.revise(&order, Change::Moved(Event::Reserve), Guard::None).await.unwrap();
    let delivery = fixture.claim_events().await[0];
    assert_eq!(fixture.claim_events().await, [], "one at a time");
    for version in [1, 2] {
        assert_eq!(outbox::next(reader, id).await.unwrap().unwrap().version, version);
        assert!(write!(fixture, |t| outbox::sent(t, delivery, version, LEASE)).unwrap());
    }

    // An event that is written after the last look and before the end.
    fixture.revise(&reserved, Change::Moved(Event::Cancel), Guard::None).await.unwrap();
    write!(fixture, |t| outbox::finish(t, delivery)).unwrap();
    let again = fixture.claim_events().await[0];
    assert_eq!(outbox::next(reader, id).await.unwrap().unwrap().version, 3);
    let stale = Delivery { epoch: again.epoch + 1, ..again };
    assert!(!write!(fixture, |t| outbox::sent(t, stale, 3, LEASE)).unwrap());
    assert!(write!(fixture, |t| outbox::sent(t, again, 3, LEASE)).unwrap());
    write!(fixture, |t| outbox::finish(t, again)).unwrap();
    assert!(!outbox::any_due(reader).await.unwrap());
    assert_eq!(outbox::oldest_unsent(reader).await.unwrap(), None);
}

#[tokio::test]
async fn old_events_are_dropped_and_young_ones_stay() {
    let fixture = Fixture::new().await;
    let (old, _) = fixture.order().await;
    fixture.sql("UPDATE outbox SET at = 1").await;
    fixture.order().await;
    let reader = fixture.database.reader();
    assert!(outbox::old(reader, LEASE, false, 10).await.unwrap().is_empty(), "what is unsent is not old by itself");
    let unsent = outbox::old(reader, LEASE, true, 10).await.unwrap();
    assert_eq!(unsent, [(old.id, 1)]);
    write!(fixture, |t| {
        let unsent = unsent.clone();
        async move { outbox::drop_events(t, &unsent).await }
    })
    .unwrap();
    assert!(outbox::next(reader, old.id).await.unwrap().is_none());
    assert_eq!(fixture.claim_events().await.len(), 1, "the delivery went with the last event");
    fixture.sql("UPDATE outbox SET sent_at = 1").await;
    assert_eq!(outbox::old(reader, LEASE, false, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_is_used_once_until_it_is_forgotten() {
    let fixture = Fixture::new().await;
    let (order, _) = fixture.order().await;
    let (id, user_id, reader) = (order.id, order.user_id, fixture.database.reader());
    let key = IdempotencyKey::parse("key-1").unwrap();
    let insert = async || {
        let key = key.clone();
        write!(fixture, |t| {
            let key = key.clone();
            async move {
                let used = UsedKey { order_id: id, body_hash: vec![0; 32] };
                let now = clock::read(t).await.unwrap();
                keys::insert(t, user_id, &key, &used, now).await
            }
        })
        .unwrap()
    };
    assert!(insert().await);
    assert!(!insert().await);
    assert_eq!(keys::find(reader, user_id, &key).await.unwrap().unwrap().order_id, id);
    assert_eq!(keys::find(reader, new_id(), &key).await.unwrap(), None);
    assert!(keys::forgotten(reader, 10).await.unwrap().is_empty());

    fixture.sql("UPDATE idempotency_keys SET created_at = 1").await;
    assert_eq!(keys::find(reader, user_id, &key).await.unwrap(), None);
    let forgotten = keys::forgotten(reader, 10).await.unwrap();
    assert_eq!(forgotten, [(user_id, "key-1".to_owned())]);
    assert!(!insert().await, "one that is not dropped yet is in the way");
    let sweep = async || {
        let swept = forgotten.clone();
        write!(fixture, |t| {
            let swept = swept.clone();
            async move { keys::drop_keys(t, &swept).await }
        })
        .unwrap();
    };
    sweep().await;
    assert!(insert().await);
    sweep().await;
    assert!(keys::find(reader, user_id, &key).await.unwrap().is_some(), "it was used anew");
}
