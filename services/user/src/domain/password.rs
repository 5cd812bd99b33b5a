//! Passwords before they are hashed.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;

use super::Email;

/// Characters of a password at least (NIST SP 800-63B-4 asks for 15 where it is the only factor and 8 otherwise).
const MIN_CHARS: usize = 12;
/// Characters of a password at most: room for a passphrase, and a bound on the work of hashing.
const MAX_CHARS: usize = 128;
/// Bytes that normalising is begun with at most.
const MAX_RAW_LEN: usize = MAX_CHARS * 16;
/// A run of characters that are all the same or all consecutive and makes up this share of a password (in tenths) leaves
/// too little to guess.
const PATTERN_SHARE: usize = 7;
/// Digits and marks around a common word that don't make it uncommon.
const MAX_DECORATION: usize = 6;

/// A password, normalised to NFKC so that keyboards agree (NIST SP 800-63B-4, section 3.1.1.2). Never shown.
#[derive(Clone)]
pub(crate) struct Password(SecretString);

/// Why a password is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WeakPassword {
    #[error("must have {MIN_CHARS} to {MAX_CHARS} characters")]
    Length,
    #[error("must not contain control characters")]
    ControlCharacter,
    #[error("is one of the first that anyone would try; choose another")]
    Common,
    #[error("must not contain your e-mail address")]
    ContainsEmail,
}

