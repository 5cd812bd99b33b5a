//! Money that comes in: recorded by staff, or told by the payment provider.
//!
//! A payment of the exact total, in time, pays for the order. Any other is kept as owed back; nothing that came in is
//! ever dropped. A reference applies once.

use sea_orm::DatabaseTransaction;
use shop_storage::clock;
use shop_types::{Instant, Money, Uuid, new_id};

use super::{Error, Orders, saga};
use crate::{
    domain::{
        Actor, Change, Event, Invalid, MAX_AMOUNT, MAX_BODY, Notice, Order, PaymentVerdict, Reference, Viewer,
        beginning_of, judge_payment, reference_of_notice,
    },
    failpoint::Commit,
    store::{
        money::{self, Payment, PaymentOutcome},
        orders,
        revise::{self, Guard, NotRevised, Revision},
        sagas::{self, Holder, Lease},
    },
};

/// The outcome of a notice whose reference is another payment's.
const REFERENCE_REUSED: &str = "reference_reused";

/// A payment as it stands, and its order.
#[derive(Debug)]
pub(crate) struct Paid {
    pub(crate) payment: Payment,
    pub(crate) order: Order,
    /// Whether the same payment had been recorded before.
    pub(crate) replayed: bool,
    /// The step that it began.
    begun: Option<Lease>,
}

/// What became of a notice.
enum Noticed {
    /// Its id was stored before.
    Known,
    Stored {
        outcome: &'static str,
        paid: Option<Box<Paid>>,
    },
}

impl Orders {
    /// Records money that staff saw come in.
    pub(crate) async fn record_payment(
        &self,
        viewer: Viewer,
        id: Uuid,
        reference: Reference,
        amount: Money,
    ) -> Result<Paid, Error> {
        check_size(amount)?;
        let orders = self.clone();
        self.detached("recording a payment", async move {
            let holder = orders.parts.holder;
            let paid = orders
                .commit(Commit::Pay, move |transaction| {
                    let reference = reference.clone();
                    Box::pin(async move {
                        let order = orders::find_and_lock(transaction, id, None).await?.ok_or(Error::UnknownOrder)?;
                        check_currency(&order, amount)?;
                        pay(transaction, order, &reference, amount, viewer.actor(), holder).await
                    })
                })
                .await?;
            orders.announce_payment(&paid);
            Ok(paid)
        })
        .await
    }

    /// Takes a notice of the payment provider, by its signature; true when it was known. Whatever is signed and readable
    /// is stored and acknowledged, also what fits no order: the provider could not do better by trying again.
    pub(crate) async fn receive_notice(&self, body: Vec<u8>, signature: &str) -> Result<bool, Error> {
        if body.len() > MAX_BODY {
            return Err(Error::NoticeTooLarge { max: MAX_BODY });
        }
        // By the database's clock, so that every replica judges alike; asked only for who has the secret.
        let signed = self.parts.webhook_secrets.verify(signature, &body)?;
        signed.check(clock::read(self.parts.database.reader()).await?)?;
        let notice = Notice::parse(&body)?;
        let orders = self.clone();
        self.detached("taking a payment notice", async move {
            let (holder, named) = (orders.parts.holder, notice.clone());
            let noticed = orders
                .commit(Commit::Notice, move |transaction| {
                    Box::pin(take_notice(transaction, notice.clone(), body.clone(), holder))
                })
                .await?;
            let Noticed::Stored { outcome, paid } = noticed else { return Ok(true) };
            orders.metrics.notice(outcome);
            if let Some(paid) = &paid {
                orders.announce_payment(paid);
            }
            if paid.is_none() || outcome == REFERENCE_REUSED {
                tracing::error!(
                    notice.id = named.id.as_str(),
                    notice.outcome = outcome,
                    order.id = %named.order_id,
                    payment.reference = named.reference.as_str(),
                    "a payment notice does not fit; somebody must look at it"
                );
            }
            Ok(false)
        })
        .await
    }

    fn announce_payment(&self, paid: &Paid) {
        if paid.replayed {
            return;
        }
        self.bulletin.announce(paid.order.id);
        self.wake.relay.notify_one();
        if let Some(lease) = paid.begun {
            self.metrics.moved(&paid.order);
            self.spawn_saga(lease, Some(saga::Known::from(&paid.order)));
        }
    }
}

/// Staff that names more than anybody has made a mistake.
fn check_size(amount: Money) -> Result<(), Error> {
    if amount.amount() > MAX_AMOUNT {
        return Err(Invalid::field("/amount/amount", format!("must be at most {MAX_AMOUNT}")).into());
    }
    Ok(())
}

/// Staff that names another currency made a mistake; a provider that does has the money.
fn check_currency(order: &Order, amount: Money) -> Result<(), Error> {
    match order.total.map(Money::currency) {
        Some(currency) if currency != amount.currency() => {
            Err(Invalid::field("/amount/currency", format!("must be {currency}, as the order's total")).into())
        }
        _ => Ok(()),
    }
}

