//! A stand-in for all three services: answers each method as the test says and keeps what it was asked.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::{HeaderMap, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message;
use shop_proto::{status::Refusal, user::ListRevocationsResponse};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic_health::pb::{HealthCheckResponse, health_check_response::ServingStatus};

type Reply = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Answer, Status>> + Send + Sync>;

enum Answer {
    Message(Vec<u8>),
    /// Messages; without one at the end the call ends as it should, with an error it fails, and `None` breaks it off.
    Stream(BoxStream<'static, Option<Result<Vec<u8>, Status>>>),
}

/// The services, as far as the gateway can tell.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, Reply>,
    calls: Vec<Call>,
}

/// A call that arrived.
#[derive(Clone)]
pub(crate) struct Call {
    pub method: String,
    pub headers: HeaderMap,
    message: Bytes,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self { address: listener.local_addr().unwrap(), script: Arc::default() };
        upstream.answers("Check", &HealthCheckResponse { status: ServingStatus::Serving.into() });
        upstream.answers("ListRevocations", &ListRevocationsResponse::default());
        let router = Router::new().fallback(serve).with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        upstream
    }

    /// A method's answer from now on.
    pub(crate) fn answers(&self, method: &str, message: &impl Message) {
        let bytes = message.encode_to_vec();
        self.replies(method, Arc::new(move |_| Box::pin(std::future::ready(Ok(Answer::Message(bytes.clone()))))));
    }

    /// A method's answers from now on, each when it is there.
    pub(crate) fn answers_with<Q, M, F>(&self, method: &str, answer: impl Fn(Q) -> F + Send + Sync + 'static)
    where
        Q: Message + Default,
        M: Message,
        F: Future<Output = Result<M, Status>> + Send + 'static,
    {
        let reply: Reply = Arc::new(move |message| {
            let answered = answer(Q::decode(message).unwrap());
            Box::pin(async move { Ok(Answer::Message(answered.await?.encode_to_vec())) })
        });
        self.replies(method, reply);
    }

    /// A method's streams from now on: of each call the messages that come out of what `stream` makes of its request.
    pub(crate) fn streams<Q, M>(
        &self,
        method: &str,
        stream: impl Fn(Q) -> mpsc::Receiver<Option<Result<M, Status>>> + Send + Sync + 'static,
    ) where
        Q: Message + Default,
        M: Message + 'static,
    {
        let reply: Reply = Arc::new(move |message| {
            let messages = ReceiverStream::new(stream(Q::decode(message).unwrap()));
            let encoded = messages.map(|message| message.map(|sent| sent.map(|sent| sent.encode_to_vec())));
            Box::pin(std::future::ready(Ok(Answer::Stream(encoded.boxed()))))
        });
        self.replies(method, reply);
    }

    /// A method's refusal from now on.
    pub(crate) fn refuses(&self, method: &str, refusal: &Refusal) {
        self.fails(method, &Status::from(refusal.clone()));
    }

    /// A method's failure from now on.
    pub(crate) fn fails(&self, method: &str, status: &Status) {
        let status = status.clone();
        self.replies(method, Arc::new(move |_| Box::pin(std::future::ready(Err(status.clone())))));
    }

    /// A method that never answers from now on.
    pub(crate) fn hangs(&self, method: &str) {
        self.replies(method, Arc::new(|_| Box::pin(std::future::pending())));
    }

    fn replies(&self, method: &str, reply: Reply) {
        self.script.lock().unwrap().replies.insert(method.to_owned(), reply);
    }

    /// The calls of a method so far.
    pub(crate) fn calls(&self, method: &str) -> Vec<Call> {
        self.script.lock().unwrap().calls.iter().filter(|call| call.method == method).cloned().collect()
    }

    /// The message of the last call of a method.
    #[track_caller]
    pub(crate) fn last<M: Message + Default>(&self, method: &str) -> M {
        let call = self.calls(method).pop().unwrap_or_else(|| panic!("{method} was not called"));
        M::decode(call.message).unwrap()
    }
}

async fn serve(State(upstream): State<Upstream>, request: Request) -> Response {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let headers = request.headers().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = body.get(5..).map(Bytes::copy_from_slice).unwrap_or_default();
    let reply = {
        let mut script = upstream.script.lock().unwrap();
        script.calls.push(Call { method: method.clone(), headers, message: message.clone() });
        script.replies.get(&method).cloned()
    };
    let result = match reply {
        Some(reply) => reply(message).await,
        None => Err(Status::unimplemented(format!("the test says nothing of {method}"))),
    };
    let messages = match result {
        Ok(Answer::Message(message)) => stream::iter([Some(Ok(message))]).boxed(),
        Ok(Answer::Stream(messages)) => messages,
        Err(status) => return status.into_http(),
    };
    // The end is a message too: what comes after a failure or a break is not sent.
    let frames = messages.chain(stream::iter([Some(Err(Status::ok("")))])).scan(false, |over, message| {
        let last = !matches!(message, Some(Ok(_)));
        std::future::ready((!std::mem::replace(over, last)).then_some(message))
    });
    let frames = frames.map(|message| match message {
        Some(Ok(message)) => Ok(Frame::data(framed(&message))),
        Some(Err(status)) => {
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers).unwrap();
            Ok(Frame::trailers(trailers))
        }
        None => Err(std::io::Error::other("the test breaks it off")),
    });
    let body = Body::new(StreamBody::new(frames));
    Response::builder().header(header::CONTENT_TYPE, "application/grpc").body(body).unwrap()
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    framed.into()
}
