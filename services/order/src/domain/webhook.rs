//! A payment provider's notice: its signature and what it says.
//!
//! The header is `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<raw body>">`, with more than one `v1` where the provider
//! rotates its secret, as Stripe's webhooks have it (<https://docs.stripe.com/webhooks#verify-manually>). The events that
//! this service sends are signed the same way.

use std::time::Duration;

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use shop_types::{Currency, Instant, Money, Text, Uuid};

use super::{Invalid, Reference, parse_id};

/// Bytes of a notice. They are a few hundred.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How far a signature's time may be from this machine's clock: a captured notice can't be sent again later.
const WINDOW: Duration = Duration::from_mins(5);
/// Bytes of the header: a time and a handful of signatures.
const MAX_HEADER: usize = 1024;
/// Secrets at once: the present one and, in a rotation, the next.
const MAX_SECRETS: usize = 2;

/// The signature does not fit the body, the secret or the time. Which of them is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub(crate) struct InvalidSignature;

/// Why secrets are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one secret, or two separated by a comma")]
pub(crate) struct InvalidSecrets;

/// A secret shared with the other side.
#[derive(Clone)]
pub(crate) struct SigningKey(hmac::Key);

impl SigningKey {
    pub(crate) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The header for a body that is sent at `now`.
    pub(crate) fn sign(&self, now: Instant, body: &[u8]) -> String {
        let at = now.as_seconds();
        format!("t={at},v1={}", hex::encode(hmac::sign(&self.0, &signed_bytes(&at.to_string(), body))))
    }
}

/// The secrets that notices may be signed with; with none, no signature is valid.
#[derive(Clone, Default)]
pub(crate) struct WebhookSecrets(Vec<SigningKey>);

impl WebhookSecrets {
    /// Reads one secret, or two separated by a comma.
    pub(crate) fn parse(secrets: &SecretString) -> Result<Self, InvalidSecrets> {
        let parts: Vec<_> = secrets.expose_secret().split(',').map(str::trim).collect();
        if parts.len() > MAX_SECRETS || parts.iter().any(|part| part.is_empty()) {
            return Err(InvalidSecrets);
        }
        Ok(Self(parts.into_iter().map(SigningKey::new).collect()))
    }

    /// Checks a header against the raw body, and says when it was signed. The comparison takes the same time wherever the
    /// two differ.
    pub(crate) fn verify(&self, header: &str, body: &[u8]) -> Result<SignedAt, InvalidSignature> {
        let (at, signatures) = parse_header(header).ok_or(InvalidSignature)?;
        let seconds: i64 = at.parse().map_err(|_| InvalidSignature)?;
        let signed_at = Instant::from_micros(seconds.checked_mul(1_000_000).ok_or(InvalidSignature)?);
        let message = signed_bytes(at, body);
        let fits = self.0.iter().any(|key| signatures.iter().any(|tag| hmac::verify(&key.0, &message, tag).is_ok()));
        if fits { Ok(SignedAt(signed_at)) } else { Err(InvalidSignature) }
    }
}

/// When a body was signed. It counts only if that is not long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignedAt(Instant);

impl SignedAt {
    /// Checks that it was within five minutes of now, either way.
    pub(crate) fn check(self, now: Instant) -> Result<(), InvalidSignature> {
        if now.since(self.0).max(self.0.since(now)) > WINDOW { Err(InvalidSignature) } else { Ok(()) }
    }
}

/// The time as it is written and the signatures; schemes other than `v1` are passed over.
fn parse_header(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    if header.len() > MAX_HEADER {
        return None;
    }
    let mut at = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        match name {
            "t" if at.is_some() || !value.bytes().all(|byte| byte.is_ascii_digit()) => return None,
            "t" => at = Some(value),
            "v1" => signatures.push(hex::decode(value).ok()?),
            _ => {}
        }
    }
    at.map(|at| (at, signatures))
}

fn signed_bytes(at: &str, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(at.len() + 1 + body.len());
    message.extend_from_slice(at.as_bytes());
    message.push(b'.');
    message.extend_from_slice(body);
    message
}

/// Why a signed notice can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidNotice {
    /// Not the JSON it should be.
    #[error("the notice can't be read: {0}")]
    Malformed(String),
    #[error(transparent)]
    Invalid(Invalid),
}

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The provider's name for the notice itself.
    pub(crate) id: Text<200>,
    pub(crate) order_id: Uuid,
    pub(crate) reference: Reference,
    pub(crate) amount: Money,
    /// The provider's clock; it decides nothing.
    pub(crate) paid_at: Instant,
}

/// What else a provider says is passed over: it may say more one day, and money must come in all the same.
#[derive(Deserialize)]
struct RawNotice {
    id: String,
    order_id: String,
    reference: String,
    amount: RawMoney,
    paid_at: String,
}

#[derive(Deserialize)]
struct RawMoney {
    amount: i64,
    currency: String,
}

impl Notice {
    /// Reads a notice and reports all that is wrong with it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, InvalidNotice> {
        let raw: RawNotice =
            serde_json::from_slice(body).map_err(|error| InvalidNotice::Malformed(error.to_string()))?;
        let mut invalid = Invalid::default();
        let id = invalid.take("/id", Text::parse(&raw.id));
        let order_id = parse_id("/order_id", &raw.order_id).ok();
        if order_id.is_none() {
            invalid.refuse("/order_id", "must be a UUID");
        }
        let reference = invalid.take("/reference", Reference::parse(&raw.reference));
        let amount = parse_amount(&mut invalid, raw.amount.amount, &raw.amount.currency);
        let paid_at =
            invalid.take("/paid_at", raw.paid_at.parse::<Instant>().map_err(|_| "must be a time as in RFC 3339"));
        let notice = match (id, order_id, reference, amount, paid_at) {
            (Some(id), Some(order_id), Some(reference), Some(amount), Some(paid_at)) => {
                Some(Self { id, order_id, reference, amount, paid_at })
            }
            _ => None,
        };
        invalid.or(notice).map_err(InvalidNotice::Invalid)
    }
}

