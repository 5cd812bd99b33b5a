//! The closed list of reasons a call can fail for, and how one travels as a gRPC status with `google.rpc` details.
//!
//! A service maps its domain errors to a [`Refusal`]; the gateway reads it back with [`Refusal::from_status`] and renders
//! problem details (RFC 9457). Both sides therefore share one table: reason → gRPC code, HTTP status, title.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The `domain` of every `google.rpc.ErrorInfo` of this system.
pub const ERROR_DOMAIN: &str = "shop";

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $grpc:ident, $http:literal, $title:literal;)+) => {
        /// Why a call was refused or failed. The list is part of the contract: clients branch on [`Reason::code`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// `ErrorInfo.reason` and the problem's `code`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The gRPC code it travels as.
            pub const fn grpc(self) -> Code {
                match self { $(Self::$name => Code::$grpc,)+ }
            }

            /// The HTTP status the gateway answers with.
            pub const fn http(self) -> u16 {
                match self { $(Self::$name => $http,)+ }
            }

            /// The problem's `title`: the same words for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// The reason with this [`Reason::code`].
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// The request can't be read: syntax, encoding, a wrong type, an unknown field.
    MalformedRequest = "MALFORMED_REQUEST", InvalidArgument, 400, "The request can't be read";
    /// The request can be read and breaks a rule; the violations name the fields.
    ValidationFailed = "VALIDATION_FAILED", InvalidArgument, 400, "The request is not valid";
    /// The cursor was changed, or belongs to another listing.
    InvalidCursor = "INVALID_CURSOR", InvalidArgument, 400, "The cursor does not belong to this listing";
    /// No credentials were presented.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated, 401, "Sign in first";
    /// The access token is malformed, forged, expired, revoked or meant for someone else.
    InvalidToken = "INVALID_TOKEN", Unauthenticated, 401, "The access token is not valid";
    /// Wrong e-mail or password, or a disabled account: which one is not said.
    LoginFailed = "LOGIN_FAILED", Unauthenticated, 401, "E-mail or password is wrong";
    /// The refresh token is unknown, expired, revoked or was used before.
    InvalidRefreshToken = "INVALID_REFRESH_TOKEN", Unauthenticated, 401, "The refresh token is not valid";
    /// The webhook's signature does not match its body, or is too old.
    InvalidSignature = "INVALID_SIGNATURE", Unauthenticated, 401, "The signature is not valid";
    /// The caller's role does not allow it.
    Forbidden = "FORBIDDEN", PermissionDenied, 403, "Your role does not allow this";
    /// The current password that was given is wrong.
    WrongPassword = "WRONG_PASSWORD", PermissionDenied, 403, "The current password is wrong";
    /// It is not there, or not the caller's.
    NotFound = "NOT_FOUND", NotFound, 404, "There is nothing here";
    /// The URL exists, the method does not (gateway only).
    MethodNotAllowed = "METHOD_NOT_ALLOWED", Unimplemented, 405, "The method is not allowed here";
    /// The body did not arrive in time (gateway only).
    RequestTimeout = "REQUEST_TIMEOUT", DeadlineExceeded, 408, "The request took too long to arrive";
    /// Another account has the e-mail.
    EmailTaken = "EMAIL_TAKEN", AlreadyExists, 409, "The e-mail is taken";
    /// A product has, or had, the SKU.
    SkuTaken = "SKU_TAKEN", AlreadyExists, 409, "The SKU is taken";
    /// A product has, or had, the slug; for a category, another one has it.
    SlugTaken = "SLUG_TAKEN", AlreadyExists, 409, "The slug is taken";
    /// It would leave the shop without an admin.
    LastAdmin = "LAST_ADMIN", FailedPrecondition, 409, "The last admin must stay";
    /// The resource's state does not allow the action.
    StateConflict = "STATE_CONFLICT", FailedPrecondition, 409, "The present state does not allow this";
    /// Categories are below it, or products in it.
    CategoryNotEmpty = "CATEGORY_NOT_EMPTY", FailedPrecondition, 409, "The category is not empty";
    /// Some line can't be had in the quantity ordered.
    OutOfStock = "OUT_OF_STOCK", FailedPrecondition, 409, "Out of stock";
    /// Some product is unknown or archived.
    ProductNotOrderable = "PRODUCT_NOT_ORDERABLE", FailedPrecondition, 409, "A product can't be ordered";
    /// The user was disabled or deleted before the order was settled.
    UserNotAllowed = "USER_NOT_ALLOWED", FailedPrecondition, 409, "The user may not order";
    /// The order's total is beyond what can be represented.
    TotalTooLarge = "TOTAL_TOO_LARGE", FailedPrecondition, 409, "The total is too large";
    /// The idempotency key was used with another request.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED", FailedPrecondition, 409, "The idempotency key belongs to another request";
    /// The payment or refund reference was used with another amount or order.
    ReferenceReused = "REFERENCE_REUSED", FailedPrecondition, 409, "The reference belongs to another payment";
    /// A refund of another amount than is to be given back.
    AmountMismatch = "AMOUNT_MISMATCH", FailedPrecondition, 409, "The amount is not what is to be given back";
    /// The stock on hand would fall below what is reserved.
    InsufficientStock = "INSUFFICIENT_STOCK", FailedPrecondition, 409, "Not enough stock";
    /// The resource changed since the version given in `If-Match`.
    StaleVersion = "STALE_VERSION", FailedPrecondition, 412, "The resource has changed";
    /// The body is larger than accepted.
    BodyTooLarge = "BODY_TOO_LARGE", ResourceExhausted, 413, "The body is too large";
    /// The body is not JSON by its content type (gateway only).
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", InvalidArgument, 415, "The body must be application/json";
    /// A change without `If-Match` (gateway only).
    PreconditionRequired = "PRECONDITION_REQUIRED", InvalidArgument, 428, "State the version you are changing";
    /// Too many requests from this client.
    RateLimited = "RATE_LIMITED", ResourceExhausted, 429, "Too many requests";
    /// Too many failed logins.
    LoginThrottled = "LOGIN_THROTTLED", ResourceExhausted, 429, "Too many failed logins";
    /// The server sheds load.
    Overloaded = "OVERLOADED", ResourceExhausted, 429, "The server is busy";
    /// Request header fields beyond the limits (gateway only).
    HeadersTooLarge = "HEADERS_TOO_LARGE", ResourceExhausted, 431, "The request's header fields are too large";
    /// Our bug.
    Internal = "INTERNAL", Internal, 500, "Something went wrong on our side";
    /// A dependency does not answer.
    Unavailable = "UNAVAILABLE", Unavailable, 503, "Part of the shop can't be reached";
    /// The order is not settled yet: repeat with the same key.
    OrderPending = "ORDER_PENDING", Unavailable, 503, "The order is not settled yet";
    /// The interface is closed for a while (gateway only).
    Maintenance = "MAINTENANCE", Unavailable, 503, "The shop is closed for maintenance";
    /// The server at this address is another instance than the one called.
    WrongInstance = "WRONG_INSTANCE", Unavailable, 503, "Part of the shop can't be reached";
    /// It took longer than the caller was willing to wait.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, 504, "It took too long";
}

