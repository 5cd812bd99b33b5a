//! Placing an order.
//!
//! 1. A key that was used leads to its order, if the request is the same.
//! 2. Order, key and first step are written in one transaction, before anything is asked of anyone. The key is unique: of
//!    requests that use it at once, on any replica, one makes an order and the others find it.
//! 3. The saga runs in a task of its own; the request waits on the row.

use aws_lc_rs::digest;
use prost::Message as _;
use shop_proto::order::CreateOrderRequest;
use shop_storage::clock;
use shop_types::{Uuid, new_id};

use super::{Error, MAX_RACES, Orders, Rejection, admission::Admitted, saga, upstream::UserAnswer};
use crate::{
    domain::{
        Change, Destination, IdempotencyKey, Invalid, Item, ItemAnswer, LineRefusal, NewOrder, Order, ShippingAddress,
        Status, Step, Viewer, Violation,
    },
    failpoint::{self, Call, Commit},
    store::{
        keys::{self, BodyHash, UsedKey},
        revise::{self, Revision},
        sagas,
    },
};

/// What the request said, for telling a repeat from another request under the same key: SHA-256 of the message without
/// its key, as encoded by protobuf with its fields in order.
pub(crate) fn body_hash(request: &CreateOrderRequest) -> BodyHash {
    let body = CreateOrderRequest { idempotency_key: String::new(), ..request.clone() }.encode_to_vec();
    let mut hash = BodyHash::default();
    hash.copy_from_slice(digest::digest(&digest::SHA256, &body).as_ref());
    hash
}

impl Orders {
    /// Places an order and waits until it is settled; true when the key had been used before.
    pub(crate) async fn create(
        &self,
        viewer: Viewer,
        request: NewOrder,
        body_hash: BodyHash,
    ) -> Result<(Order, bool), Error> {
        let place = self.admit().await?;
        if let Some(used) = keys::find(self.parts.database.reader(), viewer.user_id, &request.key).await? {
            drop(place);
            return self.repeat(&used, body_hash, &request).await;
        }
        let address = match &request.destination {
            Destination::Address(address) => address.clone(),
            Destination::Book(address_id) => self.address(viewer.user_id, *address_id).await?,
        };
        for _ in 0..MAX_RACES {
            let id = new_id();
            let subscription = self.bulletin.subscribe(id);
            match self.place(viewer, &request, body_hash, address.clone(), id, place.clone()).await {
                Ok(()) => {
                    // Its saga holds the place now.
                    drop(place);
                    let order = self.wait_until_settled(&subscription, true).await?;
                    return answer(id, order, &request, false);
                }
                Err(Error::KeyTaken) => {}
                Err(error) => return Err(error),
            }
            if let Some(used) = keys::find(self.parts.database.reader(), viewer.user_id, &request.key).await? {
                drop(place);
                return self.repeat(&used, body_hash, &request).await;
            }
            self.forget(viewer.user_id, &request.key).await?;
        }
        Err(Error::Raced)
    }

    /// The answer to a key that was used.
    async fn repeat(&self, used: &UsedKey, body_hash: BodyHash, request: &NewOrder) -> Result<(Order, bool), Error> {
        if used.body_hash != body_hash {
            return Err(Error::KeyReused);
        }
        let subscription = self.bulletin.subscribe(used.order_id);
        let order = self.wait_until_settled(&subscription, false).await?;
        answer(used.order_id, order, request, true)
    }

    /// Makes a key that is too old to be remembered free, before it is swept.
    async fn forget(&self, user_id: Uuid, key: &IdempotencyKey) -> Result<(), Error> {
        let old = vec![(user_id, key.as_str().to_owned())];
        self.commit(Commit::Sweep, move |transaction| {
            let old = old.clone();
            Box::pin(async move { Ok(keys::drop_keys(transaction, &old).await?) })
        })
        .await
    }

    /// The snapshot of one of the user's addresses. Nothing is kept yet: a request that fails here uses no key.
    async fn address(&self, user_id: Uuid, address_id: Uuid) -> Result<ShippingAddress, Error> {
        failpoint::before_call(Call::Address);
        let answer = self.parts.upstream.validate_user(user_id, Some(address_id)).await;
        failpoint::after_call(Call::Address);
        match answer? {
            UserAnswer::Good(Some(address)) => Ok(address),
            UserAnswer::Good(None) | UserAnswer::AddressUnknown => {
                Err(Invalid::field("/address_id", "is not one of your addresses").into())
            }
            UserAnswer::Refused => Err(Error::UserNotAllowed),
        }
    }

