//! Orders, from being placed to being delivered.

use axum::{
    Json,
    extract::{OriginalUri, State},
    response::Response,
};
use shop_proto::{order, status::Reason};

use super::{created, mark_replayed, page};
use crate::{
    extract::{Action, IdempotencyKey, JsonBody, NoQuery, SignedIn, Staff, UrlPath, UrlQuery},
    openapi::problems,
    problem::Problem,
    rest::{
        Cancellation, Cursor, Empty, HistoryPage, Id, Limit, ListOrdersQuery, NewOrder, Order, OrderPage, PageQuery,
        required,
    },
    state::Gateway,
};

problems! {
    CreateOrderProblems: SIGNED_IN, BODY,
        [OutOfStock, ProductNotOrderable, UserNotAllowed, TotalTooLarge, IdempotencyKeyReused, OrderPending],
    ListOrdersProblems: SIGNED_IN, LISTING, [],
    GetOrderProblems: SIGNED_IN, [NotFound],
    ListOrderHistoryProblems: SIGNED_IN, LISTING, [NotFound],
    CancelOrderProblems: SIGNED_IN, BODY, [NotFound, StateConflict, OrderPending],
    MoveOrderProblems: ROLE, BODY, [NotFound, StateConflict, OrderPending],
}

/// Place an order
///
/// Reserves the goods, all or none, at their prices of that moment. An order that can't be had is kept as rejected and
/// answered 409. A 503 `ORDER_PENDING` leaves its fate open: repeat the request with the same key.
#[utoipa::path(post, path = "/orders", operation_id = "create_order", tag = "orders", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "The client's own key for this order.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = NewOrder,
    responses((status = 201, description = "The order; on a replay as it is now.", body = Order,
        headers(("Location" = String, description = "The order's URL."),
            ("Idempotency-Replayed" = bool, description = "There when the key had been used before."))), CreateOrderProblems))]
pub(crate) async fn create(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    _: NoQuery,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(new): JsonBody<NewOrder>,
) -> Result<Response, Problem> {
    let request = caller.request(new.into_request(key)?);
    let reply = gateway.orders().create_order(request).await.map_err(maybe_pending)?.into_inner();
    let order: Order = required(reply.order, "order")?;
    Ok(mark_replayed(created(&format!("/orders/{}", order.id), order), reply.replayed))
}

/// Nobody knows whether an order that was not answered in time, or at all, will settle: only a retry tells.
fn maybe_pending(status: tonic::Status) -> Problem {
    let problem = Problem::from(status);
    match problem.reason() {
        Reason::DeadlineExceeded | Reason::Unavailable | Reason::WrongInstance => problem.recast(
            Reason::OrderPending,
            "The order is not settled yet. Repeat the request with the same Idempotency-Key.",
        ),
        _ => problem,
    }
}

/// List orders
///
/// One's own, newest first; for staff everyone's.
#[utoipa::path(get, path = "/orders", operation_id = "list_orders", tag = "orders", security(("bearer" = [])),
    params(ListOrdersQuery),
    responses((status = 200, description = "A page of orders.", body = OrderPage,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`; not on the last."))), ListOrdersProblems))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    OriginalUri(uri): OriginalUri,
    caller: SignedIn,
    UrlQuery(query): UrlQuery<ListOrdersQuery>,
) -> Result<Response, Problem> {
    let request = caller.request(order::ListOrdersRequest::from(query));
    let reply = gateway.orders().list_orders(request).await?.into_inner();
    Ok(page(&uri, OrderPage::new(reply.orders, reply.next_cursor)?))
}

/// Show an order
///
/// One's own; for staff anyone's.
#[utoipa::path(get, path = "/orders/{order_id}", operation_id = "get_order", tag = "orders", security(("bearer" = [])),
    params(("order_id" = Id, Path, description = "The order's id.")),
    responses((status = 200, description = "The order.", body = Order), GetOrderProblems))]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    UrlPath(order_id): UrlPath<Id>,
    _: NoQuery,
) -> Result<Json<Order>, Problem> {
    let request = caller.request(order::GetOrderRequest { order_id: order_id.into() });
    let reply = gateway.orders().get_order(request).await?.into_inner();
    Ok(Json(required(reply.order, "order")?))
}

/// Show how an order came to be what it is
///
/// Oldest first. One's own; for staff anyone's.
#[utoipa::path(get, path = "/orders/{order_id}/history", operation_id = "list_order_history", tag = "orders",
    security(("bearer" = [])), params(("order_id" = Id, Path, description = "The order's id."), PageQuery),
    responses((status = 200, description = "A page of changes.", body = HistoryPage,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`; not on the last."))),
        ListOrderHistoryProblems))]
