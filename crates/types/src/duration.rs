//! Durations as options and settings are written: `500ms`, `10s`, `15m`, `24h`.

use std::time::Duration;

const MAX_PAYMENT_TIMEOUT: Duration = Duration::from_hours(365 * 24);

/// Reads a whole number with a unit of `ms`, `s`, `m` or `h`. The error says what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const SHAPE: &str = "expected a whole number and a unit, such as 500ms, 10s, 15m or 24h";
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(SHAPE)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| SHAPE)?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(SHAPE.to_owned()),
    };
    milliseconds.map(Duration::from_millis).ok_or_else(|| "longer than can be counted".to_owned())
}

/// Reads how long an order may stay unpaid: more than 0, and at most a year, since a longer time would not be told from
/// none.
pub fn parse_payment_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("expected more than 0".to_owned()),
        duration if duration > MAX_PAYMENT_TIMEOUT => Err("expected at most a year".to_owned()),
        duration => Ok(duration),
    }
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that divides it; what is shorter than a
/// millisecond is left out.
pub fn format_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let (number, unit) = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(size, _)| milliseconds > 0 && milliseconds.is_multiple_of(*size))
        .map_or((milliseconds, "ms"), |(size, unit)| (milliseconds / size, unit));
    format!("{number}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_are_read() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(parse_duration("24h"), Ok(Duration::from_hours(24)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "10", "s", "-1s", "1.5s", "10 s", "10d", "99999999999999999999s", "9999999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text:?} was read as a duration");
        }
    }

    #[test]
    fn a_payment_timeout_has_bounds() {
        assert_eq!(parse_payment_timeout("15m"), Ok(Duration::from_mins(15)));
        assert!(parse_payment_timeout("0s").is_err() && parse_payment_timeout("8761h").is_err());
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        for text in ["0ms", "1ms", "1500ms", "90s", "15m", "25h"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(format_duration(Duration::from_hours(1)), "1h");
    }
}
