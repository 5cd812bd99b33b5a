//! What each kind of problem means and what helps, for the people who meet one: the pages under `/problems`.

use std::fmt::Write as _;

use serde::Serialize;
use shop_proto::status::Reason;
use utoipa::ToSchema;

use crate::problem::problem_type;

/// What is said of one kind of problem.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(examples(json!({
    "type": "/problems/out-of-stock", "title": "Out of stock", "status": 409, "code": "OUT_OF_STOCK",
    "meaning": "Some line can't be had in the quantity that was ordered.",
    "remedy": "Order less, or later."
})))]
pub(crate) struct ProblemType {
    /// The `type` of such problems.
    #[serde(serialize_with = "path")]
    #[schema(value_type = String)]
    pub r#type: Reason,
    /// The same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// For programs.
    pub code: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What helps.
    pub remedy: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn path<S: serde::Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&problem_type(*reason))
}

impl From<Reason> for ProblemType {
    fn from(reason: Reason) -> Self {
        let (meaning, remedy) = explained(reason);
        Self { r#type: reason, title: reason.title(), status: reason.http(), code: reason.code(), meaning, remedy }
    }
}

/// The reason whose page has that name: `out-of-stock`.
pub(crate) fn named(name: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| problem_type(*reason).strip_prefix("/problems/") == Some(name))
}

