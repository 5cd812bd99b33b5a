//! Placing an order.
//!
//! 1. A key that was used leads to its order, if the request is the same.
//! 2. Order, key and first step are written in one transaction, before anything is asked of anyone.
//! 3. The saga runs in a task of its own; the request waits on the row.

use aws_lc_rs::digest;
use prost::Message as _;
use shop_proto::order::CreateOrderRequest;
use shop_storage::clock;
use shop_types::{Uuid, new_id};

use super::{Error, Orders, Rejection, upstream::UserAnswer, wait::Awaited};
use crate::{
    domain::{
        Change, Destination, Invalid, Item, ItemAnswer, LineRefusal, NewOrder, Order, ShippingAddress, Status, Step,
        Viewer, Violation,
    },
    failpoint::{self, Call, Commit},
    store::{
        keys::{self, BodyHash, UsedKey},
        orders,
        revise::{self, Revision},
        sagas::{self, Lease},
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

/// What the transaction that places an order came to.
enum Placed {
    New(Lease),
    /// Another request with the same key was faster.
    Existing(UsedKey),
}

impl Orders {
    /// Places an order and waits until it is settled; true when the key had been used before.
    pub(crate) async fn create(
        &self,
        viewer: Viewer,
        request: NewOrder,
        body_hash: BodyHash,
    ) -> Result<(Order, bool), Error> {
        if let Some(used) = keys::find(self.parts.database.reader(), viewer.user_id, &request.key).await? {
            return self.repeat(&used, body_hash, &request).await;
        }
        let address = match &request.destination {
            Destination::Address(address) => address.clone(),
            Destination::Book(address_id) => self.address(viewer.user_id, *address_id).await?,
        };
        match self.place(viewer, &request, body_hash, address).await? {
            Placed::New(lease) => self.settled(lease.order_id, &request, false).await,
            Placed::Existing(used) => self.repeat(&used, body_hash, &request).await,
        }
    }

    /// The answer to a key that was used.
    async fn repeat(&self, used: &UsedKey, body_hash: BodyHash, request: &NewOrder) -> Result<(Order, bool), Error> {
        if used.body_hash != body_hash {
            return Err(Error::KeyReused);
        }
        self.settled(used.order_id, request, true).await
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
    ) -> Result<Placed, Error> {
        let (orders, holder) = (self.clone(), self.parts.holder);
        let (key, lines) = (request.key.clone(), request.merged());
        self.detached("placing an order", async move {
            let id = new_id();
            let placed = orders
                .commit(Commit::Create, move |transaction| {
                    let (key, lines, address) = (key.clone(), lines.clone(), address.clone());
                    Box::pin(async move {
                        if let Some(used) = keys::find(transaction, viewer.user_id, &key).await? {
                            return Ok(Placed::Existing(used));
                        }
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
                            // The transaction is undone, and the next attempt finds the key.
                            return Err(Error::Raced);
                        }
                        Ok(Placed::New(sagas::insert(transaction, id, Step::FIRST, holder, now).await?))
                    })
                })
                .await?;
            if let Placed::New(lease) = &placed {
                orders.wake.relay.notify_one();
                orders.spawn_saga(*lease);
            }
            Ok(placed)
        })
        .await
    }

    /// Waits for an order's saga and says what it came to.
    async fn settled(&self, order_id: Uuid, request: &NewOrder, replayed: bool) -> Result<(Order, bool), Error> {
        if !self.wait(order_id, Awaited::Settled).await? {
            return Err(Error::Pending { order_id });
        }
        let order = orders::find(self.parts.database.reader(), order_id, None).await?.ok_or(Error::Missing("order"))?;
        if order.status == Status::Rejected {
            let violations = violations(&order, request);
            return Err(Error::Rejected(Box::new(Rejection { order, violations, replayed })));
        }
        Ok((order, replayed))
    }
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
