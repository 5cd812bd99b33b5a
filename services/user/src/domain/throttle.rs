//! The login throttle: how many failures are too many, for whom.
//!
//! Three counts over the last quarter of an hour. Failures from an address the account has signed in from before never
//! shut its owner out: the right password from there always works, whatever anyone else does to the account. Beyond the
//! limits it is one attempt a second that is looked at from there, so that whoever shares the address can't guess on.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use shop_types::{Instant, Uuid};
use unicode_normalization::UnicodeNormalization as _;

use super::Email;

/// How long a failure counts.
pub(crate) const WINDOW: Duration = Duration::from_mins(15);

/// The time between two attempts from a known address that are looked at beyond the limits.
pub(crate) const SPACING: Duration = Duration::from_secs(1);

/// What failures are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Those of one account from one address.
    Pair,
    /// Those of one address, whatever the account.
    Address,
    /// Those of one account from addresses it never signed in from.
    Account,
}

impl Limit {
    /// Failures in [`WINDOW`] after which it is enough.
    pub(crate) const fn failures(self) -> u64 {
        match self {
            Self::Pair => 10,
            Self::Address => 50,
            Self::Account => 100,
        }
    }
}

/// For each limit that is reached, when enough of its failures began to count: the time of the failure that reached it,
/// counted back from the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    pub(crate) pair: Option<Instant>,
    pub(crate) address: Option<Instant>,
    pub(crate) account: Option<Instant>,
}

/// Whether an attempt is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is, and counts as a failure until it succeeds.
    Admitted,
    /// It is when its turn has come ([`SPACING`]), because it comes from where the account signs in; a wrong password is
    /// answered as throttled.
    AdmittedFromKnown { retry_after: Duration },
    /// It is not.
    Throttled { retry_after: Duration },
}

/// Judges an attempt by the failures so far.
pub(crate) fn judge(failures: Failures, known_address: bool, now: Instant) -> Verdict {
    // Foreign failures are counted for attempts from foreign addresses only.
    let account = failures.account.filter(|_| !known_address);
    let reached = [failures.pair, failures.address, account].into_iter().flatten();
    let Some(counts_from) = reached.max() else { return Verdict::Admitted };
    // Whole seconds, rounded up, so that whoever waits as told is admitted.
    let left = counts_from.plus(WINDOW).since(now);
    let retry_after = Duration::from_secs(left.as_secs() + 1);
    if known_address { Verdict::AdmittedFromKnown { retry_after } } else { Verdict::Throttled { retry_after } }
}

/// The network address a login comes from, as it is counted: an IPv6 network of 64 bits is one customer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientAddress(String);

impl ClientAddress {
    /// A wrong current password is counted by the session that gave it: it proves an account, not an address.
    pub(crate) fn session(id: Uuid) -> Self {
        Self(format!("session:{}", id.simple()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_string()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }
}

/// What failures of an account are kept under, whether it exists or not. A hash, since people type passwords into the
/// wrong field.
pub(crate) fn account_key(raw_email: &str) -> Vec<u8> {
    let key = match Email::parse(raw_email) {
        Ok(email) => email.key().to_owned(),
        Err(_) => raw_email.trim().nfc().collect(),
    };
    digest(&SHA256, key.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Instant = Instant::from_micros(1_800_000_000_000_000);

    fn at(seconds_ago: u64) -> Instant {
        Instant::from_micros(NOW.as_micros() - i64::try_from(seconds_ago).unwrap() * 1_000_000)
    }

    #[test]
    fn nobody_is_throttled_below_the_limits() {
        assert_eq!(judge(Failures::default(), false, NOW), Verdict::Admitted);
    }

    #[test]
    fn the_wait_lasts_until_the_count_falls_below_the_limit() {
        let failures = Failures { pair: Some(at(800)), address: Some(at(100)), account: None };
        let retry_after = Duration::from_secs(801);
        assert_eq!(judge(failures, false, NOW), Verdict::Throttled { retry_after });
    }

    #[test]
    fn a_known_address_is_always_heard_and_foreign_failures_are_not_its_own() {
        let failures = Failures { account: Some(at(1)), ..Failures::default() };
        assert!(matches!(judge(failures, false, NOW), Verdict::Throttled { .. }));
        assert_eq!(judge(failures, true, NOW), Verdict::Admitted);
        let failures = Failures { pair: Some(at(1)), ..Failures::default() };
        assert!(matches!(judge(failures, true, NOW), Verdict::AdmittedFromKnown { .. }));
    }

    #[test]
    fn a_network_is_one_client() {
        let client = |text: &str| ClientAddress::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(client("2001:db8:1:2:3:4:5:6"), client("2001:db8:1:2::9"));
        assert_ne!(client("2001:db8:1:2::9"), client("2001:db8:1:3::9"));
        assert_eq!(client("::ffff:192.0.2.1").as_str(), "192.0.2.1");
    }

    #[test]
    fn an_account_is_one_however_its_address_is_typed() {
        assert_eq!(account_key(" Ada@Example.com"), account_key("ada@example.COM "));
        assert_ne!(account_key("ada@example.com"), account_key("bob@example.com"));
        assert_ne!(account_key("no address"), account_key("another"));
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_admitted(pair in 0u64..900, address in 0u64..900, account in 0u64..900, known: bool) {
            let failures = Failures { pair: Some(at(pair)), address: Some(at(address)), account: Some(at(account)) };
            let (Verdict::Throttled { retry_after } | Verdict::AdmittedFromKnown { retry_after }) = judge(failures, known, NOW)
                else { panic!("limits were reached") };
            let later = NOW.plus(retry_after);
            let counts = |failure: Option<Instant>| failure.filter(|at| later.since(*at) < WINDOW);
            let left = Failures {
                pair: counts(failures.pair), address: counts(failures.address), account: counts(failures.account),
            };
            prop_assert_eq!(judge(left, known, later), Verdict::Admitted);
        }
    }
}
