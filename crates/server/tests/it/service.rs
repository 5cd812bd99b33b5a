//! A product service whose `GetProduct` does what the slug says, and a server around it.

use std::{net::SocketAddr, sync::Arc};

use axum::{response::IntoResponse as _, routing::post};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use shop_proto::{
    product::{
        AdjustInventoryRequest, AdjustInventoryResponse, ArchiveProductRequest, ArchiveProductResponse,
        CreateProductRequest, CreateProductResponse, GetAvailabilityRequest, GetAvailabilityResponse,
        GetInventoryRequest, GetInventoryResponse, GetProductRequest, GetProductResponse, ListProductsRequest,
        ListProductsResponse, Product, UpdateProductRequest, UpdateProductResponse,
        get_product_request::Key,
        product_service_client::ProductServiceClient,
        product_service_server::{ProductService, ProductServiceServer},
    },
    status::Refusal,
};
use shop_server::{GrpcServer, Running, ServerOptions, Shutdown, TelemetryOptions, deadline, propagation};
use tokio::sync::Notify;
use tonic::{Request, Response, Status, service::Routes};

use crate::client::{Connection, connect};

pub(crate) const NAME: &str = "product";
pub(crate) const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// What the handlers wait for and tell.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// A `wait` or `hang` began.
    pub(crate) entered: Notify,
    /// Lets a `wait` go on.
    pub(crate) go_on: Notify,
    /// A `hang` was dropped.
    pub(crate) dropped: Notify,
}

struct TellDropped(Arc<Events>);

impl Drop for TellDropped {
    fn drop(&mut self) {
        self.0.dropped.notify_one();
    }
}

struct Fake {
    events: Arc<Events>,
}

#[tonic::async_trait]
impl ProductService for Fake {
    async fn get_product(&self, request: Request<GetProductRequest>) -> Result<Response<GetProductResponse>, Status> {
        let Some(Key::Slug(slug)) = request.into_inner().key else { return Err(Status::invalid_argument("no slug")) };
        let answer = match slug.as_str() {
            "panic" => panic!("the test asked for it"),
            "hang" => {
                let _told = TellDropped(Arc::clone(&self.events));
                self.events.entered.notify_one();
                std::future::pending().await
            }
            "wait" => {
                self.events.entered.notify_one();
                self.events.go_on.notified().await;
                slug
            }
            "trace-id" => propagation::current_trace_id().unwrap_or_default(),
            "time-left" => {
                deadline::current().map(|deadline| deadline.remaining().as_millis().to_string()).unwrap_or_default()
            }
            _ => slug,
        };
        Ok(Response::new(GetProductResponse { product: Some(Product { slug: answer, ..Product::default() }) }))
    }

    async fn list_products(&self, _: Request<ListProductsRequest>) -> Result<Response<ListProductsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn create_product(
        &self,
        _: Request<CreateProductRequest>,
    ) -> Result<Response<CreateProductResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn update_product(
        &self,
        _: Request<UpdateProductRequest>,
    ) -> Result<Response<UpdateProductResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn archive_product(
        &self,
        _: Request<ArchiveProductRequest>,
    ) -> Result<Response<ArchiveProductResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_availability(
        &self,
        _: Request<GetAvailabilityRequest>,
    ) -> Result<Response<GetAvailabilityResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_inventory(&self, _: Request<GetInventoryRequest>) -> Result<Response<GetInventoryResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn adjust_inventory(
        &self,
        _: Request<AdjustInventoryRequest>,
    ) -> Result<Response<AdjustInventoryResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// A path of the contracts that streams.
pub(crate) const STREAM_PATH: &str = "/shop.user.v1.UserService/WatchRevocations";

/// Answers [`STREAM_PATH`] with one empty message and then nothing, for ever.
async fn endless_stream() -> axum::response::Response {
    let message = Frame::data(Bytes::from_static(&[0; 5]));
    let frames = stream::iter([Ok::<_, std::convert::Infallible>(message)]).chain(stream::pending());
    let body = axum::body::Body::new(StreamBody::new(frames));
    ([("content-type", "application/grpc")], body).into_response()
}

pub(crate) struct TestServer {
    pub(crate) running: Running,
    pub(crate) shutdown: Shutdown,
    pub(crate) events: Arc<Events>,
}

impl TestServer {
    pub(crate) fn serve(&self) -> SocketAddr {
        self.running.addresses().serve
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.running.addresses().admin
    }

    pub(crate) async fn client(&self) -> ProductServiceClient<Connection> {
        ProductServiceClient::new(connect(self.serve()).await.unwrap())
    }
}

pub(crate) fn options() -> ServerOptions {
    ServerOptions::embedded(FREE_PORT)
}

pub(crate) fn telemetry() {
    let options = TelemetryOptions { log_level: "error".to_owned(), ..TelemetryOptions::default() };
    shop_server::install_telemetry("test", options).unwrap();
}

pub(crate) fn routes(events: &Arc<Events>) -> Routes {
    let service = ProductServiceServer::new(Fake { events: Arc::clone(events) });
    Routes::new(service).into_axum_router().route(STREAM_PATH, post(endless_stream)).into()
}

pub(crate) async fn start(options: ServerOptions) -> TestServer {
    telemetry();
    let (shutdown, events) = (Shutdown::new(), Arc::new(Events::default()));
    let server = GrpcServer::bind(NAME, FREE_PORT, &options).await.unwrap();
    let running = server.start(routes(&events), tower_layer::Identity::new(), &shutdown);
    TestServer { running, shutdown, events }
}

pub(crate) fn ask(slug: &str) -> Request<GetProductRequest> {
    Request::new(GetProductRequest { key: Some(Key::Slug(slug.to_owned())) })
}

/// What `GetProduct` answered.
pub(crate) async fn answer(
    client: &mut ProductServiceClient<Connection>,
    request: Request<GetProductRequest>,
) -> Result<String, Refusal> {
    match client.get_product(request).await {
        Ok(response) => Ok(response.into_inner().product.unwrap().slug),
        Err(status) => Err(Refusal::from_status(&status)),
    }
}
