//! Input that breaks rules: every violation of a request, collected.

use std::fmt;

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// RFC 6901 pointer into the request's JSON; for a header or query parameter, its bare name.
    pub pointer: String,
    /// What is wrong, or what would be right.
    pub detail: String,
}

/// A request that breaks rules; at least one violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(Vec<Violation>);

impl Invalid {
    /// A request with one field that breaks a rule.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(vec![Violation { pointer: pointer.into(), detail: detail.into() }])
    }

    /// The violations, in the order they were found.
    pub fn into_violations(self) -> Vec<Violation> {
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
pub struct Check(Vec<Violation>);

impl Check {
    /// Notes a violation.
    pub fn refuse(&mut self, pointer: impl Into<String>, detail: impl fmt::Display) {
        self.0.push(Violation { pointer: pointer.into(), detail: detail.to_string() });
    }

    /// The value, or a violation noted.
    pub fn take<T, E: fmt::Display>(&mut self, pointer: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.refuse(pointer, error)).ok()
    }

    /// The violations, if there are any.
    pub fn finish(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(self.0)) }
    }

    /// `value`, unless a violation was noted. `None` comes only with a violation.
    pub fn finish_with<T>(self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Invalid(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_violations_are_heard_of_at_once() {
        let mut check = Check::default();
        assert_eq!(check.take("/a", Ok::<_, &str>(1)), Some(1));
        assert_eq!(check.take("/b", Err::<i32, _>("is wrong")), None);
        check.refuse("/c", format_args!("must be {}", 3));
        let invalid = check.finish_with(Some(1)).unwrap_err();
        assert_eq!(invalid.to_string(), "/b: is wrong; /c: must be 3");
        let pointers: Vec<_> = invalid.into_violations().into_iter().map(|violation| violation.pointer).collect();
        assert_eq!(pointers, ["/b", "/c"]);
        assert_eq!(Check::default().finish(), Ok(()));
        assert_eq!(Check::default().finish_with(Some(1)), Ok(1));
        assert_eq!(Invalid::field("/a", "no").to_string(), "/a: no");
    }
}
