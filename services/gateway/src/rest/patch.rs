//! One field of a JSON Merge Patch (RFC 7396).

use serde::{Deserialize, Deserializer};

use crate::problem::Problem;

/// What a patch says about a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Patch<T> {
    /// Nothing: it stays.
    #[default]
    Absent,
    /// `null`: it is cleared.
    Null,
    /// A new value.
    Value(T),
}

impl<T> Patch<T> {
    /// The same about another form of the value.
    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(convert(value)),
        }
    }

    /// For a field that always has a value: `null` is refused.
    pub(crate) fn never_null(self, pointer: &'static str) -> Result<Option<T>, Problem> {
        match self {
            Self::Absent => Ok(None),
            Self::Value(value) => Ok(Some(value)),
            Self::Null => Err(Problem::invalid(pointer, "can't be cleared; leave it out to keep it")),
        }
    }
}

impl<T: Default> Patch<T> {
    /// For a field that may be empty, which is how the contracts write "cleared".
    pub(crate) fn or_empty(self) -> Option<T> {
        match self {
            Self::Absent => None,
            Self::Value(value) => Some(value),
            Self::Null => Some(T::default()),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}
