//! What a process that failed ends with (codes of sysexits.h): whoever starts it again sees what another try is good for.

/// `EX_USAGE`: the command was used incorrectly.
pub const EX_USAGE: u8 = 64;
/// `EX_DATAERR`: what the command was to work on is such that the same again would fail in the same way.
pub const EX_DATAERR: u8 = 65;

/// A failure that another try would meet again. A process that ends of it ends with [`EX_DATAERR`], of any other with 1.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Lasting(anyhow::Error);

impl Lasting {
    /// The error, which is one of these if it `lasts`.
    pub fn if_so(lasts: bool, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        if lasts { Self(error).into() } else { error }
    }
}
