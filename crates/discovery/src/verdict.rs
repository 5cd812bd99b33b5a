//! What an answer says about the server that gave it.

use http::{HeaderMap, HeaderName, StatusCode};
use shop_proto::status::{ERROR_DOMAIN, Reason};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// [`Code::Ok`] in the header.
const OK: &str = "0";

/// Whose problem an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The caller's to read, good or bad.
    Final,
    /// The process at the address is not the one that was called; it did nothing.
    WrongInstance,
    /// Something between us and the service gave up: whether the service acted is not known.
    Unavailable,
}

/// What proxies say of a server they can't reach ("HTTP to gRPC Status Code Mapping").
const PROXY_ANSWERS: [StatusCode; 3] =
    [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];

/// Judges response headers, or the trailers of a response that was read to its end.
pub(crate) fn judge(http_status: StatusCode, headers: &HeaderMap) -> Verdict {
    // To read a status is to copy its headers, and nearly all are good.
    if headers.get(GRPC_STATUS).is_some_and(|code| code == OK) {
        return Verdict::Final;
    }
    match Status::from_header_map(headers) {
        Some(status) => judge_status(&status),
        None if PROXY_ANSWERS.contains(&http_status) => Verdict::Unavailable,
        None => Verdict::Final,
    }
}

/// Judges a status that was read already.
pub(crate) fn judge_status(status: &Status) -> Verdict {
    if status.code() == Code::Unavailable { judge_unavailable(status) } else { Verdict::Final }
}

/// A status with a reason of ours or a time to come back at was made by the service on purpose: it is an answer, and
/// asking another instance would get the same.
fn judge_unavailable(status: &Status) -> Verdict {
    let details = status.get_error_details();
    match details.error_info().filter(|info| info.domain == ERROR_DOMAIN) {
        Some(info) if info.reason == Reason::WrongInstance.code() => Verdict::WrongInstance,
        None if details.retry_info().is_none() => Verdict::Unavailable,
        Some(_) | None => Verdict::Final,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shop_proto::status::Refusal;
    use tonic_types::ErrorDetails;

    use super::*;

    fn verdict(status: Status) -> Verdict {
        let response = status.into_http::<()>();
        judge(response.status(), response.headers())
    }

    #[test]
    fn only_wrong_instance_and_foreign_unavailable_ask_for_another_instance() {
        for reason in Reason::ALL {
            let expected = match reason {
                Reason::WrongInstance => Verdict::WrongInstance,
                _ => Verdict::Final,
            };
            assert_eq!(verdict(Refusal::new(*reason, "No.").into()), expected, "{reason:?}");
        }
        assert_eq!(verdict(Status::unavailable("upstream connect error")), Verdict::Unavailable);
        assert_eq!(verdict(Status::internal("bug")), Verdict::Final);
        let later = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        assert_eq!(verdict(Status::with_error_details(Code::Unavailable, "later", later)), Verdict::Final);
    }

    #[test]
    fn a_proxys_answer_is_judged_by_its_http_status() {
        assert_eq!(judge(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new()), Verdict::Unavailable);
        assert_eq!(judge(StatusCode::OK, &HeaderMap::new()), Verdict::Final);
        assert_eq!(judge(StatusCode::NOT_FOUND, &HeaderMap::new()), Verdict::Final);
    }
}
