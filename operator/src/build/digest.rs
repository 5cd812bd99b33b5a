//! Digests that tell one thing from another in names and annotations.

use aws_lc_rs::digest::{SHA256, digest as sha256};

/// As many hexadecimal digits as tell the things of one shop apart: 40 bits.
const DIGITS: usize = 10;

/// A digest of some texts or bytes in this order; where one ends and the next begins counts.
pub fn digest<T: AsRef<[u8]>>(parts: &[T]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        let part = part.as_ref();
        bytes.extend_from_slice(&part.len().to_be_bytes());
        bytes.extend_from_slice(part);
    }
    let mut text = hex::encode(sha256(&SHA256, &bytes));
    text.truncate(DIGITS);
    text
}

/// A digest of what an object says.
pub(super) fn digest_of(object: &impl serde::Serialize) -> String {
    // What k8s-openapi's types hold are texts, numbers, lists and maps, which are always JSON.
    digest(&[serde_json::to_string(object).unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn it_tells_where_a_text_ends() {
        assert_eq!(digest(&["a", "b"]).len(), 10);
        assert_ne!(digest(&["ab", ""]), digest(&["a", "b"]));
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
    }
}
