//! Money of an order, in and back.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;

use crate::{
    extract::{JsonBody, NoQuery, Staff, UrlPath},
    openapi::problems,
    problem::Problem,
    rest::{Id, NewPayment, NewRefund, Payment, Refund},
    state::Gateway,
};

problems! {
    RecordPaymentProblems: ROLE, BODY, [NotFound, ReferenceReused, AmountMismatch, StateConflict],
    RefundOrderProblems: ROLE, BODY, [NotFound, ReferenceReused, AmountMismatch, StateConflict],
}

/// Record a payment
///
/// For staff. Applied once for the reference. Money that can't pay for the order becomes its `refund_due`.
#[utoipa::path(post, path = "/orders/{order_id}/payments", operation_id = "record_payment", tag = "payments",
    security(("bearer" = [])), params(("order_id" = Id, Path, description = "The order's id.")),
    request_body = NewPayment,
    responses((status = 201, description = "The payment is recorded.", body = Payment),
        (status = 200, description = "It had been recorded before.", body = Payment), RecordPaymentProblems))]
pub(crate) async fn record(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(order_id): UrlPath<Id>,
    _: NoQuery,
    JsonBody(new): JsonBody<NewPayment>,
) -> Result<Response, Problem> {
    let reply = gateway.orders().record_payment(staff.request(new.into_request(order_id))).await?.into_inner();
    let status = first_or_again(reply.replayed);
    Ok((status, Json(Payment::try_from(reply)?)).into_response())
}

/// Record a refund
///
/// For staff. Applied once for the reference: the total of a shipped or delivered order, or the open `refund_due`.
#[utoipa::path(post, path = "/orders/{order_id}/refund", operation_id = "refund_order", tag = "payments",
    security(("bearer" = [])), params(("order_id" = Id, Path, description = "The order's id.")),
    request_body = NewRefund,
    responses((status = 201, description = "The refund is recorded.", body = Refund),
        (status = 200, description = "It had been recorded before.", body = Refund), RefundOrderProblems))]
pub(crate) async fn refund(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(order_id): UrlPath<Id>,
    _: NoQuery,
    JsonBody(new): JsonBody<NewRefund>,
) -> Result<Response, Problem> {
    let reply = gateway.orders().refund_order(staff.request(new.into_request(order_id))).await?.into_inner();
    let status = first_or_again(reply.replayed);
    Ok((status, Json(Refund::try_from(reply)?)).into_response())
}

fn first_or_again(replayed: bool) -> StatusCode {
    if replayed { StatusCode::OK } else { StatusCode::CREATED }
}
