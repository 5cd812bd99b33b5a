//! How the members are written, and their bounds.

/// Rates beyond this are no limits.
const MAX_RATE: u32 = 1_000_000;
/// More origins than any shop's pages have.
const MAX_ORIGINS: usize = 100;
/// The longest a host name can be, with scheme and port.
const MAX_ORIGIN: usize = 253 + 16;
/// Longer than a level for each part of a process.
const MAX_LOG_LEVEL: usize = 1024;

/// Numbers from 1 to a million.
pub(super) mod count {
    use std::num::NonZeroU32;

    use serde::{Deserialize as _, Deserializer, de::Error as _};

    use super::MAX_RATE;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU32, D::Error> {
        let count = NonZeroU32::deserialize(deserializer)?;
        if count.get() <= MAX_RATE {
            Ok(count)
        } else {
            Err(D::Error::custom(format_args!("must be at most {MAX_RATE}")))
        }
    }
}

/// A member that is written in another form than it is held in; `null` is as good as absent.
macro_rules! member {
    ($name:ident, $held:ty, $written:ty, $read:path, $write:path) => {
        pub(super) mod $name {
            use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

            #[expect(clippy::ref_option, reason = "serde gives it so")]
            pub(crate) fn serialize<S: Serializer>(value: &Option<$held>, serializer: S) -> Result<S::Ok, S::Error> {
                value.as_ref().map($write).serialize(serializer)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$held>, D::Error> {
                let written = Option::<$written>::deserialize(deserializer)?;
                written.map(|written| $read(&written)).transpose().map_err(D::Error::custom)
            }
        }
    };
}

member!(origins, Vec<String>, Vec<String>, super::read_origins, Clone::clone);
member!(payment_timeout, std::time::Duration, String, crate::parse_payment_timeout, super::write_duration);
member!(log_level, String, String, super::read_log_level, Clone::clone);
member!(ratio, f64, String, super::read_ratio, ToString::to_string);

fn write_duration(duration: &std::time::Duration) -> String {
    crate::format_duration(*duration)
}

fn read_origins(origins: &[String]) -> Result<Vec<String>, String> {
    if origins.len() > MAX_ORIGINS {
        return Err(format!("must be at most {MAX_ORIGINS} origins"));
    }
    if origins.len() > 1 && origins.iter().any(|origin| origin == "*") {
        return Err("\"*\" allows every origin and must stand alone".to_owned());
    }
    origins.iter().map(|origin| parse_origin(origin)).collect()
}

/// Reads one origin, or the `*` that stands for any.
pub fn parse_origin(text: &str) -> Result<String, String> {
    if text == "*" || is_origin(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no origin such as https://shop.example or http://localhost:3000"))
    }
}

/// Scheme, host and perhaps a port as browsers write them in `Origin`: lower case, no path (RFC 6454, section 6.2).
fn is_origin(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let (host_is_good, port) = if let Some(bracketed) = rest.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']').unwrap_or_default();
        (address.parse::<std::net::Ipv6Addr>().is_ok(), port)
    } else {
        let (host, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
        let in_host = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        (!host.is_empty() && host.chars().all(in_host), port)
    };
    text.len() <= MAX_ORIGIN && host_is_good && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == text)
}

/// A part of what `EnvFilter` reads that it never refuses: levels, each perhaps of a part of the process.
fn read_log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
            && part.len() <= 128
    };
    let is_directive = |directive: &str| match directive.split_once('=') {
        Some((part, level)) => is_part(part) && LEVELS.contains(&level),
        None => LEVELS.contains(&directive),
    };
    if text.len() <= MAX_LOG_LEVEL && text.split(',').all(is_directive) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no level such as info, or levels such as warn,shop_order=debug"))
    }
}

fn read_ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!("{text:?} is no number from 0 to 1, such as \"0.1\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        for good in
            ["https://shop.example", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080", "http://[::1]"]
        {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "https://Shop.example",
            "https://shop.example:",
            "https://shop.example:0",
            "https://a:070",
            "https://shop.example/",
            "https://a b",
            "ftp://a",
            "https://u@a",
            "https://[::1",
            "https://[::1]x",
            "null",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn levels_are_levels() {
        for good in ["off", "info", "warn,shop_order=debug,h2::codec=trace"] {
            assert!(read_log_level(good).is_ok(), "{good}");
        }
        for bad in ["", "INFO!", "info,", "shop_order", "[span]=debug", "a=b", "=info", "info;debug"] {
            assert!(read_log_level(bad).is_err(), "{bad}");
        }
    }
}
