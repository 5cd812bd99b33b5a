//! Input that breaks rules: every violation of a request, collected.

use std::fmt;

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// RFC 6901 pointer into the request's JSON; for a header or query parameter, its bare name.
    pub(crate) pointer: String,
    /// What is wrong, or what would be right.
    pub(crate) detail: String,
}

/// Violations of one request: collected while it is read, an error once it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("the request breaks {} rules", .0.len())]
pub(crate) struct Invalid(Vec<Violation>);

impl Invalid {
    /// A request with one field that breaks a rule.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl fmt::Display) -> Self {
        let mut invalid = Self::default();
        invalid.refuse(pointer, detail);
        invalid
    }

    /// Notes a violation.
    pub(crate) fn refuse(&mut self, pointer: impl Into<String>, detail: impl fmt::Display) {
        self.0.push(Violation { pointer: pointer.into(), detail: detail.to_string() });
    }

    /// The value, or a violation noted.
    pub(crate) fn take<T, E: fmt::Display>(&mut self, pointer: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.refuse(pointer, error)).ok()
    }

    /// `value`, unless a violation was noted. `None` comes only with a violation.
    pub(crate) fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    pub(crate) fn violations(&self) -> &[Violation] {
        &self.0
    }
}
