//! Secrets out of nothing.

use super::SecretsError;

/// This many random bytes, as hexadecimal digits: no place that they have to go to minds those.
pub(super) fn hex(bytes: usize) -> Result<String, SecretsError> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| SecretsError::Generate(Box::new(error)))?;
    Ok(hex::encode(random))
}
