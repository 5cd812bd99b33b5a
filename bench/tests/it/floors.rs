//! The floors of the benchmark: each says where it is, does the least there is to do, and leaves with who started it.

use std::{process::Stdio, time::Duration};

use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use shop_auth::keys;
use shop_proto::product::{GetProductRequest, get_product_request::Key, product_service_client::ProductServiceClient};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
};
use tonic::transport::Endpoint;

/// Far beyond what a start or an end takes.
const BOUND: Duration = Duration::from_secs(30);

async fn floor(arguments: &[&str]) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.arg("floor").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut floor = command.spawn().unwrap();
    let mut lines = BufReader::new(floor.stdout.take().unwrap()).lines();
    let address = tokio::time::timeout(BOUND, lines.next_line()).await.unwrap().unwrap().unwrap();
    (floor, address)
}

async fn leaves(mut floor: Child) {
    drop(floor.stdin.take());
    let status = tokio::time::timeout(BOUND, floor.wait()).await.expect("it leaves").unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn plain_axum_answers_what_it_was_told() {
    let (floor, address) = floor(&["axum", "--body", r#"{"name":"Mug"}"#]).await;
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("/fixed").header("host", "bench.test").body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), r#"{"name":"Mug"}"#);
    leaves(floor).await;
}

#[tokio::test]
async fn plain_tonic_and_the_layers_answer_the_same_product() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = keys::create(folder.path(), &["user"]).unwrap().bundle().display().to_string();
    let mut names = Vec::new();
    for arguments in [&["tonic"][..], &["layered", "--key-bundle", &bundle]] {
        let (floor, address) = floor(arguments).await;
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let mut products = ProductServiceClient::new(channel);
        let request = GetProductRequest { key: Some(Key::Slug("any".into())) };
        names.push(products.get_product(request).await.unwrap().into_inner().product.unwrap().name);
        drop(products);
        leaves(floor).await;
    }
    assert_eq!(names[0], names[1]);
}