/// Applies money to an order. Nothing is written before the first refusal.
async fn pay(
    transaction: &DatabaseTransaction,
    order: Order,
    reference: &Reference,
    amount: Money,
    actor: Actor,
    holder: Holder,
) -> Result<Paid, Error> {
    if let Some(payment) = money::payment(transaction, reference).await? {
        if payment.order_id != order.id || payment.amount != amount {
            return Err(Error::ReferenceReused);
        }
        return Ok(Paid { payment, order, replayed: true, begun: None });
    }
    let now = clock::read(transaction).await?;
    let id = order.id;
    let in_time = match judge_payment(&order, amount) {
        PaymentVerdict::Nothing => return Err(Error::NothingPaid),
        PaymentVerdict::OwedBack => None,
        PaymentVerdict::Pays => apply(transaction, order.clone(), actor, holder, now).await?,
    };
    let (outcome, order, begun) = match in_time {
        Some((order, begun)) => (PaymentOutcome::Applied, order, Some(begun)),
        None => (PaymentOutcome::RefundDue, keep(transaction, order, amount, actor, now).await?, None),
    };
    let payment = Payment {
        id: new_id(),
        order_id: id,
        reference: reference.as_str().to_owned(),
        amount,
        outcome,
        recorded_at: now,
    };
    if !money::insert_payment(transaction, &payment, actor).await? {
        // The same reference came twice at once; the next attempt finds it.
        return Err(Error::Raced);
    }
    Ok(Paid { payment, order, replayed: false, begun })
}

/// Pays for a reserved order and begins the Commit of its goods; `None` when its time was over by the database's clock.
async fn apply(
    transaction: &DatabaseTransaction,
    order: Order,
    actor: Actor,
    holder: Holder,
    now: Instant,
) -> Result<Option<(Order, Lease)>, Error> {
    let (id, from) = (order.id, order.status);
    let revision = Revision { change: Change::Moved(Event::Pay), actor, reason: None, note: None, at: now };
    // The guard needs the stored `expires_at`, so the row loses it only with the write.
    let paid = match revise::revise(transaction, Order { expires_at: None, ..order }, &revision, Guard::InTime).await {
        Ok(paid) => paid,
        Err(NotRevised::Guarded) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let step = beginning_of(from, Event::Pay).ok_or(Error::Missing("step of a payment"))?;
    let begun = sagas::begin(transaction, id, step, holder).await?.ok_or(Error::Raced)?;
    Ok(Some((paid, begun)))
}

/// Keeps money that does not pay for the order: it is owed back.
async fn keep(
    transaction: &DatabaseTransaction,
    order: Order,
    amount: Money,
    actor: Actor,
    now: Instant,
) -> Result<Order, Error> {
    let order = saga::owe(transaction, order, amount).await?;
    let revision = Revision { change: Change::DueAdded, actor, reason: None, note: None, at: now };
    Ok(revise::revise(transaction, order, &revision, Guard::None).await?)
}

/// Keeps the money of a notice whose reference is another payment's as owed back, under a reference of its own, so that
/// staff finds it.
async fn keep_misfit(transaction: &DatabaseTransaction, order: Order, notice: &Notice) -> Result<Paid, Error> {
    let (id, amount) = (new_id(), notice.amount);
    let now = clock::read(transaction).await?;
    let order = keep(transaction, order, amount, Actor::PaymentProvider, now).await?;
    let payment = Payment {
        id,
        order_id: order.id,
        reference: reference_of_notice(notice.id.as_str(), id),
        amount,
        outcome: PaymentOutcome::RefundDue,
        recorded_at: now,
    };
    if !money::insert_payment(transaction, &payment, Actor::PaymentProvider).await? {
        return Err(Error::Raced);
    }
    Ok(Paid { payment, order, replayed: false, begun: None })
}

/// The transaction of a notice: what it says is applied, and it is kept as it came.
async fn take_notice(
    transaction: &DatabaseTransaction,
    notice: Notice,
    body: Vec<u8>,
    holder: Holder,
) -> Result<Noticed, Error> {
    if money::has_notice(transaction, &notice).await? {
        return Ok(Noticed::Known);
    }
    let (provider, amount) = (Actor::PaymentProvider, notice.amount);
    let applied = match orders::find_and_lock(transaction, notice.order_id, None).await? {
        None => Err(Error::UnknownOrder),
        Some(_) if amount.amount() > MAX_AMOUNT => Err(Error::DueTooLarge),
        Some(order) => match pay(transaction, order.clone(), &notice.reference, amount, provider, holder).await {
            Err(Error::ReferenceReused) if amount.amount() > 0 => keep_misfit(transaction, order, &notice).await,
            applied => applied,
        },
    };
    let (outcome, paid) = match applied {
        Ok(paid) if paid.replayed => ("repeated", Some(Box::new(paid))),
        Ok(paid) if paid.payment.reference != notice.reference.as_str() => (REFERENCE_REUSED, Some(Box::new(paid))),
        Ok(paid) => (paid.payment.outcome.as_str(), Some(Box::new(paid))),
        Err(Error::UnknownOrder) => ("unknown_order", None),
        Err(Error::ReferenceReused) => (REFERENCE_REUSED, None),
        Err(Error::NothingPaid) => ("nothing_paid", None),
        Err(Error::DueTooLarge) => ("amount_too_large", None),
        Err(error) => return Err(error),
    };
    let now = clock::read(transaction).await?;
    if !money::insert_notice(transaction, &notice, &body, outcome, now).await? {
        return Err(Error::Raced);
    }
    Ok(Noticed::Stored { outcome, paid })
}
