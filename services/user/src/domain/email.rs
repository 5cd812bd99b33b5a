//! E-mail addresses.

use unicode_normalization::UnicodeNormalization as _;

/// The longest address that a mail server accepts (RFC 5321, section 4.5.3.1.3, less the angle brackets).
const MAX_LEN: usize = 254;
/// The longest part before the at sign (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_LEN: usize = 64;
/// The longest label of a domain (RFC 1035).
const MAX_LABEL_LEN: usize = 63;

/// An e-mail address: trimmed and NFC-normalised. Two that differ only in case are the same account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    text: String,
    key: String,
}

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most {MAX_LEN} bytes, such as ada@example.com")]
pub(crate) struct InvalidEmail;

impl Email {
    /// Checks the shape, and no more: whether anybody reads it only a mail can tell.
    pub(crate) fn parse(raw: &str) -> Result<Self, InvalidEmail> {
        if raw.len() > MAX_LEN * 4 {
            return Err(InvalidEmail);
        }
        let text: String = raw.trim().nfc().collect();
        let key: String = text.to_lowercase().nfc().collect();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        let fits = text.len() <= MAX_LEN && key.len() <= MAX_LEN && valid_local(local) && valid_domain(domain);
        if fits { Ok(Self { text, key }) } else { Err(InvalidEmail) }
    }

    /// The address as its owner writes it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What addresses are compared by.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

fn valid_local(local: &str) -> bool {
    (1..=MAX_LOCAL_LEN).contains(&local.len())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"\"(),:;<>@[\\]".contains(c))
}

fn valid_domain(domain: &str) -> bool {
    let valid_label = |label: &str| {
        (1..=MAX_LABEL_LEN).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    domain.contains('.') && domain.split('.').all(valid_label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_kept_as_written_and_compared_without_case() {
        let email = Email::parse("  Ada.Lovelace+shop@Example.COM ").unwrap();
        assert_eq!(email.as_str(), "Ada.Lovelace+shop@Example.COM");
        assert_eq!(email.key(), "ada.lovelace+shop@example.com");
        let composed = Email::parse("J\u{dc}RGEN@b\u{fc}cher.example").unwrap();
        let decomposed = Email::parse("ju\u{308}rgen@bu\u{308}cher.example").unwrap();
        assert_eq!(composed.key(), decomposed.key());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", "b.".repeat(130));
        for wrong in [
            "",
            " ",
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "ada@@example.com",
            "a@b@example.com",
            "ada@exa mple.com",
            "ada lovelace@example.com",
            ".ada@example.com",
            "ada.@example.com",
            "a..b@example.com",
            "ada@.com",
            "ada@example..com",
            "ada@-example.com",
            "ada@example-.com",
            "ada\0@example.com",
            "ada@exam\nple.com",
            "<ada@example.com>",
            "ada@example.com, bob@example.com",
            &long,
            &longer,
        ] {
            assert_eq!(Email::parse(wrong), Err(InvalidEmail), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn the_key_of_a_key_is_itself(local in "[\\p{L}\\p{N}.+_-]{1,20}", domain in "[\\p{L}\\p{N}-]{1,20}\\.[a-zA-Z]{2,5}") {
            let email = Email::parse(&format!("{local}@{domain}"));
            if let Ok(again) = email.as_ref().map_or(Err(InvalidEmail), |email| Email::parse(email.key())) {
                prop_assert_eq!(Ok(again.key()), email.as_ref().map(Email::key));
            }
        }

        #[test]
        fn nothing_panics(raw: String) {
            let _ = Email::parse(&raw);
        }
    }
}