/// What it means, and what to do.
#[expect(clippy::too_many_lines, reason = "a table")]
const fn explained(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::MalformedRequest => (
            "The request could not be read: its JSON is broken, a value has the wrong type, a field or parameter is not \
             known, or is there twice.",
            "Compare the request with the document. The pointer in errors says where it is wrong; a field that the \
             document does not have is refused rather than ignored. Sending the same again won't help.",
        ),
        Reason::ValidationFailed => (
            "The request could be read and breaks a rule: something is too long, too small, missing or does not fit \
             together.",
            "Each entry of errors names a field by its pointer and says what would be right. Show it beside that field.",
        ),
        Reason::InvalidCursor => (
            "The cursor was changed, or comes from another listing or from the same one with other filters.",
            "Start again without a cursor, and follow next_cursor (or the header Link) with the filters unchanged.",
        ),
        Reason::Unauthenticated => (
            "The call is for users who are signed in, and no access token was sent.",
            "Sign in with POST /api/v1/auth/login and send the header Authorization: Bearer <access_token>.",
        ),
        Reason::InvalidToken => (
            "The access token is not one of this shop's, has expired, or was revoked: by signing out, a new password, a \
             change of role, or an admin.",
            "Trade the refresh token for new tokens with POST /api/v1/auth/refresh; if that is refused, sign in again. \
             Tokens are refused on public calls, too: leave the header out rather than send an old one.",
        ),
        Reason::LoginFailed => (
            "E-mail and password do not belong together, or the account is disabled. Which of these is not said.",
            "Try again with care: failures are counted, and too many of them are answered 429 for a while.",
        ),
        Reason::InvalidRefreshToken => (
            "The refresh token is unknown, expired, or was used before. A token that is used a second time after ten \
             seconds ends its session, since somebody else may have it.",
            "Sign in again. Keep the refresh token of each answer and throw the one before away.",
        ),
        Reason::InvalidSignature => (
            "The notice is not signed with the shop's secret, or is older than five minutes.",
            "Sign the raw body as docs/API.md says, with the present secret and a clock that is right.",
        ),
        Reason::Forbidden => (
            "Your role does not allow this call.",
            "Ask an admin for the role. A new role counts from the next sign-in or refresh.",
        ),
        Reason::WrongPassword => (
            "The current password that was sent as proof is wrong.",
            "Send the password you signed in with. Failures count as failed logins.",
        ),
        Reason::NotFound => (
            "There is nothing at this URL, or it belongs to another customer, which is not told apart.",
            "Check the id. A product that is no longer sold is still found; a category that was dropped is not.",
        ),
        Reason::MethodNotAllowed => {
            ("The URL exists, and does not have this method.", "The header Allow lists the methods it has.")
        }
        Reason::RequestTimeout => (
            "The body did not arrive in time: within ten seconds, and a second more for each 32 KiB.",
            "Send it again over a better connection. Nothing was done.",
        ),
        Reason::EmailTaken => {
            ("Another account has this e-mail.", "Sign in to that account, or register with another e-mail.")
        }
        Reason::SkuTaken => (
            "A product has this SKU, or had it once: SKUs are never given out again.",
            "Choose another, or bring the archived product back with PATCH and status active.",
        ),
        Reason::SlugTaken => (
            "A product has this slug, or had it once, so that links to it stay right; or another category has it.",
            "Choose another slug.",
        ),
        Reason::LastAdmin => ("The shop would be left without an admin.", "Make somebody else an admin first."),
        Reason::StateConflict => (
            "The resource is in a state that does not allow the action: an order that was shipped can't be cancelled, and \
             one that was delivered can't be delivered again.",
            "Read the resource, and decide by its present state.",
        ),
        Reason::CategoryNotEmpty => (
            "Categories are below this one, or products in it, archived ones too.",
            "Move or drop the categories and give the products another category first.",
        ),
        Reason::OutOfStock => (
            "Some line can't be had in the quantity that was ordered. The order is kept as rejected, and nothing is \
             reserved; errors names the lines and how many there are.",
            "Order less, or later, with a new Idempotency-Key: the same key gives the same answer.",
        ),
        Reason::ProductNotOrderable => (
            "A product of the order is not in the catalogue, or no longer sold. The order is kept as rejected.",
            "Leave the line out and order with a new Idempotency-Key.",
        ),
        Reason::UserNotAllowed => (
            "The account was disabled or deleted before the order was settled. The order is kept as rejected.",
            "Ask the shop.",
        ),
        Reason::TotalTooLarge => (
            "The order's total is beyond what can be represented. The order is kept as rejected.",
            "Split it into several orders.",
        ),
        Reason::IdempotencyKeyReused => (
            "The Idempotency-Key was used with another request in the last 24 hours.",
            "Use a new key for each new thing you want done, and the same one only to repeat the same request.",
        ),
        Reason::ReferenceReused => (
            "The reference belongs to a payment or refund of another amount, or of another order.",
            "If it is another payment, give it its own reference; if it is the same, send the same amount and order.",
        ),
        Reason::AmountMismatch => (
            "Refunds are whole: the total of a shipped or delivered order, or the open refund_due.",
            "Read the order and send the amount it says.",
        ),
        Reason::InsufficientStock => (
            "The stock on hand would fall below what is reserved for orders.",
            "Cancel orders first, or take away less.",
        ),
        Reason::StaleVersion => (
            "The resource has changed since the version that If-Match names, or If-Match names none of its versions.",
            "Read it again, look at what changed, and decide anew. Never repeat blindly with the new tag: that would undo \
             somebody else's change.",
        ),
        Reason::BodyTooLarge => ("The body has more than 1 MiB.", "Send less at once."),
        Reason::UnsupportedMediaType => (
            "The body is not JSON by its Content-Type, names a charset other than UTF-8, or is compressed.",
            "Send plain JSON with Content-Type: application/json (or application/merge-patch+json), and without \
             Content-Encoding.",
        ),
        Reason::PreconditionRequired => (
            "A product is only changed from a version that is stated, so that no change is lost unseen.",
            "Read the product and send its ETag in If-Match.",
        ),
        Reason::RateLimited => (
            "You ask more often than a client may, or have too many requests or event streams open at once. Users are \
             counted each, others by their address; signing in has a stricter limit by address.",
            "Wait for the seconds in Retry-After. The headers RateLimit and RateLimit-Policy say beforehand how much is \
             left.",
        ),
        Reason::LoginThrottled => (
            "There were too many failed logins for this account or from this address in the last quarter of an hour.",
            "Wait for the seconds in Retry-After. The right password from a place you signed in from before always works.",
        ),
        Reason::Overloaded => (
            "The shop has more to do than it takes on at once. The request was not begun.",
            "Wait for the seconds in Retry-After, with some chance, and try again.",
        ),
        Reason::HeadersTooLarge => {
            ("The header fields of the request have more than 8 KiB in all.", "Send fewer or shorter header fields.")
        }
        Reason::Internal => (
            "Something went wrong on our side. What was asked may have been done all the same.",
            "Tell us the trace_id: the cause is logged under it. Repeat only what has an Idempotency-Key or a reference, \
             or what only reads.",
        ),
        Reason::Unavailable => (
            "A part of the shop that is needed for this does not answer. What was asked may have been done all the same.",
            "Wait for the seconds in Retry-After and try again; with the same Idempotency-Key or reference where there is \
             one.",
        ),
        Reason::OrderPending => (
            "The order was taken and is not settled yet, or its answer was lost: it may still be reserved or rejected.",
            "Wait for the seconds in Retry-After and send the same request with the same Idempotency-Key. A new key \
             would be a second order.",
        ),
        Reason::Maintenance => (
            "The shop is being worked on and takes no calls. Nothing was done.",
            "Wait for the seconds in Retry-After.",
        ),
        Reason::WrongInstance => (
            "A part of the shop had just moved. What was asked was not done there.",
            "Wait for the seconds in Retry-After and try again.",
        ),
        Reason::DeadlineExceeded => (
            "The answer was not there in time. What was asked may have been done all the same.",
            "Try again; with the same Idempotency-Key or reference where there is one.",
        ),
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color:#222}\
    h1{font-size:1.6rem}code{background:#f2f2f2;padding:.1em .3em;border-radius:3px}li{margin:.3rem 0}";

/// The page of one kind.
pub(crate) fn page(reason: Reason) -> String {
    let ProblemType { title, status, code, meaning, remedy, .. } = reason.into();
    let body = format!(
        "<p><code>{code}</code> · HTTP status {status}</p>\n<h2>What it means</h2>\n<p>{}</p>\n<h2>What to do</h2>\n\
         <p>{}</p>\n<p><a href=\"/problems\">All problems</a> · <a href=\"/docs/\">The interface</a></p>",
        escaped(meaning),
        escaped(remedy)
    );
    html(title, &body)
}

/// The page that leads to all of them.
pub(crate) fn index() -> String {
    let mut list =
        String::from("<p>Each failure of the interface names one of these in its <code>type</code>.</p>\n<ul>\n");
    for reason in Reason::ALL {
        let (path, code, status) = (problem_type(*reason), reason.code(), reason.http());
        // Writing to a string can't fail.
        let _ = writeln!(
            list,
            "<li><a href=\"{path}\">{}</a> · <code>{code}</code> · {status}</li>",
            escaped(reason.title())
        );
    }
    list.push_str("</ul>");
    html("Problems", &list)
}

fn html(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