/// Reads money that changed hands: 0 or more. A provider's amount beyond [`super::MAX_AMOUNT`] can be read; it is stored
/// with the notice, and not applied.
pub(crate) fn parse_amount(invalid: &mut Invalid, amount: i64, currency: &str) -> Option<Money> {
    let currency = invalid.take("/amount/currency", currency.parse::<Currency>());
    if amount < 0 {
        invalid.refuse("/amount/amount", "must be 0 or more");
        return None;
    }
    currency.map(|currency| Money::new(amount, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1","order_id":"0198c9a5-0000-7000-8000-00000000000a","reference":"pay_1","amount":{"amount":1999,"currency":"USD"},"paid_at":"2026-11-22T10:00:00Z"}"#;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn secrets(text: &str) -> WebhookSecrets {
        WebhookSecrets::parse(&SecretString::from(text.to_owned())).unwrap()
    }

    #[test]
    fn signatures() {
        let now = at(1_000_000);
        let good = SigningKey::new("first").sign(now, BODY);
        let next = SigningKey::new("second").sign(now, BODY);
        let (_, tag) = good.split_once(",v1=").unwrap();
        let (_, next_tag) = next.split_once(",v1=").unwrap();
        let both = secrets("first,second");
        let one = secrets("first");
        let cases: &[(&str, &WebhookSecrets, &str, i64, bool)] = &[
            ("good", &one, &good, 0, true),
            ("at the end of the window", &one, &good, 300, true),
            ("from a clock that is ahead", &one, &good, -300, true),
            ("too old", &one, &good, 301, false),
            ("too far ahead", &one, &good, -301, false),
            ("the next secret, before the rotation", &one, &next, 0, false),
            ("the next secret, in a rotation", &both, &next, 0, true),
            ("the first secret, in a rotation", &both, &good, 0, true),
            ("signed with both", &one, &format!("t=1000000,v1={next_tag},v1={tag}"), 0, true),
            ("beside an unknown scheme", &one, &format!("t=1000000,v0=ab,v1={tag}"), 0, true),
            ("spaced", &one, &format!("t=1000000, v1={tag}"), 0, true),
            ("upper-case hex", &one, &format!("t=1000000,v1={}", tag.to_uppercase()), 0, true),
            ("another time under the same signature", &one, &format!("t=1000001,v1={tag}"), 0, false),
            ("two times", &one, &format!("t=1000000,t=1000000,v1={tag}"), 0, false),
            ("no time", &one, &format!("v1={tag}"), 0, false),
            ("a signed time", &one, &format!("t=+1000000,v1={tag}"), 0, false),
            ("a time beyond counting", &one, &format!("t=9223372036854775807,v1={tag}"), 0, false),
            ("no signature", &one, "t=1000000", 0, false),
            ("half a signature", &one, &format!("t=1000000,v1={}", &tag[..32]), 0, false),
            ("no hex", &one, "t=1000000,v1=zz", 0, false),
            ("another scheme", &one, &format!("t=1000000,v0={tag}"), 0, false),
            ("empty", &one, "", 0, false),
            ("no secret set", &WebhookSecrets::default(), &good, 0, false),
        ];
        for (name, secrets, header, later, valid) in cases {
            let verified = secrets.verify(header, BODY).and_then(|signed| signed.check(at(1_000_000 + later)));
            assert_eq!(verified.is_ok(), *valid, "{name}");
        }
        assert!(one.verify(&good, b"{}").is_err(), "another body");
        assert!(one.verify(&format!("{good}{}", ",v1=00".repeat(400)), BODY).is_err(), "too long");
    }

    #[test]
    fn at_most_two_secrets() {
        for wrong in ["", ",", "a,", "a,b,c"] {
            assert!(WebhookSecrets::parse(&SecretString::from(wrong.to_owned())).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_notice_is_read() {
        let notice = Notice::parse(BODY).unwrap();
        assert_eq!((notice.id.as_str(), notice.reference.as_str()), ("evt_1", "pay_1"));
        assert_eq!(notice.amount, Money::new(1999, "USD".parse().unwrap()));
        let more = String::from_utf8(BODY.to_vec()).unwrap().replace('{', r#"{"more":{"than":"that"},"#);
        assert_eq!(Notice::parse(more.as_bytes()), Ok(notice));
    }

    #[test]
    fn every_violation_of_a_notice_is_reported() {
        let body = br#"{"id":"","order_id":"7","reference":"\u0000","amount":{"amount":-1,"currency":"usd"},"paid_at":"today"}"#;
        let InvalidNotice::Invalid(invalid) = Notice::parse(body).unwrap_err() else { panic!("expected violations") };
        let pointers: Vec<_> = invalid.violations().iter().map(|violation| violation.pointer.as_str()).collect();
        assert_eq!(pointers, ["/id", "/order_id", "/reference", "/amount/currency", "/amount/amount", "/paid_at"]);
    }

    #[test]
    fn what_is_no_notice_is_malformed() {
        for body in [&b""[..], b"[]", b"{", b"{}", b"\xff", br#"{"id":1}"#, &[BODY, b"x"].concat()] {
            assert!(matches!(Notice::parse(body), Err(InvalidNotice::Malformed(_))), "{body:?}");
        }
    }
}
