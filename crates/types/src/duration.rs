//! Durations as options are written: `500ms`, `10s`, `15m`, `24h`.

use std::time::Duration;

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
}
