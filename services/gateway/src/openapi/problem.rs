//! Failures in the document: one component for each set of codes that a status has somewhere.

use std::collections::BTreeMap;

use shop_proto::status::Reason;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema,
        schema::{AllOfBuilder, ArrayBuilder, Type},
    },
};

use super::ANY;
use crate::problem::{self, problem_type};

/// The responses for some reasons and those of any request, by status: each a reference to a component that
/// [`components`] makes, since most operations share most of them.
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
pub(super) fn components(document: &OpenApi) -> BTreeMap<String, RefOr<Response>> {
    let operations = document.paths.paths.values().flat_map(super::operations);
    let names =
        operations.flat_map(|operation| operation.responses.responses.values()).filter_map(|response| match response {
            RefOr::Ref(reference) => reference.ref_location.rsplit('/').next(),
            RefOr::T(_) => None,
        });
    names
        .map(|name| {
            let reasons: Vec<_> = name.split(COMPONENT_SEPARATOR).filter_map(Reason::from_code).collect();
            (name.to_owned(), response(&reasons).into())
        })
        .collect()
}

fn response(reasons: &[Reason]) -> Response {
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
pub(super) struct ProblemSchema;

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