impl Reason {
    /// What a status without `ErrorInfo` of ours means: a proxy, a library or an old server made it.
    pub fn of_code(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Self::MalformedRequest,
            Code::Unauthenticated => Self::InvalidToken,
            Code::PermissionDenied => Self::Forbidden,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Self::StateConflict,
            Code::ResourceExhausted => Self::Overloaded,
            Code::Unavailable | Code::Cancelled => Self::Unavailable,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::Ok | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => Self::Internal,
        }
    }
}

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// RFC 6901 pointer into the request's JSON, `/items/0/quantity`; for a header or query parameter, its bare name.
    pub pointer: String,
    /// What is wrong and what would be right, as a sentence.
    pub detail: String,
}

/// A refused or failed call as both sides see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The entry in the table.
    pub reason: Reason,
    /// This occurrence, as a sentence for the client. Never internal detail.
    pub detail: String,
    /// Fields that break a rule; at most [`Refusal::MAX_VIOLATIONS`] are kept.
    pub violations: Vec<Violation>,
    /// Facts of this occurrence for programs, `order_id` for example.
    pub metadata: HashMap<String, String>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Bounds the details of a status: they travel in a header, and peers cap those at 8 to 16 KiB.
    pub const MAX_VIOLATIONS: usize = 20;

    /// A refusal for a reason, in words for the client.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), violations: Vec::new(), metadata: HashMap::new(), retry_after: None }
    }

    /// A request that breaks rules, field by field.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let detail = match violations.as_slice() {
            [only] => format!("{}: {}", only.pointer, only.detail),
            _ => format!("{} fields are not valid; see errors.", violations.len()),
        };
        Self { violations, ..Self::new(Reason::ValidationFailed, detail) }.bounded()
    }

    /// A request with one field that breaks a rule.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![Violation { pointer: pointer.into(), detail: detail.into() }])
    }

    /// Adds a fact for programs.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a field that breaks a rule.
    #[must_use]
    pub fn with_violation(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.violations.push(Violation { pointer: pointer.into(), detail: detail.into() });
        self.bounded()
    }

    /// Says when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    fn bounded(mut self) -> Self {
        self.violations.truncate(Self::MAX_VIOLATIONS);
        self
    }

    /// Reads a status back. One without details of ours becomes the reason its code stands for, without its message: we
    /// can't vouch for what another program wrote there.
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let known = details
            .error_info()
            .filter(|info| info.domain == ERROR_DOMAIN)
            .and_then(|info| Reason::from_code(&info.reason).map(|reason| (reason, info.metadata.clone())));
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        let Some((reason, metadata)) = known else {
            let reason = Reason::of_code(status.code());
            return Self { retry_after, ..Self::new(reason, format!("{}.", reason.title())) };
        };
        let violations = details.bad_request().map_or_else(Vec::new, |bad| {
            bad.field_violations
                .iter()
                .map(|field| Violation { pointer: field.field.clone(), detail: field.description.clone() })
                .collect()
        });
        Self { reason, detail: status.message().to_owned(), violations, metadata, retry_after }
    }
}