pub(crate) async fn history(
    State(gateway): State<Gateway>,
    OriginalUri(uri): OriginalUri,
    caller: SignedIn,
    UrlPath(order_id): UrlPath<Id>,
    UrlQuery(query): UrlQuery<PageQuery>,
) -> Result<Response, Problem> {
    let request = caller.request(order::ListOrderHistoryRequest {
        order_id: order_id.into(),
        limit: Limit::or_default(query.limit),
        cursor: Cursor::or_start(query.cursor),
    });
    let reply = gateway.orders().list_order_history(request).await?.into_inner();
    Ok(page(&uri, HistoryPage::new(reply.entries, reply.next_cursor)?))
}

/// Cancel an order
///
/// One's own; for staff anyone's. The money of a paid one becomes `refund_due`.
#[utoipa::path(post, path = "/orders/{order_id}/cancel", operation_id = "cancel_order", tag = "orders",
    security(("bearer" = [])), params(("order_id" = Id, Path, description = "The order's id.")),
    request_body = Option<Cancellation>,
    responses((status = 200, description = "The order as it is now.", body = Order), CancelOrderProblems))]
pub(crate) async fn cancel(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    UrlPath(order_id): UrlPath<Id>,
    _: NoQuery,
    Action(cancellation): Action<Cancellation>,
) -> Result<Json<Order>, Problem> {
    let note = cancellation.reason.unwrap_or_default();
    let request = caller.request(order::CancelOrderRequest { order_id: order_id.into(), note });
    let reply = gateway.orders().cancel_order(request).await?.into_inner();
    Ok(Json(required(reply.order, "order")?))
}

/// Ship an order
///
/// For staff.
#[utoipa::path(post, path = "/orders/{order_id}/ship", operation_id = "ship_order", tag = "orders",
    security(("bearer" = [])), params(("order_id" = Id, Path, description = "The order's id.")),
    request_body = Option<Empty>,
    responses((status = 200, description = "The order as it is now.", body = Order), MoveOrderProblems))]
pub(crate) async fn ship(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(order_id): UrlPath<Id>,
    _: NoQuery,
    Action(Empty {}): Action<Empty>,
) -> Result<Json<Order>, Problem> {
    let request = staff.request(order::ShipOrderRequest { order_id: order_id.into() });
    let reply = gateway.orders().ship_order(request).await?.into_inner();
    Ok(Json(required(reply.order, "order")?))
}

/// Record that an order was delivered
///
/// For staff.
#[utoipa::path(post, path = "/orders/{order_id}/deliver", operation_id = "deliver_order", tag = "orders",
    security(("bearer" = [])), params(("order_id" = Id, Path, description = "The order's id.")),
    request_body = Option<Empty>,
    responses((status = 200, description = "The order as it is now.", body = Order), MoveOrderProblems))]
pub(crate) async fn deliver(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(order_id): UrlPath<Id>,
    _: NoQuery,
    Action(Empty {}): Action<Empty>,
) -> Result<Json<Order>, Problem> {
    let request = staff.request(order::DeliverOrderRequest { order_id: order_id.into() });
    let reply = gateway.orders().deliver_order(request).await?.into_inner();
    Ok(Json(required(reply.order, "order")?))
}
