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

/// A request that breaks rules; at least one violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid(Vec<Violation>);

impl Invalid {
    /// A request with one field that breaks a rule.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(vec![Violation { pointer: pointer.into(), detail: detail.into() }])
    }

    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.0
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.pointer, violation.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Collects violations, so that a caller hears of all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Check(Vec<Violation>);

impl Check {
    /// Notes a violation.
    pub(crate) fn refuse(&mut self, pointer: impl Into<String>, detail: impl fmt::Display) {
        self.0.push(Violation { pointer: pointer.into(), detail: detail.to_string() });
    }

    /// The value, or a violation noted.
    pub(crate) fn take<T, E: fmt::Display>(&mut self, pointer: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.refuse(pointer, error)).ok()
    }

    /// `value`, unless a violation was noted. `None` comes only with a violation.
    pub(crate) fn finish_with<T>(self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Invalid(self.0)),
        }
    }
}
