//! Reads of a product over gRPC by a plain tonic client, so many under way all the time.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use shop_proto::product::{GetProductRequest, get_product_request::Key, product_service_client::ProductServiceClient};
use tokio::task::JoinSet;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

/// As many as the gateway keeps to an instance.
const CONNECTIONS: usize = 4;

/// Connections to one server.
pub(super) struct Rpc {
    clients: Vec<ProductServiceClient<Channel>>,
    bearer: MetadataValue<Ascii>,
    count: Arc<AtomicUsize>,
}

impl Rpc {
    pub(super) async fn connect(address: SocketAddr, bearer: &str) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let channel = endpoint.connect().await.with_context(|| format!("can't reach {address}"))?;
            clients.push(ProductServiceClient::new(channel));
        }
        Ok(Self { clients, bearer: bearer.parse()?, count: Arc::default() })
    }

    /// Reads one product after another, so many at a time, for so long, and gives how many were read.
    pub(super) async fn drive(&self, time: Duration, in_flight: usize, ids: &Arc<[String]>) -> anyhow::Result<usize> {
        let end = Instant::now() + time;
        let mut readers = JoinSet::new();
        for client in self.clients.iter().cycle().take(in_flight) {
            let (mut client, bearer) = (client.clone(), self.bearer.clone());
            let (ids, count) = (Arc::clone(ids), Arc::clone(&self.count));
            readers.spawn(async move {
                let mut answered = 0_usize;
                while Instant::now() < end {
                    let id = ids[count.fetch_add(1, Ordering::Relaxed) % ids.len()].clone();
                    let mut request = Request::new(GetProductRequest { key: Some(Key::Id(id)) });
                    request.metadata_mut().insert("authorization", bearer.clone());
                    let product = client.get_product(request).await?.into_inner().product;
                    ensure!(product.is_some(), "an answer without a product");
                    answered += 1;
                }
                Ok(answered)
            });
        }
        let mut all = 0;
        while let Some(reader) = readers.join_next().await {
            all += reader??;
        }
        Ok(all)
    }
}
