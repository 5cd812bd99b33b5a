//! The contracts' services: convert the request, call the use case, convert the answer. No rule of the shop lives here.

mod catalogue;
mod convert;
mod reservations;
mod status;

use shop_proto::product::{
    product_service_server::ProductServiceServer, reservation_service_server::ReservationServiceServer,
};
use shop_storage::{Database, page::CursorKey};
use shop_types::Currency;
use tonic::service::Routes;

use crate::app::{Catalogue, Inventory, Reservations};

/// Both services over one database.
pub(crate) fn routes(database: &Database, cursors: CursorKey, currency: Currency) -> Routes {
    let products = catalogue::Products {
        catalogue: Catalogue::new(database.clone(), cursors, currency),
        inventory: Inventory::new(database.clone()),
    };
    let holds = reservations::Holds { reservations: Reservations::new(database.clone()) };
    Routes::new(ProductServiceServer::new(products)).add_service(ReservationServiceServer::new(holds))
}