/// Bytes of a pointer, of what is wrong there, and of the whole in words. They may quote what a client sent; all of them, the
/// most violations there may be and Base64's third more fit a header list of 16 KiB, beyond which a peer ends the call.
const MAX_POINTER: usize = 160;
const MAX_VIOLATION: usize = 240;
const MAX_DETAIL: usize = 600;

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(refusal.reason.code(), ERROR_DOMAIN, refusal.metadata);
        for violation in refusal.violations {
            details
                .add_bad_request_violation(cut(violation.pointer, MAX_POINTER), cut(violation.detail, MAX_VIOLATION));
        }
        if refusal.retry_after.is_some() {
            details.set_retry_info(refusal.retry_after);
        }
        Self::with_error_details(refusal.reason.grpc(), cut(refusal.detail, MAX_DETAIL), details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_refusal_quotes_fits_a_header_list() {
        let long = "é".repeat(40_000);
        let violations = vec![Violation { pointer: long.clone(), detail: long.clone() }; 40];
        for refusal in [Refusal::invalid(violations), Refusal::invalid_field(long.clone(), "must be short")] {
            let headers = Status::from(refusal).into_http::<()>().into_parts().0.headers;
            let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
            assert!(size < 16 * 1024, "{size}");
        }
    }

    #[test]
    fn a_refusal_survives_the_wire() {
        let refusal = Refusal::new(Reason::OutOfStock, "Only 2 are left.")
            .with_metadata("order_id", "0198c9a5")
            .with_violation("/items/0/quantity", "Only 2 are available.")
            .with_retry_after(Duration::from_secs(3));
        let status = Status::from(refusal.clone());
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(Refusal::from_status(&status), refusal);
    }

    #[test]
    fn a_foreign_status_keeps_its_meaning_and_loses_its_words() {
        let refusal = Refusal::from_status(&Status::unavailable("tcp connect error to 10.0.0.7:5003"));
        assert_eq!(refusal.reason, Reason::Unavailable);
        assert!(!refusal.detail.contains("10.0.0.7"));
    }

    #[test]
    fn codes_are_unique_and_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
    }

    #[test]
    fn violations_are_bounded() {
        let many = (0..100).map(|n| Violation { pointer: format!("/items/{n}"), detail: "no".into() }).collect();
        assert_eq!(Refusal::invalid(many).violations.len(), Refusal::MAX_VIOLATIONS);
    }
}
