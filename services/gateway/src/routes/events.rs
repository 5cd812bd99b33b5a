//! What becomes of an order, as it happens.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;

use crate::{
    events,
    extract::{LastEventId, NoQuery, SignedIn, UrlPath},
    openapi::problems,
    problem::Problem,
    rest::Id,
    state::Gateway,
};

problems! {
    WatchOrderProblems: SIGNED_IN, [NotFound, RateLimited],
}

/// Watch an order
///
/// One's own; for staff anyone's. A stream of server-sent events: each entry of the order's history as `event: change`,
/// whose `id` is the entry's version, those of before first. It goes on after `Last-Event-ID`. `event: end` is the last:
/// nothing more is expected (`finished`), or the access token is no longer good (`unauthenticated`). A stream that ends
/// without it is to be taken up again, after what `retry` says.
#[utoipa::path(get, path = "/orders/{order_id}/events", operation_id = "watch_order", tag = "orders",
    security(("bearer" = [])),
    params(("order_id" = Id, Path, description = "The order's id."),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event the client has.",
            pattern = "^(0|[1-9][0-9]{0,17})?$")),
    responses(
        (status = 200, description = "Events, from now on.", body = String, content_type = "text/event-stream",
            example = "id: 1\nevent: change\ndata: {\"version\":1,\"from\":null,\"to\":\"pending\",\"actor\":\"0198c9a5-7777-7c4e-9d0a-3f1f5f0a1b2c\",\"reason\":null,\"note\":null,\"at\":\"2026-11-22T09:00:00Z\"}\n\n"),
        (status = 204, description = "The client has all there will be: it need not come back."),
        WatchOrderProblems))]
pub(crate) async fn watch(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    UrlPath(order_id): UrlPath<Id>,
    _: NoQuery,
    LastEventId(after): LastEventId,
) -> Result<Response, Problem> {
    let stream = events::answer(gateway, caller, order_id, after).await?;
    Ok(stream.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response()))
}
