//! The OpenAPI document, generated from the handlers, and the routes that it describes.

mod complete;
mod problem;

use std::{collections::BTreeMap, sync::LazyLock};

use http::HeaderValue;
use shop_proto::status::Reason;
use utoipa::{
    PartialSchema as _,
    openapi::{
        ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, ServerBuilder,
        info::LicenseBuilder,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityScheme},
        tag::TagBuilder,
    },
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    routes::{
        self as handlers, PREFIX, addresses, auth, categories, documents, events, inventory, me, orders, payments,
        problem_types, products, users, webhooks,
    },
    state::Gateway,
};

/// Failures that any request can meet.
pub(crate) const ANY: &[Reason] = &[
    Reason::MalformedRequest,
    Reason::RateLimited,
    Reason::Overloaded,
    Reason::HeadersTooLarge,
    Reason::Internal,
    Reason::Unavailable,
    Reason::Maintenance,
    Reason::WrongInstance,
    Reason::DeadlineExceeded,
];
/// Of a route for anyone.
pub(crate) const PUBLIC: &[Reason] = &[Reason::InvalidToken];
/// Of a route for signed-in users.
pub(crate) const SIGNED_IN: &[Reason] = &[Reason::Unauthenticated, Reason::InvalidToken];
/// Of a route for a role.
pub(crate) const ROLE: &[Reason] = &[Reason::Unauthenticated, Reason::InvalidToken, Reason::Forbidden];
/// Of a route that takes JSON.
pub(crate) const BODY: &[Reason] =
    &[Reason::ValidationFailed, Reason::RequestTimeout, Reason::BodyTooLarge, Reason::UnsupportedMediaType];
/// Of a route that takes any bytes.
pub(crate) const RAW_BODY: &[Reason] = BODY;
/// Of a route that lists.
pub(crate) const LISTING: &[Reason] = &[Reason::ValidationFailed, Reason::InvalidCursor];

/// Declares the failures of operations: `Name: SET, …, [Reason, …]`, for the `responses` of `utoipa::path`.
macro_rules! problems {
    ($($name:ident: $($set:ident,)+ [$($reason:ident),* $(,)?]),+ $(,)?) => { $(
        pub(crate) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::openapi::problem_responses(&[
                    $($crate::openapi::$set,)+
                    &[$(shop_proto::status::Reason::$reason),*],
                ])
            }
        }
    )+ };
}
pub(crate) use problem::problem_responses;
pub(crate) use problems;

/// Every route with its place in the document.
pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    let api = [
        routes!(auth::register),
        routes!(auth::login),
        routes!(auth::refresh),
        routes!(auth::logout),
        routes!(me::get, me::update, me::delete),
        routes!(me::change_password),
        routes!(addresses::list, addresses::create),
        routes!(addresses::update, addresses::delete),
        routes!(users::list),
        routes!(users::get, users::update),
        routes!(products::list, products::create),
        routes!(products::get, products::update, products::archive),
        routes!(categories::list, categories::create),
        routes!(categories::get, categories::update, categories::delete),
        routes!(inventory::availability),
        routes!(inventory::get),
        routes!(inventory::adjust),
        routes!(orders::list, orders::create),
        routes!(orders::get),
        routes!(orders::history),
        routes!(events::watch),
        routes!(orders::cancel),
        routes!(orders::ship),
        routes!(orders::deliver),
        routes!(payments::record),
        routes!(payments::refund),
        routes!(webhooks::payments),
    ];
    let router = OpenApiRouter::with_openapi(frame());
    api.into_iter()
        .fold(router, |router, route| router.routes(of_interface(route)))
        .routes(routes!(documents::jwks))
        .routes(routes!(documents::openapi))
        .routes(routes!(problem_types::list))
        .routes(routes!(problem_types::get))
        .merge(handlers::documents::docs().into())
}

/// A route under the interface's prefix. `nest` would look up each request twice, and make its URL anew in between.
fn of_interface((schemas, mut paths, methods): UtoipaMethodRouter<Gateway>) -> UtoipaMethodRouter<Gateway> {
    paths.paths = paths.paths.into_iter().map(|(path, item)| (format!("{PREFIX}{path}"), item)).collect();
    (schemas, paths, methods)
}

/// What the document says besides its operations.
fn frame() -> OpenApi {
    let tags = [
        ("auth", "Registration and sessions."),
        ("account", "One's own account and addresses."),
        ("users", "Accounts, for admins."),
        ("products", "The catalogue."),
        ("categories", "The tree that the catalogue is ordered by."),
        ("inventory", "Stock."),
        ("orders", "Orders, from being placed to being delivered."),
        ("payments", "Money, in and back."),
        ("documents", "This document, and the public keys."),
    ];
    let bearer = SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
    let info = InfoBuilder::new()
        .title("Shop")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The conventions are in docs/API.md."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(tags.map(|(name, description)| TagBuilder::new().name(name).description(Some(description)).build())))
        .components(Some(
            ComponentsBuilder::new()
                .schema("Problem", problem::ProblemSchema::schema())
                .security_scheme("bearer", bearer)
                .build(),
        ))
        .build()
}

/// The operations of a path.
fn operations(item: &PathItem) -> impl Iterator<Item = &Operation> {
    [&item.get, &item.put, &item.post, &item.patch, &item.delete].into_iter().filter_map(Option::as_ref)
}

/// The document.
fn document() -> OpenApi {
    let mut document = routes().into_openapi();
    let responses = problem::components(&document);
    document.components.get_or_insert_default().responses.extend(responses);
    complete::complete(&mut document);
    document
}

/// The methods of a route as the header `Allow` lists them. The router knows them too and says nothing of OPTIONS, which
/// is answered everywhere.
pub(crate) fn allow(route: &str) -> HeaderValue {
    static METHODS: LazyLock<BTreeMap<String, HeaderValue>> = LazyLock::new(|| {
        let paths = document().paths.paths.into_iter();
        paths.map(|(path, item)| (path, methods(&item))).collect()
    });
    // What the document does not describe is the page that shows it.
    METHODS.get(route).cloned().unwrap_or(HeaderValue::from_static("GET, HEAD, OPTIONS"))
}

fn methods(item: &PathItem) -> HeaderValue {
    let known = [
        ("GET, HEAD", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    let there = known.into_iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| name);
    let listed = there.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ");
    // Names of methods are visible ASCII.
    HeaderValue::try_from(listed).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

/// The document as it is committed and served.
pub fn text() -> String {
    // A document of maps and strings always serialises.
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
