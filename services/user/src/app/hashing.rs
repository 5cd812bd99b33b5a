//! Hashing passwords: Argon2id at the figures of OWASP's Password Storage Cheat Sheet (19 MiB, two passes, one lane), on as
//! many threads as there are cores.
//!
//! A hash takes some twenty milliseconds of a core and 19 MiB. More of them at once than cores would only make all of them
//! late, so a few wait and the others are refused.

use std::{sync::Arc, thread};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{Error as PhcError, SaltString},
};
use aws_lc_rs::rand;
use tokio::sync::Semaphore;

use super::Error;
use crate::domain::Password;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_LEN: usize = 16;
/// Hashes that may wait for a core, per core: a tenth of a second of waiting.
const WAITING_PER_CORE: usize = 4;

/// Verified where there is no account, so that its absence takes as long as a wrong password. No password has this hash:
/// it is 32 zero bytes.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2hvcC11c2VyLW5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why hashing failed, beyond being busy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// Its error is no `std::error::Error` without a feature that nothing else needs.
    #[error("the hash function refused: {0}")]
    Hash(PhcError),
    #[error("the operating system gives no randomness")]
    Randomness,
    #[error("the hashing thread panicked")]
    Panicked,
}

/// What a password is to a hash.
#[derive(Debug)]
pub(crate) enum Verified {
    Wrong,
    Right {
        /// The password hashed anew, if its hash was made with other figures.
        renewed: Option<String>,
    },
}

/// Hashes on a bounded number of threads. Clones share the bound.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    working: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Hasher {
    /// One for this machine's cores.
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_cores(cores)
    }

    fn with_cores(cores: usize) -> Self {
        Self {
            working: Arc::new(Semaphore::new(cores)),
            admitted: Arc::new(Semaphore::new(cores * (1 + WAITING_PER_CORE))),
        }
    }

    /// A new hash, as a PHC string.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        self.run(move || hash(&password)).await
    }

    /// Compares a password with a hash, or with nobody's.
    pub(crate) async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verified, Error> {
        self.run(move || verify(&password, stored.as_deref().unwrap_or(NOBODYS_HASH))).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self.admitted.try_acquire().map_err(|_| Error::Overloaded)?;
        let core = Arc::clone(&self.working).acquire_owned().await.map_err(|_| Error::Overloaded)?;
        // A caller that stops waiting does not stop the thread, which therefore keeps the core itself.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(core);
            result
        });
        done.await.unwrap_or(Err(HashError::Panicked)).map_err(Error::Hash)
    }
}

fn argon2() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError::Hash(error.into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &Password) -> Result<String, HashError> {
    let mut salt = [0; SALT_LEN];
    rand::fill(&mut salt).map_err(|_| HashError::Randomness)?;
    let salt = SaltString::encode_b64(&salt).map_err(HashError::Hash)?;
    let hash = argon2()?.hash_password(password.expose().as_bytes(), &salt).map_err(HashError::Hash)?;
    Ok(hash.to_string())
}

fn verify(password: &Password, stored: &str) -> Result<Verified, HashError> {
    let argon2 = argon2()?;
    let stored = PasswordHash::new(stored).map_err(HashError::Hash)?;
    match argon2.verify_password(password.expose().as_bytes(), &stored) {
        Ok(()) => {
            let renewed = if is_current(&stored, argon2.params()) { None } else { Some(hash(password)?) };
            Ok(Verified::Right { renewed })
        }
        Err(PhcError::Password) => Ok(Verified::Wrong),
        Err(error) => Err(HashError::Hash(error)),
    }
}

/// Whether a hash was made the way new ones are.
fn is_current(stored: &PasswordHash<'_>, current: &Params) -> bool {
    stored.algorithm == Algorithm::Argon2id.ident()
        && stored.version == Some(Version::V0x13.into())
        && Params::try_from(stored).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost())
                == (current.m_cost(), current.t_cost(), current.p_cost())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::present(text).unwrap()
    }

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let hash = hash(&password("a quiet password")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(matches!(verify(&password("a quiet password"), &hash).unwrap(), Verified::Right { renewed: None }));
        assert!(matches!(verify(&password("a quiet passwore"), &hash).unwrap(), Verified::Wrong));
    }

    #[test]
    fn nobodys_hash_costs_what_everyones_does() {
        let stored = PasswordHash::new(NOBODYS_HASH).unwrap();
        assert!(is_current(&stored, argon2().unwrap().params()));
        assert_eq!(stored.hash.map(|hash| hash.len()), Some(32));
        assert!(matches!(verify(&password("anything"), NOBODYS_HASH).unwrap(), Verified::Wrong));
    }

    #[test]
    fn a_hash_with_other_figures_is_made_anew() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = SaltString::encode_b64(&[7; SALT_LEN]).unwrap();
        let old = weak.hash_password(b"a quiet password", &salt).unwrap().to_string();
        let Verified::Right { renewed: Some(new) } = verify(&password("a quiet password"), &old).unwrap() else {
            panic!("the hash was not renewed");
        };
        assert!(matches!(verify(&password("a quiet password"), &new).unwrap(), Verified::Right { renewed: None }));
    }

    #[tokio::test]
    async fn beyond_a_few_that_wait_it_refuses() {
        let hasher = Hasher::with_cores(1);
        let all: Vec<_> = (0..20).map(|_| hasher.verify(password("x"), None)).collect();
        let results = futures::future::join_all(all).await;
        let refused = results.iter().filter(|result| matches!(result, Err(Error::Overloaded))).count();
        assert_eq!(refused, 20 - 1 - WAITING_PER_CORE);
        assert!(hasher.verify(password("x"), None).await.is_ok(), "the places are free again");
    }
}
