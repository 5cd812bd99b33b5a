//! `shop.order.v1.OrderService`: convert, call the use case, convert.

mod convert;
mod service;
mod status;

use shop_proto::order::order_service_server::OrderServiceServer;
use tonic::service::Routes;

use crate::app::Orders;

/// The service's routes; `max_message_bytes` bounds what a request decodes to.
pub(crate) fn routes(orders: Orders, max_message_bytes: usize) -> Routes {
    let service = OrderServiceServer::new(service::Service { orders });
    Routes::new(service.max_decoding_message_size(max_message_bytes))
}
