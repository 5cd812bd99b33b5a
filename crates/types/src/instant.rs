//! Instants on the time line, to the microsecond: what all three database engines and RFC 3339 can hold alike.

use std::{fmt, str::FromStr, time::Duration};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    /// This machine's clock. Decisions that replicas must agree on use the database's clock instead.
    pub fn now() -> Self {
        Self::from(OffsetDateTime::now_utc())
    }

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Later by `duration`, at most the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn to_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl From<OffsetDateTime> for Instant {
    fn from(value: OffsetDateTime) -> Self {
        Self(i64::try_from(value.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX))
    }
}

/// RFC 3339 in UTC, with `Z`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_date_time().format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Instant {
    type Err = time::error::Parse;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &Rfc3339).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        let instant: Instant = "2026-11-22T10:00:00.000250+01:00".parse().unwrap();
        assert_eq!(instant.to_string(), "2026-11-22T09:00:00.00025Z");
        assert_eq!(instant.to_string().parse::<Instant>().unwrap(), instant);
        assert!("2026-11-22".parse::<Instant>().is_err());
    }

    #[test]
    fn distance_is_never_negative() {
        let early = Instant::from_micros(5);
        let late = early.plus(Duration::from_micros(7));
        assert_eq!(late.since(early), Duration::from_micros(7));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