    /// Writes the order and starts its saga.
    async fn place(
        &self,
        viewer: Viewer,
        request: &NewOrder,
        body_hash: BodyHash,
        address: ShippingAddress,
        id: Uuid,
        place: Admitted,
    ) -> Result<(), Error> {
        let (orders, holder) = (self.clone(), self.parts.holder);
        let (key, lines) = (request.key.clone(), request.merged());
        self.detached("placing an order", async move {
            let (order, lease) = orders
                .commit(Commit::Create, move |transaction| {
                    let (key, lines, address) = (key.clone(), lines.clone(), address.clone());
                    Box::pin(async move {
                        let now = clock::read(transaction).await?;
                        let order = Order {
                            id,
                            user_id: viewer.user_id,
                            status: Status::Pending,
                            items: lines.into_iter().map(|line| Item { line, answer: ItemAnswer::None }).collect(),
                            total: None,
                            address,
                            reason: None,
                            expires_at: None,
                            dues: Vec::new(),
                            version: 1,
                            created_at: now,
                            updated_at: now,
                        };
                        let first = Revision {
                            change: Change::Placed,
                            actor: viewer.actor(),
                            reason: None,
                            note: None,
                            at: now,
                        };
                        revise::insert(transaction, &order, &first).await?;
                        let used = UsedKey { order_id: id, body_hash: body_hash.to_vec() };
                        if !keys::insert(transaction, viewer.user_id, &key, &used, now).await? {
                            return Err(Error::KeyTaken);
                        }
                        let lease = sagas::insert(transaction, id, Step::FIRST, holder, now).await?;
                        Ok((order, lease))
                    })
                })
                .await?;
            orders.wake.relay.notify_one();
            orders.spawn_saga_with(place, lease, Some(saga::Known::from(&order)));
            Ok(())
        })
        .await
    }
}

/// What an order's saga came to, as an answer to the request that placed it; `None` is not yet.
fn answer(order_id: Uuid, order: Option<Order>, request: &NewOrder, replayed: bool) -> Result<(Order, bool), Error> {
    let order = order.ok_or(Error::Pending { order_id })?;
    if order.status == Status::Rejected {
        let violations = violations(&order, request);
        return Err(Error::Rejected(Box::new(Rejection { order, violations, replayed })));
    }
    Ok((order, replayed))
}

/// The refused lines of an order by their place in its request.
fn violations(order: &Order, request: &NewOrder) -> Vec<Violation> {
    let refused = order.items.iter().filter_map(|item| {
        let ItemAnswer::Refused(refusal) = item.answer else { return None };
        let position = request.position_of(item.line.product_id)?;
        Some(match refusal {
            LineRefusal::OutOfStock { available } => Violation {
                pointer: format!("/items/{position}/quantity"),
                detail: format!("{} ordered, {available} available", item.line.quantity),
            },
            LineRefusal::NotOrderable => Violation {
                pointer: format!("/items/{position}/product_id"),
                detail: "is unknown or no longer sold".to_owned(),
            },
        })
    });
    refused.collect()
}

#[cfg(test)]
mod tests {
    use shop_proto::order::OrderLine;

    use super::*;

    #[test]
    fn the_hash_is_of_all_but_the_key() {
        let line = |quantity| OrderLine { product_id: "p".to_owned(), quantity };
        let request = |key: &str, items| CreateOrderRequest {
            idempotency_key: key.to_owned(),
            items,
            destination: Some(shop_proto::order::create_order_request::Destination::AddressId("a".to_owned())),
        };
        let hash = body_hash(&request("one", vec![line(1), line(2)]));
        assert_eq!(hash, body_hash(&request("two", vec![line(1), line(2)])));
        assert_ne!(hash, body_hash(&request("one", vec![line(2), line(1)])));
        assert_ne!(hash, body_hash(&request("one", vec![line(3)])));
    }
}
