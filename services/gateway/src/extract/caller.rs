//! Who calls: verified at the edge, judged here so that a refusal comes before the body is read, and forwarded so that the
//! services, which know whose what is, judge again.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::{HeaderValue, header, request::Parts};
use shop_auth::{Caller, UserCaller, Verifier};
use shop_proto::{access::Rule, status::Reason};

use crate::{edge::Visit, problem::Problem, state::Gateway};

/// The credential as it was presented, to be passed on.
type Authorization = Option<HeaderValue>;

/// Anyone. A token that is presented must still be valid.
pub(crate) struct Visitor {
    authorization: Authorization,
}

/// A signed-in user of any role.
#[derive(Clone)]
pub(crate) struct SignedIn {
    /// Who it is.
    pub user: UserCaller,
    authorization: Authorization,
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
        request(self.authorization.as_ref(), message)
    }
}

impl SignedIn {
    /// A call in the user's name.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        request(self.authorization.as_ref(), message)
    }

    /// Whether the token is still good: not expired, not revoked, of a session that stands.
    pub(crate) fn is_still_allowed(&self, verifier: &Verifier) -> bool {
        let headers = self.authorization.iter().map(|value| (header::AUTHORIZATION, value.clone())).collect();
        let caller = shop_auth::bearer(&headers).ok().flatten().map(|token| verifier.verify(token));
        caller.is_some_and(|caller| caller.is_ok_and(|caller| verifier.permit(Rule::Owner, &caller).is_ok()))
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

fn request<T>(authorization: Option<&HeaderValue>, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Some(authorization) = authorization {
        let mut authorization = authorization.clone();
        authorization.set_sensitive(true);
        request.metadata_mut().as_mut().insert(header::AUTHORIZATION, authorization);
    }
    request
}

impl FromRequestParts<Gateway> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        let (_, authorization) = identify(parts)?;
        Ok(Self { authorization })
    }
}

impl FromRequestParts<Gateway> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        permitted(parts, gateway, Rule::Owner)
    }
}

impl FromRequestParts<Gateway> for Staff {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        permitted(parts, gateway, Rule::Staff).map(Self)
    }
}

impl FromRequestParts<Gateway> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        permitted(parts, gateway, Rule::Admin).map(Self)
    }
}

/// The user, if a method with the rule is open to them.
fn permitted(parts: &Parts, gateway: &Gateway, rule: Rule) -> Result<SignedIn, Problem> {
    let (caller, authorization) = identify(parts)?;
    if matches!(caller, Caller::Service(_)) {
        return Err(Problem::new(Reason::InvalidToken, "This is not a user's access token."));
    }
    gateway.verifier().permit(rule, caller)?;
    match caller {
        Caller::User(user) => Ok(SignedIn { user: user.clone(), authorization }),
        Caller::Anonymous | Caller::Service(_) => {
            Err(Problem::new(Reason::Unauthenticated, "This needs an access token."))
        }
    }
}

fn identify(parts: &Parts) -> Result<(&Caller, Authorization), Problem> {
    let credential = visit(parts)?.credential();
    match &credential.caller {
        Ok(caller) => Ok((caller, credential.authorization.clone())),
        Err(refusal) => Err(refusal.clone().into()),
    }
}

fn visit(parts: &Parts) -> Result<&Visit, Problem> {
    parts.extensions.get::<Visit>().ok_or_else(|| Problem::internal("the request has no visit"))
}

impl FromRequestParts<Gateway> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        visit(parts).map(|visit| Self(visit.address()))
    }
}
