//! `shop.product.v1.ReservationService`.

use shop_proto::product::{self as proto, reservation_service_server::ReservationService};
use tonic::{Request, Response, Status, async_trait};

use super::{convert, status::status};
use crate::{
    app::Reservations,
    domain::{Lines, Move},
};

pub(super) struct Holds {
    pub(super) reservations: Reservations,
}

impl Holds {
    async fn make(&self, order_id: &str, movement: Move) -> Result<(), Status> {
        let order_id = convert::id(order_id, "/order_id").map_err(status)?;
        self.reservations.make(order_id, movement).await.map_err(status)
    }
}

#[async_trait]
impl ReservationService for Holds {
    async fn reserve(
        &self,
        request: Request<proto::ReserveRequest>,
    ) -> Result<Response<proto::ReserveResponse>, Status> {
        let request = request.into_inner();
        let order_id = convert::id(&request.order_id, "/order_id").map_err(status)?;
        let lines = Lines::parse(request.lines.iter().map(|line| (line.product_id.as_str(), line.quantity)));
        let hold_until = convert::instant(request.hold_until.as_ref(), "/hold_until").map_err(status)?;
        let answer = self.reservations.reserve(order_id, lines.map_err(status)?, hold_until).await.map_err(status)?;
        Ok(Response::new(answer.into()))
    }

    async fn commit(&self, request: Request<proto::CommitRequest>) -> Result<Response<proto::CommitResponse>, Status> {
        self.make(&request.into_inner().order_id, Move::Commit).await?;
        Ok(Response::new(proto::CommitResponse {}))
    }

    async fn release(
        &self,
        request: Request<proto::ReleaseRequest>,
    ) -> Result<Response<proto::ReleaseResponse>, Status> {
        self.make(&request.into_inner().order_id, Move::Release).await?;
        Ok(Response::new(proto::ReleaseResponse {}))
    }

    async fn r#return(
        &self,
        request: Request<proto::ReturnRequest>,
    ) -> Result<Response<proto::ReturnResponse>, Status> {
        self.make(&request.into_inner().order_id, Move::Return).await?;
        Ok(Response::new(proto::ReturnResponse {}))
    }
}
