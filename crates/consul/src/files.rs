//! Files that options name: a token, or certificates.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use crate::error::Error;

/// The largest file that is read: thousands of certificates.
const MAX_FILE: u64 = 1024 * 1024;

/// What the files are for.
pub(crate) const AUTHORITY: &str = "certificates of Consul's authority";
const TOKEN: &str = "an ACL token";

pub(crate) fn refuse(path: &Path, purpose: &'static str, reason: impl Into<String>) -> Error {
    Error::File { path: path.to_owned(), purpose, reason: reason.into() }
}

pub(crate) fn read(path: &Path, purpose: &'static str) -> Result<Vec<u8>, Error> {
    let bounded = || -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
        Ok(content)
    };
    let content = bounded().map_err(|error| refuse(path, purpose, error.to_string()))?;
    if content.len() as u64 > MAX_FILE {
        return Err(refuse(path, purpose, format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(content)
}

/// It travels in a header.
pub(crate) fn token(path: &Path) -> Result<String, Error> {
    let content = read(path, TOKEN)?;
    let text = std::str::from_utf8(&content).unwrap_or_default().trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(refuse(path, TOKEN, "expected one line of visible ASCII"));
    }
    Ok(text.to_owned())
}
