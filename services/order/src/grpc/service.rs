//! The methods.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use shop_auth::caller;
use shop_proto::order::{self as proto, order_service_server::OrderService};
use shop_types::Uuid;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Extensions, Request, Response, Status, async_trait};

use super::{
    convert::{self, raw_destination},
    status::status,
};
use crate::{
    app::{Error, ListQuery, Orders, RefundRequest, body_hash},
    domain::{NewOrder, Viewer, parse_note},
};

pub(super) struct Service {
    pub(super) orders: Orders,
}

/// Who asks. The access layer lets only users through.
fn viewer(extensions: &Extensions) -> Result<Viewer, Status> {
    let caller = caller(extensions);
    let is_staff = caller.is_staff();
    caller.user().map(|user| Viewer { user_id: user.user_id, is_staff }).ok_or_else(|| status(Error::NoUser))
}

/// What can't be an id is nobody's.
fn order_id(text: &str) -> Result<Uuid, Status> {
    Uuid::try_parse(text).map_err(|_| status(Error::UnknownOrder))
}

#[async_trait]
impl OrderService for Service {
    async fn create_order(
        &self,
        request: Request<proto::CreateOrderRequest>,
    ) -> Result<Response<proto::CreateOrderResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let request = request.into_inner();
        let lines = request.items.iter().map(|line| (line.product_id.as_str(), line.quantity));
        let destination = request.destination.as_ref().map(raw_destination);
        let new = NewOrder::parse(&request.idempotency_key, lines, destination).map_err(status)?;
        let (order, replayed) = self.orders.create(viewer, new, body_hash(&request)).await.map_err(status)?;
        Ok(Response::new(proto::CreateOrderResponse { order: Some(order.into()), replayed }))
    }

    async fn get_order(
        &self,
        request: Request<proto::GetOrderRequest>,
    ) -> Result<Response<proto::GetOrderResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let id = order_id(&request.into_inner().order_id)?;
        let order = self.orders.get(viewer, id).await.map_err(status)?;
        Ok(Response::new(proto::GetOrderResponse { order: Some(order.into()) }))
    }

    async fn list_orders(
        &self,
        request: Request<proto::ListOrdersRequest>,
    ) -> Result<Response<proto::ListOrdersResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let request = request.into_inner();
        let query = ListQuery {
            status: convert::status(request.status).map_err(status)?,
            user_id: &request.user_id,
            refund_due: request.refund_due,
            limit: request.limit,
            cursor: &request.cursor,
        };
        let page = self.orders.list(viewer, &query).await.map_err(status)?;
        Ok(Response::new(proto::ListOrdersResponse {
            orders: page.items.into_iter().map(Into::into).collect(),
            next_cursor: page.next_cursor.unwrap_or_default(),
        }))
    }

    async fn list_order_history(
        &self,
        request: Request<proto::ListOrderHistoryRequest>,
    ) -> Result<Response<proto::ListOrderHistoryResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let proto::ListOrderHistoryRequest { order_id: id, limit, cursor } = request.into_inner();
        let page = self.orders.history(viewer, order_id(&id)?, limit, &cursor).await.map_err(status)?;
        Ok(Response::new(proto::ListOrderHistoryResponse {
            entries: page.items.into_iter().map(Into::into).collect(),
            next_cursor: page.next_cursor.unwrap_or_default(),
        }))
    }

    type WatchOrderStream = Pin<Box<dyn Stream<Item = Result<proto::WatchOrderResponse, Status>> + Send>>;

    async fn watch_order(
        &self,
        request: Request<proto::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let viewer = viewer(request.extensions())?;
        let proto::WatchOrderRequest { order_id: id, after_version } = request.into_inner();
        let sightings = self.orders.watch(viewer, order_id(&id)?, after_version).await.map_err(status)?;
        let messages = ReceiverStream::new(sightings).map(|sighting| sighting.map(Into::into).map_err(status));
        Ok(Response::new(Box::pin(messages)))
    }

    async fn cancel_order(
        &self,
        request: Request<proto::CancelOrderRequest>,
    ) -> Result<Response<proto::CancelOrderResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let proto::CancelOrderRequest { order_id: id, note } = request.into_inner();
        let note = parse_note(&note).map_err(status)?;
        let order = self.orders.cancel(viewer, order_id(&id)?, note).await.map_err(status)?;
        Ok(Response::new(proto::CancelOrderResponse { order: Some(order.into()) }))
    }

    async fn record_payment(
        &self,
        request: Request<proto::RecordPaymentRequest>,
    ) -> Result<Response<proto::RecordPaymentResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let proto::RecordPaymentRequest { order_id: id, reference, amount } = request.into_inner();
        let (reference, amount) = convert::reference_and_amount(&reference, amount.as_ref()).map_err(status)?;
        let paid = self.orders.record_payment(viewer, order_id(&id)?, reference, amount).await.map_err(status)?;
        Ok(Response::new(paid.into()))
    }

    async fn receive_payment_webhook(
        &self,
        request: Request<proto::ReceivePaymentWebhookRequest>,
    ) -> Result<Response<proto::ReceivePaymentWebhookResponse>, Status> {
        let proto::ReceivePaymentWebhookRequest { body, signature } = request.into_inner();
        let replayed = self.orders.receive_notice(body, &signature).await.map_err(status)?;
        Ok(Response::new(proto::ReceivePaymentWebhookResponse { replayed }))
    }

    async fn ship_order(
        &self,
        request: Request<proto::ShipOrderRequest>,
    ) -> Result<Response<proto::ShipOrderResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let id = order_id(&request.into_inner().order_id)?;
        let order = self.orders.ship(viewer, id).await.map_err(status)?;
        Ok(Response::new(proto::ShipOrderResponse { order: Some(order.into()) }))
    }

    async fn deliver_order(
        &self,
        request: Request<proto::DeliverOrderRequest>,
    ) -> Result<Response<proto::DeliverOrderResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let id = order_id(&request.into_inner().order_id)?;
        let order = self.orders.deliver(viewer, id).await.map_err(status)?;
        Ok(Response::new(proto::DeliverOrderResponse { order: Some(order.into()) }))
    }

    async fn refund_order(
        &self,
        request: Request<proto::RefundOrderRequest>,
    ) -> Result<Response<proto::RefundOrderResponse>, Status> {
        let viewer = viewer(request.extensions())?;
        let proto::RefundOrderRequest { order_id: id, reference, amount, restock } = request.into_inner();
        let (reference, amount) = convert::reference_and_amount(&reference, amount.as_ref()).map_err(status)?;
        let request = RefundRequest { order_id: order_id(&id)?, reference, amount, restock };
        let refunded = self.orders.refund(viewer, request).await.map_err(status)?;
        Ok(Response::new(refunded.into()))
    }
}
