//! Keyset pages: limits, and cursors that a client can carry but not change.
//!
//! A cursor holds the position of the last row that was shown, sealed with HMAC-SHA256 over the position and its scope:
//! the listing, its filters and its owner. Another listing's cursor, or a changed one, does not open.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

/// Rows of a page when the caller names no limit.
pub const DEFAULT_LIMIT: u64 = 20;
/// Rows of a page at most.
pub const MAX_LIMIT: u64 = 100;
/// Half of SHA-256's output: 128 bits are beyond guessing and keep cursors short.
const TAG_LEN: usize = 16;
/// Longer than any cursor made here.
const MAX_CURSOR_LEN: usize = 2048;

/// The cursor was changed, made by someone else, or belongs to another listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor does not belong to this listing")]
pub struct InvalidCursor;

/// The limit is not 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 1 to {MAX_LIMIT}")]
pub struct InvalidLimit;

/// A page's size from a request, where 0 stands for "not given".
pub fn limit(requested: i32) -> Result<u64, InvalidLimit> {
    match u64::try_from(requested) {
        Ok(0) => Ok(DEFAULT_LIMIT),
        Ok(limit) if limit <= MAX_LIMIT => Ok(limit),
        _ => Err(InvalidLimit),
    }
}

/// Seals and opens cursors. Replicas that share the secret understand each other's.
#[derive(Clone)]
pub struct CursorKey(hmac::Key);

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey")
    }
}

impl CursorKey {
    /// A key from a shared secret.
    pub fn new(secret: &SecretString) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()))
    }

    /// The cursor of a position in a listing.
    pub fn seal(&self, scope: &str, position: &impl Serialize) -> String {
        let payload = serde_json::to_vec(position).unwrap_or_default();
        let mut sealed = self.tag(scope, &payload);
        sealed.extend_from_slice(&payload);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The position in a cursor that [`CursorKey::seal`] made for the same scope.
    pub fn open<T: DeserializeOwned>(&self, scope: &str, cursor: &str) -> Result<T, InvalidCursor> {
        if cursor.len() > MAX_CURSOR_LEN {
            return Err(InvalidCursor);
        }
        let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
        let (tag, payload) = sealed.split_at_checked(TAG_LEN).ok_or(InvalidCursor)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(tag, &self.tag(scope, payload)).map_err(|_| InvalidCursor)?;
        serde_json::from_slice(payload).map_err(|_| InvalidCursor)
    }

    fn tag(&self, scope: &str, payload: &[u8]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        // The length keeps ("a", "bc") and ("ab", "c") apart.
        context.update(&(scope.len() as u64).to_be_bytes());
        context.update(scope.as_bytes());
        context.update(payload);
        context.sign().as_ref()[..TAG_LEN].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> CursorKey {
        CursorKey::new(&SecretString::from("0123456789abcdef0123456789abcdef"))
    }

    proptest! {
        #[test]
        fn a_cursor_opens_to_what_was_sealed(scope: String, amount: i64, id: u128) {
            let cursor = key().seal(&scope, &(amount, id.to_string()));
            prop_assert_eq!(key().open::<(i64, String)>(&scope, &cursor), Ok((amount, id.to_string())));
        }

        #[test]
        fn a_changed_cursor_does_not_open(at in 0usize..60, bit in 0u8..6) {
            let cursor = key().seal("orders", &(42i64, "0198c9a5-0000-7000-8000-000000000000"));
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(key().open::<(i64, String)>("orders", &URL_SAFE_NO_PAD.encode(bytes)), Err(InvalidCursor));
        }

        #[test]
        fn garbage_does_not_open(cursor: String) {
            prop_assert_eq!(key().open::<i64>("orders", &cursor), Err(InvalidCursor));
        }
    }

    #[test]
    fn a_cursor_of_another_listing_or_key_does_not_open() {
        let cursor = key().seal("products?sort=price", &1i64);
        assert_eq!(key().open::<i64>("products?sort=name", &cursor), Err(InvalidCursor));
        let other = CursorKey::new(&SecretString::from("another secret of thirty-two bytes"));
        assert_eq!(other.open::<i64>("products?sort=price", &cursor), Err(InvalidCursor));
    }

    #[test]
    fn limits_have_a_default_and_a_bound() {
        assert_eq!((limit(0), limit(1), limit(100)), (Ok(20), Ok(1), Ok(100)));
        assert_eq!((limit(-1), limit(101)), (Err(InvalidLimit), Err(InvalidLimit)));
    }
}
