//! The calls of the order service as the tests make them.

use std::time::Duration;

use shop_proto::{
    order::{self as proto, OrderStatus},
    status::Refusal,
    types,
};
use shop_types::new_id;

use crate::harness::{BOUND, Person, Shop, answer, create_request, until};

impl Shop {
    pub(crate) async fn create(
        &self,
        person: &Person,
        key: &str,
        items: &[(&str, i64)],
    ) -> Result<proto::CreateOrderResponse, Refusal> {
        self.create_within(person, create_request(key, items), BOUND).await
    }

    pub(crate) async fn create_within(
        &self,
        person: &Person,
        request: proto::CreateOrderRequest,
        timeout: Duration,
    ) -> Result<proto::CreateOrderResponse, Refusal> {
        let mut request = person.says(request);
        request.set_timeout(timeout);
        answer(self.orders.clone().create_order(request).await)
    }

    /// An order that is reserved.
    pub(crate) async fn reserved(&self, person: &Person, items: &[(&str, i64)]) -> proto::Order {
        let order = self.create(person, &new_id().to_string(), items).await.unwrap().order.unwrap();
        assert_eq!(order.status(), OrderStatus::Reserved);
        order
    }

    /// An order that is paid.
    pub(crate) async fn paid(&self, person: &Person, items: &[(&str, i64)]) -> proto::Order {
        let order = self.reserved(person, items).await;
        let paid = self.pay(&order.id, &new_id().to_string(), order.total.unwrap()).await.unwrap();
        assert_eq!(paid.payment.unwrap().outcome(), proto::PaymentOutcome::Applied);
        paid.order.unwrap()
    }

    /// An order that is on its way.
    pub(crate) async fn shipped(&self, person: &Person, items: &[(&str, i64)]) -> proto::Order {
        let order = self.paid(person, items).await;
        self.ship(&order.id).await.unwrap()
    }

    pub(crate) async fn get(&self, person: &Person, id: &str) -> Result<proto::Order, Refusal> {
        let request = person.says(proto::GetOrderRequest { order_id: id.to_owned() });
        answer(self.orders.clone().get_order(request).await).map(|got| got.order.unwrap())
    }

    /// Waits until an order has this status.
    pub(crate) async fn becomes(&self, id: &str, status: OrderStatus) -> proto::Order {
        until("the order's status", async || {
            let order = self.get(&self.staff, id).await.unwrap();
            (order.status() == status).then_some(order)
        })
        .await
    }

    pub(crate) async fn cancel(&self, person: &Person, id: &str) -> Result<proto::Order, Refusal> {
        let request = proto::CancelOrderRequest { order_id: id.to_owned(), note: String::new() };
        answer(self.orders.clone().cancel_order(person.says(request)).await).map(|cancelled| cancelled.order.unwrap())
    }

    pub(crate) async fn pay(
        &self,
        id: &str,
        reference: &str,
        amount: types::Money,
    ) -> Result<proto::RecordPaymentResponse, Refusal> {
        let request = proto::RecordPaymentRequest {
            order_id: id.to_owned(),
            reference: reference.to_owned(),
            amount: Some(amount),
        };
        answer(self.orders.clone().record_payment(self.staff.says(request)).await)
    }

    pub(crate) async fn ship(&self, id: &str) -> Result<proto::Order, Refusal> {
        let request = proto::ShipOrderRequest { order_id: id.to_owned() };
        answer(self.orders.clone().ship_order(self.staff.says(request)).await).map(|shipped| shipped.order.unwrap())
    }

    pub(crate) async fn deliver(&self, id: &str) -> Result<proto::Order, Refusal> {
        let request = proto::DeliverOrderRequest { order_id: id.to_owned() };
        answer(self.orders.clone().deliver_order(self.staff.says(request)).await)
            .map(|delivered| delivered.order.unwrap())
    }

    pub(crate) async fn refund(
        &self,
        id: &str,
        reference: &str,
        amount: types::Money,
        restock: bool,
    ) -> Result<proto::RefundOrderResponse, Refusal> {
        let request = proto::RefundOrderRequest {
            order_id: id.to_owned(),
            reference: reference.to_owned(),
            amount: Some(amount),
            restock,
        };
        answer(self.orders.clone().refund_order(self.staff.says(request)).await)
    }

    /// From and to of each change, and who made it.
    pub(crate) async fn history(&self, id: &str) -> Vec<proto::HistoryEntry> {
        let request = proto::ListOrderHistoryRequest { order_id: id.to_owned(), limit: 100, cursor: String::new() };
        answer(self.orders.clone().list_order_history(self.staff.says(request)).await).unwrap().entries
    }
}
