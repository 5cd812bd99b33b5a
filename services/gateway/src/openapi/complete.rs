//! What the document says of every operation alike, and what it derives: headers of all answers, an example for each body,
//! and links from what was made to what can be done with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::{
    Content, Header, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Response, Schema,
    link::Link,
    path::{Operation, Parameter},
    schema::{ArrayItems, SchemaType, Type},
};

/// Headers of every answer: name, description, example.
const HEADERS: [(&str, &str, &str); 3] = [
    (
        "RateLimit",
        "What the client has left, and in how many seconds it has all of it again \
         (draft-ietf-httpapi-ratelimit-headers-10). Not there where nothing was counted.",
        r#""requests";r=99;t=1"#,
    ),
    ("RateLimit-Policy", "How much a client may ask: `q` requests in `w` seconds.", r#""requests";q=100;w=2"#),
    ("X-Request-Id", "The request's id: the one that was sent, if it is sane, or a new one.", "4e1f6a2b9c3d5e7f-1a"),
];

/// Links: what answers, with which status, and what can then be called, with which parameters.
type Following = (&'static str, &'static str, &'static [(&'static str, &'static [(&'static str, &'static str)])]);

const ID: &str = "$response.body#/id";
const FIRST: &str = "$response.body#/items/0/id";
const TAG: &str = "$response.header.ETag";

const LINKS: &[Following] = &[
    ("create_address", "201", &[("update_address", &[("address_id", ID)]), ("delete_address", &[("address_id", ID)])]),
    ("list_addresses", "200", &[("update_address", &[("address_id", FIRST)])]),
    ("list_users", "200", &[("get_user", &[("user_id", FIRST)]), ("update_user", &[("user_id", FIRST)])]),
    (
        "create_category",
        "201",
        &[
            ("get_category", &[("category", ID)]),
            ("update_category", &[("category", ID)]),
            ("delete_category", &[("category", ID)]),
        ],
    ),
    ("list_categories", "200", &[("get_category", &[("category", FIRST)])]),
    (
        "create_product",
        "201",
        &[
            ("get_product", &[("product", ID)]),
            ("get_availability", &[("product", ID)]),
            ("get_inventory", &[("product", ID)]),
            ("adjust_inventory", &[("product", ID)]),
            ("update_product", &[("product", ID), ("If-Match", TAG)]),
            ("archive_product", &[("product", ID), ("If-Match", TAG)]),
        ],
    ),
    ("list_products", "200", &[("get_product", &[("product", FIRST)]), ("get_availability", &[("product", FIRST)])]),
    (
        "create_order",
        "201",
        &[
            ("get_order", &[("order_id", ID)]),
            ("list_order_history", &[("order_id", ID)]),
            ("watch_order", &[("order_id", ID)]),
            ("cancel_order", &[("order_id", ID)]),
            ("record_payment", &[("order_id", ID)]),
            ("ship_order", &[("order_id", ID)]),
            ("deliver_order", &[("order_id", ID)]),
            ("refund_order", &[("order_id", ID)]),
        ],
    ),
    ("list_orders", "200", &[("get_order", &[("order_id", FIRST)])]),
    ("record_payment", "201", &[("ship_order", &[("order_id", "$response.body#/order_id")])]),
];

/// Adds it all.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components
        .headers
        .extend(HEADERS.map(|(name, description, example)| (name.to_owned(), RefOr::T(header(description, example)))));
    components.responses.values_mut().for_each(add_headers);
    let schemas = components.schemas.clone();
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().filter_map(Option::as_mut) {
            complete_operation(operation, &schemas);
        }
    }
}

type Schemas = BTreeMap<String, RefOr<Schema>>;

fn complete_operation(operation: &mut Operation, schemas: &Schemas) {
    operation.parameters.iter_mut().flatten().for_each(without_null);
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.values_mut().for_each(|content| add_example(content, schemas));
    }
    let id = operation.operation_id.clone().unwrap_or_default();
    for (status, response) in &mut operation.responses.responses {
        add_headers(response);
        let RefOr::T(response) = response else { continue };
        response.content.values_mut().for_each(|content| add_example(content, schemas));
        let links = LINKS.iter().filter(|(from, with, _)| *from == id && with == status);
        for (target, parameters) in links.flat_map(|(_, _, following)| *following) {
            let link = parameters
                .iter()
                .fold(Link::builder().operation_id(*target), |link, (name, value)| link.parameter(*name, *value));
            response.links.insert((*target).to_owned(), link.build().into());
        }
    }
}

/// A parameter that may be left out is there with a value or not there: what `Option` says of JSON is not so of it.
fn without_null(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(parameter) = parameter
        && let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
        && let SchemaType::Array(types) = &object.schema_type
        && let [one] = types.iter().filter(|of| **of != Type::Null).collect::<Vec<_>>()[..]
    {
        object.schema_type = SchemaType::Type(one.clone());
    }
}

fn header(description: &str, example: &str) -> Header {
    let mut header = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(description))
        .build();
    header.example = Some(example.into());
    header
}

fn add_headers(response: &mut RefOr<Response>) {
    if let RefOr::T(response) = response {
        response.headers.extend(
            HEADERS.map(|(name, _, _)| (name.to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{name}"))))),
        );
    }
}

fn add_example(content: &mut RefOr<Content>, schemas: &Schemas) {
    if let RefOr::T(content) = content
        && content.example.is_none()
        && content.examples.is_empty()
    {
        content.example = content.schema.as_ref().and_then(|schema| example_of(schema, schemas));
    }
}

/// An example of a schema: its own, or one made of those of its parts.
fn example_of(schema: &RefOr<Schema>, schemas: &Schemas) -> Option<Value> {
    let schema = match schema {
        RefOr::Ref(reference) => {
            return example_of(schemas.get(reference.ref_location.rsplit('/').next()?)?, schemas);
        }
        RefOr::T(schema) => schema,
    };
    let first = |parts: &[RefOr<Schema>]| parts.iter().find_map(|part| example_of(part, schemas));
    match schema {
        Schema::Object(object) => object.examples.first().cloned().or_else(|| {
            let items = example_of(object.properties.get("items")?, schemas)?;
            object.properties.contains_key("next_cursor").then(|| json!({"items": items, "next_cursor": null}))
        }),
        Schema::Array(array) => array.examples.first().cloned().or_else(|| match &array.items {
            ArrayItems::RefOrSchema(items) => Some(json!([example_of(items, schemas)?])),
            ArrayItems::False => None,
        }),
        Schema::OneOf(one) => one.examples.first().cloned().or_else(|| first(&one.items)),
        Schema::AnyOf(any) => any.examples.first().cloned().or_else(|| first(&any.items)),
        Schema::AllOf(all) => all.examples.first().cloned().or_else(|| first(&all.items)),
        _ => None,
    }
}
