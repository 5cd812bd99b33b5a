//! The contracts' services: convert the request, call the use case, convert the answer. No rule of the shop lives here.

mod catalogue;
mod categories;
mod convert;
mod reservations;
mod status;

use shop_proto::product::{
    category_service_server::CategoryServiceServer, product_service_server::ProductServiceServer,
    reservation_service_server::ReservationServiceServer,
};
use shop_storage::{Database, page::CursorKey};
use shop_types::Currency;
use tonic::service::Routes;

use crate::app::{Catalogue, Categories, Inventory, Reservations};

/// The services over one database, which read messages of that many bytes at most.
pub(crate) fn routes(database: &Database, cursors: CursorKey, currency: Currency, max_message_bytes: usize) -> Routes {
    let categories = categories::Categories { categories: Categories::new(database.clone(), cursors.clone()) };
    let products = catalogue::Products {
        catalogue: Catalogue::new(database.clone(), cursors, currency),
        inventory: Inventory::new(database.clone()),
    };
    let holds = reservations::Holds { reservations: Reservations::new(database.clone()) };
    let categories = CategoryServiceServer::new(categories).max_decoding_message_size(max_message_bytes);
    let products = ProductServiceServer::new(products).max_decoding_message_size(max_message_bytes);
    let holds = ReservationServiceServer::new(holds).max_decoding_message_size(max_message_bytes);
    Routes::new(products).add_service(categories).add_service(holds)
}
