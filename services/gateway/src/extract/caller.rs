//! Who calls: verified here so that a refusal comes before the body is read, and forwarded so that the services, which
//! know whose what is, judge again.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use shop_auth::{Caller, UserCaller};
use shop_proto::{access::Rule, status::Reason};
use shop_server::Peer;
use tonic::metadata::{Ascii, MetadataValue};

use crate::{problem::Problem, state::Gateway};

/// The credential as it was presented, to be passed on.
type Bearer = Option<MetadataValue<Ascii>>;

/// Anyone. A token that is presented must still be valid.
pub(crate) struct Visitor {
    bearer: Bearer,
}

/// A signed-in user of any role.
pub(crate) struct SignedIn {
    /// Who it is.
    pub user: UserCaller,
    bearer: Bearer,
}

/// A user with the role staff or admin.
pub(crate) struct Staff(SignedIn);

/// A user with the role admin.
pub(crate) struct Admin(SignedIn);

/// The network address the request came from.
pub(crate) struct ClientAddress(pub IpAddr);

impl Visitor {
    /// A call in the visitor's name.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        request(self.bearer.as_ref(), message)
    }
}

impl SignedIn {
    /// A call in the user's name.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        request(self.bearer.as_ref(), message)
    }

    /// The user's id as the contracts write it.
    pub(crate) fn id(&self) -> String {
        self.user.user_id.to_string()
    }
}

impl Staff {
    /// A call in the user's name.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        self.0.request(message)
    }
}

impl Admin {
    /// A call in the user's name.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        self.0.request(message)
    }
}

fn request<T>(bearer: Option<&MetadataValue<Ascii>>, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Some(bearer) = bearer {
        request.metadata_mut().insert("authorization", bearer.clone());
    }
    request
}

impl FromRequestParts<Gateway> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        let (_, bearer) = identify(&parts.headers, gateway)?;
        Ok(Self { bearer })
    }
}

impl FromRequestParts<Gateway> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        permitted(&parts.headers, gateway, Rule::Owner)
    }
}

impl FromRequestParts<Gateway> for Staff {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        permitted(&parts.headers, gateway, Rule::Staff).map(Self)
    }
}

impl FromRequestParts<Gateway> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        permitted(&parts.headers, gateway, Rule::Admin).map(Self)
    }
}

/// The user, if a method with the rule is open to them.
fn permitted(headers: &HeaderMap, gateway: &Gateway, rule: Rule) -> Result<SignedIn, Problem> {
    let (caller, bearer) = identify(headers, gateway)?;
    if matches!(caller, Caller::Service(_)) {
        return Err(Problem::new(Reason::InvalidToken, "This is not a user's access token."));
    }
    gateway.verifier().permit(rule, &caller)?;
    match caller {
        Caller::User(user) => Ok(SignedIn { user, bearer }),
        Caller::Anonymous | Caller::Service(_) => {
            Err(Problem::new(Reason::Unauthenticated, "This needs an access token."))
        }
    }
}

fn identify(headers: &HeaderMap, gateway: &Gateway) -> Result<(Caller, Bearer), Problem> {
    let Some(token) = shop_auth::bearer(headers)? else { return Ok((Caller::Anonymous, None)) };
    let caller = gateway.verifier().verify(token)?;
    let mut bearer = MetadataValue::try_from(format!("Bearer {token}")).map_err(Problem::internal)?;
    bearer.set_sensitive(true);
    Ok((caller, Some(bearer)))
}

impl FromRequestParts<Gateway> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().ok_or_else(|| Problem::internal("the peer is not known"))?;
        Ok(Self(peer.address.ip().to_canonical()))
    }
}