impl Password {
    /// A password to be set for the account with that e-mail.
    pub(crate) fn choose(raw: &str, email: &Email) -> Result<Self, WeakPassword> {
        let password = Self::present(raw).ok_or(WeakPassword::Length)?;
        let text = password.expose();
        if !(MIN_CHARS..=MAX_CHARS).contains(&text.chars().count()) {
            return Err(WeakPassword::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(WeakPassword::ControlCharacter);
        }
        let lower: String = text.to_lowercase();
        if lower.contains(email.key()) {
            return Err(WeakPassword::ContainsEmail);
        }
        if is_common(&lower) || is_pattern(&lower) { Err(WeakPassword::Common) } else { Ok(password) }
    }

    /// A password somebody claims to be theirs; `None` when it is too long to be anyone's.
    pub(crate) fn present(raw: &str) -> Option<Self> {
        let fits = raw.len() <= MAX_RAW_LEN;
        fits.then(|| Self(SecretString::from(raw.nfkc().collect::<String>())))
    }

    /// The characters, for hashing.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Whether it is a word that everyone tries, also with digits and marks around it or repeated.
fn is_common(lower: &str) -> bool {
    let undecorated = lower.trim_matches(|c: char| !c.is_alphabetic());
    let plain: String = undecorated.chars().map(unleet).filter(|c| c.is_alphanumeric()).collect();
    let whole: String = lower.chars().filter(|c| !c.is_whitespace()).collect();
    let listed = |text: &str| COMMON.lines().any(|common| common == text);
    let scarcely_decorated = lower.chars().count() - undecorated.chars().count() <= MAX_DECORATION;
    listed(&whole)
        || is_keyboard_walk(&whole)
        || scarcely_decorated
            && (listed(undecorated) || listed(&plain) || repeated_word(&plain) || is_keyboard_walk(undecorated))
}

/// What the usual substitutions of letters stand for.
fn unleet(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// Whether it is one of the shortest common words again and again.
fn repeated_word(text: &str) -> bool {
    REPEATED.iter().any(|word| text.len() > word.len() && text.split(word).all(str::is_empty))
}

/// Whether it goes along the rows of a keyboard, in one direction, perhaps one row after the other.
fn is_keyboard_walk(text: &str) -> bool {
    const ROWS: [&str; 5] = ["1234567890", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm"];
    let mut rest = text;
    let mut steps = 0;
    while !rest.is_empty() {
        let longest = ROWS.iter().filter_map(|row| longest_prefix_in(rest, row)).max().unwrap_or(0);
        if longest < 3 {
            return false;
        }
        rest = &rest[longest..];
        steps += 1;
    }
    steps > 0
}

fn longest_prefix_in(text: &str, row: &str) -> Option<usize> {
    (1..=text.len()).rev().filter(|end| text.is_char_boundary(*end)).find(|end| row.contains(&text[..*end]))
}

/// Whether most of it is one character, or characters that follow one another, or one short piece again and again.
fn is_pattern(lower: &str) -> bool {
    let chars: Vec<u32> = lower.chars().map(u32::from).collect();
    let longest_run = |step: i64| {
        let (mut longest, mut run) = (1, 1);
        for pair in chars.windows(2) {
            run = if i64::from(pair[1]) - i64::from(pair[0]) == step { run + 1 } else { 1 };
            longest = longest.max(run);
        }
        longest
    };
    let runs = [-1, 0, 1].into_iter().any(|step| longest_run(step) * 10 >= chars.len() * PATTERN_SHARE);
    // "abcabcabcabc": one piece of up to four characters.
    let periods = (1..=4).any(|period| chars.iter().zip(chars.iter().skip(period)).all(|(a, b)| a == b));
    runs || periods
}

/// Short words that are made long enough by repeating them.
const REPEATED: [&str; 12] = [
    "password", "passwort", "admin", "welcome", "letmein", "qwerty", "secret", "iloveyou", "login", "shop", "test",
    "hello",
];

/// Well-known passwords of twelve characters and more in lower case, with their usual decorations (digits and marks at
/// the ends, 0 for o and the like) taken off. Not a breach corpus: what tops every list, assembled by hand.
const COMMON: &str = include_str!("common_passwords.txt");

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(raw: &str) -> Result<Password, WeakPassword> {
        Password::choose(raw, &Email::parse("ada@example.com").unwrap())
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(choose("äöü-ßéñ-çøå-").is_ok());
        assert_eq!(choose("short-one-1").unwrap_err(), WeakPassword::Length);
        assert!(choose(&"correct horse battery staple ".repeat(4)).is_ok());
        assert_eq!(choose(&"xy7-".repeat(33)).unwrap_err(), WeakPassword::Length);
        assert_eq!(choose(&"x".repeat(1 << 20)).unwrap_err(), WeakPassword::Length);
        assert_eq!(choose("tab\tulated-pass").unwrap_err(), WeakPassword::ControlCharacter);
        assert_eq!(choose("nul\0byte-in-pass").unwrap_err(), WeakPassword::ControlCharacter);
    }

    #[test]
    fn the_first_guesses_are_refused() {
        for common in [
            "password1234",
            "Password123!",
            "PASSWORD12345",
            "P@ssw0rd1234",
            "passwordpassword",
            "qwertyuiop123",
            "qwertyuiopasdf",
            "123456789012",
            "1234567890123456",
            "987654321098",
            "111111111111",
            "aaaaaaaaaaaaa1",
            "abcdefghijkl",
            "abcabcabcabc",
            "1212121212121212",
            "administrator",
            "Administrator1",
            "changeme1234",
            "iloveyouiloveyou",
            "welcome12345",
            "letmeinletmein",
            "trustno1trustno1",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
            "qazwsxedcrfv",
            "correcthorsebatterystaple",
        ] {
            assert_eq!(choose(common).unwrap_err(), WeakPassword::Common, "{common}");
        }
        assert_eq!(choose("my ADA@example.com!").unwrap_err(), WeakPassword::ContainsEmail);
    }

    #[test]
    fn what_nobody_else_would_choose_is_taken() {
        for fine in [
            "correct horse battery",
            "Tr0ub4dor&3-plus",
            "a quiet password for two",
            "my-test-shop-admin-7",
            "qz8Lw2pXv0Ke",
            "0198c9a5b7d1f3e2",
            "wer das liest ist neugierig",
        ] {
            assert!(choose(fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn keyboards_agree() {
        let composed = choose("caf\u{e9}-caf\u{e9}-42-x").unwrap();
        let decomposed = Password::present("cafe\u{301}-cafe\u{301}-42-x").unwrap();
        assert_eq!(composed.expose(), decomposed.expose());
        assert!(!format!("{composed:?}").contains("caf"));
    }
}
