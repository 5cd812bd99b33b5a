//! The variable segment of a path.

use std::{fmt::Display, str::FromStr};

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::problem::Problem;

/// The one variable segment of the route, parsed.
pub(crate) struct UrlPath<T>(pub T);

impl<S, T> FromRequestParts<S> for UrlPath<T>
where
    S: Send + Sync,
    T: FromStr<Err: Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, state).await.map_err(Problem::internal)?;
        let (name, value) =
            parameters.iter().next().ok_or_else(|| Problem::internal("the route has no variable segment"))?;
        value.parse().map(Self).map_err(|error: T::Err| Problem::malformed(name, error.to_string()))
    }
}
