//! Query parameters: known ones only, each once.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The query as a `T`: a struct whose fields are all optional and that refuses unknown ones.
pub(crate) struct UrlQuery<T>(pub T);

/// States that a route takes no query parameters: any is refused.
pub(crate) struct NoQuery;

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for UrlQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        serde_urlencoded::from_str(query).map(Self).map_err(|error| refused::<T>(query, &error))
    }
}

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match pairs(parts.uri.query().unwrap_or_default()).first() {
            None => Ok(Self),
            Some((name, _)) => Err(Problem::malformed(name, "there is no such query parameter here")),
        }
    }
}

/// The decoded pairs of a query.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

/// The error does not say which parameter it is about: the one that is refused alone, too, or else the one that is there
/// twice.
fn refused<T: DeserializeOwned>(query: &str, error: &serde_urlencoded::de::Error) -> Problem {
    let pairs = pairs(query);
    for pair in &pairs {
        let alone = serde_urlencoded::to_string([pair]).unwrap_or_default();
        if let Err(error) = serde_urlencoded::from_str::<T>(&alone) {
            return Problem::malformed(&pair.0, plain(&error));
        }
    }
    let twice = pairs.iter().enumerate().find(|(at, pair)| pairs.iter().take(*at).any(|earlier| earlier.0 == pair.0));
    Problem::malformed(twice.map_or("", |(_, pair)| &pair.0), plain(error))
}

/// The error in the words of the interface, without Rust's.
fn plain(error: &serde_urlencoded::de::Error) -> String {
    let message = error.to_string();
    match message.as_str() {
        "invalid digit found in string" | "cannot parse integer from empty string" => "must be an integer".to_owned(),
        "provided string was not `true` or `false`" => "must be true or false".to_owned(),
        message if message.starts_with("number too") => "is out of range".to_owned(),
        message if message.starts_with("unknown field") => "there is no such query parameter here".to_owned(),
        message if message.starts_with("duplicate field") => "must be given at most once".to_owned(),
        message => message.to_owned(),
    }
}
