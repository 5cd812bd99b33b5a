//! What a request must be before anything else of it is looked at.

use axum::extract::Request;
use http::{Version, header};
use shop_proto::status::Reason;

use crate::problem::Problem;

/// The largest header fields that are let in: the credential among them travels on in gRPC headers, which have bounds of
/// their own.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// Refuses URLs that are not text, since frameworks decode them each in their own lenient way, oversized headers, and what
/// names no host or several (RFC 9112, section 3.2), since a proxy may have read the other one.
pub(super) fn readable(request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    for (part, name) in [(uri.path(), "path"), (uri.query().unwrap_or_default(), "query")] {
        if !is_text(part) {
            let detail = format!("The {name} must be percent-encoded UTF-8 without NUL.");
            return Err(Problem::new(Reason::MalformedRequest, detail));
        }
    }
    let size: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADER_BYTES {
        let detail = format!("The header fields may have at most {MAX_HEADER_BYTES} bytes in all.");
        return Err(Problem::new(Reason::HeadersTooLarge, detail));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() || first.is_none() && request.version() == Version::HTTP_11 {
        return Err(Problem::malformed("Host", "must be given once"));
    }
    Ok(())
}

fn is_text(encoded: &str) -> bool {
    if !encoded.contains('%') {
        return true;
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return false };
        // Two hexadecimal digits fit a byte.
        decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    !decoded.contains(&0) && std::str::from_utf8(&decoded).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_percent_encoded_text() {
        for text in ["/api/v1/products/blue-mug", "/caf%C3%A9", "a=b%20c"] {
            assert!(is_text(text), "{text}");
        }
        for other in ["/a%00b", "/%FF", "/%C3", "/%zz", "/%2", "/%"] {
            assert!(!is_text(other), "{other}");
        }
    }
}
