//! What a check says of an instance.

use serde::Deserialize;

/// The state of a check, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It may get traffic.
    Passing,
    /// It may get traffic, and somebody should look.
    Warning,
    /// It gets no traffic.
    Critical,
    /// An operator took it out.
    Maintenance,
}

impl Status {
    /// The worst of several; an instance without a check is taken for well.
    pub(crate) fn worst(checks: impl Iterator<Item = Self>) -> Self {
        checks.max().unwrap_or(Self::Passing)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maintenance => "maintenance",
        }
    }
}
