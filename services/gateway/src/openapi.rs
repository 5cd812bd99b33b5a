//! The OpenAPI document, generated from the handlers, and the routes that it describes.

use std::{collections::BTreeMap, sync::LazyLock};

use http::HeaderValue;
use shop_proto::status::Reason;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder,
        PathItem, Ref, RefOr, Response, ResponseBuilder, Schema, ServerBuilder,
        info::LicenseBuilder,
        schema::{AllOfBuilder, ArrayBuilder, Type},
        security::{Http, HttpAuthScheme, SecurityScheme},
        tag::TagBuilder,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    problem::{self, problem_type},
    routes::{
        self as handlers, PREFIX, addresses, auth, documents, inventory, me, orders, payments, products, users,
        webhooks,
    },
    state::Gateway,
};

/// Failures that any request can meet.
pub(crate) const ANY: &[Reason] = &[
    Reason::MalformedRequest,
    Reason::Overloaded,
    Reason::HeadersTooLarge,
    Reason::Internal,
    Reason::Unavailable,
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
pub(crate) const BODY: &[Reason] = &[Reason::ValidationFailed, Reason::BodyTooLarge, Reason::UnsupportedMediaType];
/// Of a route that takes any bytes.
pub(crate) const RAW_BODY: &[Reason] = &[Reason::ValidationFailed, Reason::BodyTooLarge];
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
pub(crate) use problems;

/// The responses for some reasons and those of any request, by status: each a reference to a component that
/// [`problem_components`] makes, since most operations share most of them.
pub(crate) fn problem_responses(sets: &[&[Reason]]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<u16, Vec<&str>>::new();
    for reason in Reason::ALL {
        if ANY.contains(reason) || sets.iter().any(|set| set.contains(reason)) {
            by_status.entry(reason.http()).or_default().push(reason.code());
        }
    }
    by_status
        .into_iter()
        .map(|(status, codes)| (status.to_string(), Ref::from_response_name(codes.join(COMPONENT_SEPARATOR)).into()))
        .collect()
}

/// Joins the codes of a response to the name of its component; allowed there and in no code.
const COMPONENT_SEPARATOR: &str = ".";

/// The responses that the operations refer to.
fn problem_components(document: &OpenApi) -> BTreeMap<String, RefOr<Response>> {
    let operations = document.paths.paths.values().flat_map(|item| {
        [&item.get, &item.put, &item.post, &item.patch, &item.delete].into_iter().filter_map(Option::as_ref)
    });
    let names =
        operations.flat_map(|operation| operation.responses.responses.values()).filter_map(|response| match response {
            RefOr::Ref(reference) => reference.ref_location.rsplit('/').next(),
            RefOr::T(_) => None,
        });
    names
        .map(|name| {
            let reasons: Vec<_> = name.split(COMPONENT_SEPARATOR).filter_map(Reason::from_code).collect();
            (name.to_owned(), problem_response(&reasons).into())
        })
        .collect()
}

fn problem_response(reasons: &[Reason]) -> Response {
    let status = reasons.first().map_or(500, |reason| reason.http());
    let codes =
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(reasons.iter().map(|reason| reason.code())));
    let schema =
        AllOfBuilder::new().item(Ref::from_schema_name("Problem")).item(ObjectBuilder::new().property("code", codes));
    let description =
        reasons.iter().map(|reason| format!("`{}`: {}.", reason.code(), reason.title())).collect::<Vec<_>>().join(" ");
    let content = ContentBuilder::new().schema(Some(schema)).example(reasons.first().map(|reason| example(*reason)));
    let mut response = ResponseBuilder::new().description(description).content(problem::CONTENT_TYPE, content.build());
    let text = || HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String)));
    if status == 401 {
        let challenge =
            text().description(Some("`Bearer`; with `error=\"invalid_token\"` when the token is at fault."));
        response = response.header("WWW-Authenticate", challenge.build());
    }
    if matches!(status, 429 | 503) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let retry =
            HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds until trying again makes sense."));
        response = response.header("Retry-After", retry.build());
    }
    if reasons.contains(&Reason::ProductNotOrderable) {
        let replayed = text().description(Some("There when the key had been used before."));
        response = response.header("Idempotency-Replayed", replayed.build());
    }
    response.build()
}

fn example(reason: Reason) -> serde_json::Value {
    serde_json::json!({
        "type": problem_type(reason),
        "title": reason.title(),
        "status": reason.http(),
        "detail": format!("{}.", reason.title()),
        "instance": "/api/v1/orders",
        "code": reason.code(),
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "errors": [],
    })
}

/// The shape of every failure.
struct ProblemSchema;

impl PartialSchema for ProblemSchema {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
        let code = text("For programs.").enum_values(Some(Reason::ALL.iter().map(|reason| reason.code())));
        let status = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(400)).maximum(Some(599));
        let error = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("pointer", text("RFC 6901 pointer into the body, or the bare name of a parameter or header."))
            .required("pointer")
            .property("detail", text("What is wrong, and what would be right."))
            .required("detail");
        let members = [
            ("type", RefOr::from(text("`/problems/` and the code in kebab-case.").build())),
            ("title", text("The same for every occurrence of the code.").build().into()),
            ("status", status.description(Some("The HTTP status.")).build().into()),
            ("detail", text("This occurrence, for people.").build().into()),
            ("instance", text("The path of the request.").build().into()),
            ("code", code.build().into()),
            ("trace_id", text("Under which it is logged.").build().into()),
            ("errors", RefOr::T(Schema::from(ArrayBuilder::new().items(error).build()))),
        ];
        let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(
            "Problem details (RFC 9457). Further members are facts of the occurrence: `order_id` for a refused order.",
        ));
        let object =
            members.into_iter().fold(object, |object, (name, schema)| object.property(name, schema).required(name));
        object.examples([example(Reason::NotFound)]).into()
    }
}

impl ToSchema for ProblemSchema {}

/// Every route with its place in the document.
pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    let api = OpenApiRouter::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(me::get, me::update, me::delete))
        .routes(routes!(me::change_password))
        .routes(routes!(addresses::list, addresses::create))
        .routes(routes!(addresses::update, addresses::delete))
        .routes(routes!(users::list))
        .routes(routes!(users::get, users::update))
        .routes(routes!(products::list, products::create))
        .routes(routes!(products::get, products::update, products::archive))
        .routes(routes!(inventory::availability))
        .routes(routes!(inventory::get))
        .routes(routes!(inventory::adjust))
        .routes(routes!(orders::list, orders::create))
        .routes(routes!(orders::get))
        .routes(routes!(orders::history))
        .routes(routes!(orders::cancel))
        .routes(routes!(orders::ship))
        .routes(routes!(orders::deliver))
        .routes(routes!(payments::record))
        .routes(routes!(payments::refund))
        .routes(routes!(webhooks::payments));
    OpenApiRouter::with_openapi(frame())
        .nest(PREFIX, api)
        .routes(routes!(documents::jwks))
        .routes(routes!(documents::openapi))
        .merge(handlers::documents::docs().into())
}

/// What the document says besides its operations.
fn frame() -> OpenApi {
    let tags = [
        ("auth", "Registration and sessions."),
        ("account", "One's own account and addresses."),
        ("users", "Accounts, for admins."),
        ("products", "The catalogue."),
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
                .schema("Problem", ProblemSchema::schema())
                .security_scheme("bearer", bearer)
                .build(),
        ))
        .build()
}

/// The document.
fn document() -> OpenApi {
    let mut document = routes().into_openapi();
    let responses = problem_components(&document);
    document.components.get_or_insert_default().responses.extend(responses);
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
