//! One line or paragraph that a person wrote: bounded, normalised, without control characters.

use unicode_normalization::UnicodeNormalization as _;

/// Trimmed, NFC-normalised text of 1 to `MAX` characters (Unicode scalar values) without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(String);

/// Why a text is refused, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Longer than allowed.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// NUL, a line break or another control character.
    #[error("must not contain control characters")]
    ControlCharacter,
}

impl<const MAX: usize> Text<MAX> {
    /// Normalises and checks one line of text.
    pub fn parse(raw: &str) -> Result<Self, TextError> {
        Self::check(raw, char::is_control)
    }

    /// The same for text of several lines: line feeds and tabs are allowed.
    pub fn parse_multiline(raw: &str) -> Result<Self, TextError> {
        Self::check(raw, |c| c.is_control() && !matches!(c, '\n' | '\t'))
    }

    fn check(raw: &str, refused: impl Fn(char) -> bool) -> Result<Self, TextError> {
        // Longer than any normalisation could shrink to the bound: refused before the work is done.
        if raw.len() > MAX.saturating_mul(16) {
            return Err(TextError::TooLong { max: MAX });
        }
        let text: String = raw.trim().nfc().collect();
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.chars().any(refused) {
            return Err(TextError::ControlCharacter);
        }
        if text.chars().count() > MAX {
            return Err(TextError::TooLong { max: MAX });
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_normalised() {
        assert_eq!(Text::<10>::parse("  Cafe\u{301} ").unwrap().as_str(), "Café");
    }

    #[test]
    fn what_is_refused_says_why() {
        assert_eq!(Text::<3>::parse(" \t"), Err(TextError::Empty));
        assert_eq!(Text::<3>::parse("abcd"), Err(TextError::TooLong { max: 3 }));
        assert_eq!(Text::<3>::parse("a\0b"), Err(TextError::ControlCharacter));
        assert_eq!(Text::<3>::parse("a\nb"), Err(TextError::ControlCharacter));
        assert_eq!(Text::<3>::parse_multiline("a\nb").unwrap().as_str(), "a\nb");
    }
}
