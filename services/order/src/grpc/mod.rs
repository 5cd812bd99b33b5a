//! `shop.order.v1.OrderService`: convert, call the use case, convert.

mod convert;
mod service;
mod status;

use shop_proto::order::order_service_server::OrderServiceServer;
use tonic::service::Routes;

use crate::app::Orders;

/// The service's routes.
pub(crate) fn routes(orders: Orders) -> Routes {
    Routes::new(OrderServiceServer::new(service::Service { orders }))
}
