//! Notices of payment providers: passed on as they came to the service that holds the secret.

use axum::{Json, extract::State};
use shop_proto::order;

use crate::{
    extract::{NoQuery, RawBody, Visitor, WebhookSignature},
    openapi::problems,
    problem::Problem,
    rest::{PaymentNotice, WebhookReceipt},
    state::Gateway,
};

problems! {
    WebhookProblems: PUBLIC, RAW_BODY, [InvalidSignature],
}

/// Receive a payment notice
///
/// Of a payment provider, signed. Whatever is signed is stored and
/// answered 200, misfits included; the same `id` again changes nothing.
#[utoipa::path(post, path = "/webhooks/payments", operation_id = "receive_payment_webhook", tag = "payments", security(()),
    params(("X-Shop-Signature" = String, Header,
        description = "`t=<unix seconds>,v1=<hex HMAC-SHA256 of \"<t>.<raw body>\">`; good for five minutes.")),
    request_body(content = PaymentNotice, description = "The notice, byte for byte as it was signed."),
    responses((status = 200, description = "The notice is stored.", body = WebhookReceipt), WebhookProblems))]
pub(crate) async fn payments(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    _: NoQuery,
    WebhookSignature(signature): WebhookSignature,
    RawBody(body): RawBody,
) -> Result<Json<WebhookReceipt>, Problem> {
    let request = visitor.request(order::ReceivePaymentWebhookRequest { body: body.into(), signature });
    let reply = gateway.orders().receive_payment_webhook(request).await?.into_inner();
    Ok(Json(WebhookReceipt { replayed: reply.replayed }))
}
