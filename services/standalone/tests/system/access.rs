//! Every method of the contracts, called on the real servers as every kind of caller; what must happen is read from the
//! access table alone.

use std::{fmt, str::FromStr as _};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use shop_auth::{ServiceSigner, keys::KeyPaths};
use shop_proto::{
    access::{METHODS, Method, Rule},
    status::{Reason, Refusal},
};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

use crate::{client::Client, shop::Shop};

const SERVICES: [&str; 3] = ["product", "order", "gateway"];

/// Who calls.
enum Who {
    Anonymous,
    User { kind: &'static str, staff: bool, admin: bool, token: String },
    Service(&'static str),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::User { kind, .. } => f.write_str(kind),
            Self::Service(name) => write!(f, "service {name}"),
        }
    }
}

#[tokio::test]
async fn every_method_obeys_its_rule_for_every_caller() {
    let shop = Shop::start().await;
    let user = |kind, staff, admin, client: Client| Who::User { kind, staff, admin, token: client.token.unwrap() };
    let callers = [
        Who::Anonymous,
        user("customer", false, false, Client::customer(&shop).await.0),
        user("other customer", false, false, Client::customer(&shop).await.0),
        user("staff", true, false, Client::with_role(&shop, "staff").await.0),
        user("admin", true, true, Client::admin(&shop).await),
        Who::Service(SERVICES[0]),
        Who::Service(SERVICES[1]),
        Who::Service(SERVICES[2]),
    ];
    let keys = KeyPaths::new(&shop.data_dir().join("keys"));
    let mut wrong = Vec::new();
    for method in METHODS {
        let (callee, channel) = callee(&shop, method);
        for who in &callers {
            let credential = match who {
                Who::Anonymous => None,
                Who::User { token, .. } => Some(format!("Bearer {token}")),
                Who::Service(name) => {
                    let signer = ServiceSigner::new(&keys.options(name), name, "local").unwrap();
                    Some(signer.bearer(callee).unwrap().to_str().unwrap().to_owned())
                }
            };
            let found = call(channel.clone(), method, callee, credential.as_deref()).await;
            let expected = expected(method.rule, who);
            if found != expected {
                wrong.push(format!("{} as {who}: {found:?} instead of {expected:?}", method.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_method_outside_the_table_is_refused_and_health_is_not() {
    let shop = Shop::start().await;
    let admin = Client::admin(&shop).await.token.unwrap();
    let unknown = Method { path: "/shop.user.v1.UserService/Promote", ..METHODS[0] };
    let (callee, channel) = callee(&shop, &unknown);
    let refused = call(channel.clone(), &unknown, callee, Some(&format!("Bearer {admin}"))).await;
    assert_eq!(refused, Some(Reason::Forbidden));
    let health = Method { path: "/grpc.health.v1.Health/Check", ..METHODS[0] };
    assert_eq!(call(channel, &health, callee, None).await, None);
}

#[tokio::test]
async fn a_service_token_is_good_for_one_callee() {
    let shop = Shop::start().await;
    let keys = KeyPaths::new(&shop.data_dir().join("keys"));
    let order = ServiceSigner::new(&keys.options("order"), "order", "local").unwrap();
    let validate = shop_proto::access::method("/shop.user.v1.UserService/ValidateUser").unwrap();
    let (callee, channel) = callee(&shop, validate);
    for (audience, expected) in [("user", None), ("product", Some(Reason::InvalidToken))] {
        let token = order.bearer(audience).unwrap();
        assert_eq!(
            call(channel.clone(), validate, callee, Some(token.to_str().unwrap())).await,
            expected,
            "{audience}"
        );
    }
}

/// What the rule says the access layer answers: nothing when it lets the call pass.
fn expected(rule: Rule, who: &Who) -> Option<Reason> {
    match (rule, who) {
        (Rule::Public, _)
        | (Rule::Authenticated | Rule::Owner, Who::User { .. })
        | (Rule::Staff, Who::User { staff: true, .. })
        | (Rule::Admin, Who::User { admin: true, .. }) => None,
        (_, Who::Anonymous) => Some(Reason::Unauthenticated),
        (Rule::Service(names), Who::Service(name)) if names.contains(name) => None,
        _ => Some(Reason::Forbidden),
    }
}

fn callee(shop: &Shop, method: &Method) -> (&'static str, Channel) {
    let (name, address) = match method.path.split('.').nth(1) {
        Some("user") => ("user", &shop.ready.grpc.user),
        Some("product") => ("product", &shop.ready.grpc.product),
        Some("order") => ("order", &shop.ready.grpc.order),
        other => panic!("{} belongs to {other:?}", method.path),
    };
    (name, Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy())
}

/// Calls with an empty message. What the access layer says, or nothing when the call got past it.
async fn call(channel: Channel, method: &Method, callee: &str, credential: Option<&str>) -> Option<Reason> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let mut request = Request::new(Bytes::new());
    request.set_timeout(std::time::Duration::from_secs(10));
    request.metadata_mut().insert("x-shop-target", format!("local/{callee}").parse().unwrap());
    if let Some(credential) = credential {
        request.metadata_mut().insert("authorization", credential.parse().unwrap());
    }
    let path = PathAndQuery::from_str(method.path).unwrap();
    // The answer to a stream's first message would come when something is revoked; its headers say enough.
    let answer = grpc.server_streaming(request, path, RawCodec).await.map(drop);
    let refusal = Refusal::from_status(&answer.err()?);
    let from_the_layer = matches!(refusal.reason, Reason::Unauthenticated | Reason::InvalidToken | Reason::Forbidden);
    from_the_layer.then_some(refusal.reason)
}

/// Messages as bytes: the layer judges before it knows their types.
#[derive(Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
