//! Hashing passwords: Argon2id at the figures of OWASP's Password Storage Cheat Sheet (19 MiB, two passes, one lane), on as
//! many threads as there are cores.
//!
//! A hash takes some twenty milliseconds of a core and 19 MiB. More of them at once than cores would only make all of them
//! late, so a few wait and the others are refused. They let everything else on the machine go first.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{Error as PhcError, Output, ParamsString, Salt, SaltString},
};
use aws_lc_rs::rand;
use tokio::sync::{Semaphore, oneshot};

use super::Error;
use crate::domain::Password;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_LEN: usize = 16;
/// Hashes that may wait for a core, per core: a tenth of a second of waiting.
const WAITING_PER_CORE: usize = 4;
/// Of the places of a core, working and waiting, those that registrations may take: anyone can ask for them, and logins
/// are to find the rest.
const REGISTERING_PER_CORE: usize = 2;

/// What setpriority(2) calls nice: a tenth of a core that somebody else wants, too, and all of one that nobody does. However
/// many passwords are tried, whoever only looks at products does not wait behind them.
const NICENESS: i32 = 10;

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
    memory: Arc<Memory>,
    working: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    registering: Arc<Semaphore>,
}

impl Hasher {
    /// One for this machine's cores.
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_cores(cores)
    }

    fn with_cores(cores: usize) -> Self {
        Self {
            memory: Arc::default(),
            working: Arc::new(Semaphore::new(cores)),
            admitted: Arc::new(Semaphore::new(cores * (1 + WAITING_PER_CORE))),
            registering: Arc::new(Semaphore::new(cores * REGISTERING_PER_CORE)),
        }
    }

    /// Refuses while there is no place for another hash: what would come before one is not worth its while then. It takes no
    /// place, so that whoever comes to nothing before it keeps nobody else off.
    pub(crate) fn refuse_if_full(&self) -> Result<(), Error> {
        if self.admitted.available_permits() == 0 { Err(Error::Overloaded) } else { Ok(()) }
    }

    /// A new hash, as a PHC string.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        self.run(move |memory| hash(&password, memory)).await
    }

    /// [`Hasher::hash`] for a registration, within the smaller share of those.
    pub(crate) async fn hash_for_stranger(&self, password: Password) -> Result<String, Error> {
        let _place = self.registering.try_acquire().map_err(|_| Error::Overloaded)?;
        self.hash(password).await
    }

    /// Compares a password with a hash, or with nobody's.
    pub(crate) async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verified, Error> {
        self.run(move |memory| verify(&password, stored.as_deref().unwrap_or(NOBODYS_HASH), memory)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self.admitted.try_acquire().map_err(|_| Error::Overloaded)?;
        let core = Arc::clone(&self.working).acquire_owned().await.map_err(|_| Error::Overloaded)?;
        let memory = Arc::clone(&self.memory);
        let (tell, told) = oneshot::channel();
        // A thread of its own, since one that has let others go first can't take that back. A caller that stops waiting does
        // not stop it, so that it keeps the core itself.
        let thread = thread::Builder::new().name("password-hash".to_owned()).spawn(move || {
            let_requests_go_first();
            let result = memory.lend(work);
            drop(core);
            // Whoever asked may not wait any more.
            let _ = tell.send(result);
        });
        // The system has no thread to spare, which passes.
        thread.map_err(|_| Error::Overloaded)?;
        told.await.unwrap_or(Err(HashError::Panicked)).map_err(Error::Hash)
    }
}

/// While there is something else to do on this machine, this thread gets little of it.
fn let_requests_go_first() {
    // For one thread on Linux, elsewhere for the whole process. Refused, it hashes as it is.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// The working memory of hashes, used again: allocated anew for each, it would come to rest in the arena of whichever of
/// the many blocking threads had run it, hundreds of MiB in all. As many as hashes run at once, one a core.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    fn lend<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        // Nothing under this lock can leave it half changed.
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = free().pop().unwrap_or_default();
        let result = work(&mut blocks);
        free().push(blocks);
        result
    }
}

fn current() -> Result<Params, HashError> {
    Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError::Hash(error.into()))
}

/// The hash of a password by the given figures.
fn compute(password: &Password, salt: Salt<'_>, params: &Params, memory: &mut Vec<Block>) -> Result<Output, PhcError> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::new());
    }
    let memory = &mut memory[..params.block_count()];
    let mut salt_bytes = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut salt_bytes)?;
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    Output::init_with(length, |out| {
        Ok(argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, memory)?)
    })
}

fn hash(password: &Password, memory: &mut Vec<Block>) -> Result<String, HashError> {
    let mut salt = [0; SALT_LEN];
    rand::fill(&mut salt).map_err(|_| HashError::Randomness)?;
    let salt = SaltString::encode_b64(&salt).map_err(HashError::Hash)?;
    let params = current()?;
    let output = compute(password, salt.as_salt(), &params, memory).map_err(HashError::Hash)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(HashError::Hash)?,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

fn verify(password: &Password, stored: &str, memory: &mut Vec<Block>) -> Result<Verified, HashError> {
    let stored = PasswordHash::new(stored).map_err(HashError::Hash)?;
    // Every hash here was made by this module, whatever its figures.
    let (Some(salt), Some(expected), Ok(params)) = (stored.salt, stored.hash, Params::try_from(&stored)) else {
        return Err(HashError::Hash(PhcError::PhcStringField));
    };
    // Outputs are compared in constant time.
    if compute(password, salt, &params, memory).map_err(HashError::Hash)? != expected {
        return Ok(Verified::Wrong);
    }
    let renewed = if is_current(&stored, &current()?) { None } else { Some(hash(password, memory)?) };
    Ok(Verified::Right { renewed })
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
    use argon2::PasswordHasher as _;

    use super::*;

    fn password(text: &str) -> Password {
        Password::present(text).unwrap()
    }

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let memory = &mut Vec::new();
        let hash = hash(&password("a quiet password"), memory).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(matches!(
            verify(&password("a quiet password"), &hash, memory).unwrap(),
            Verified::Right { renewed: None }
        ));
        assert!(matches!(verify(&password("a quiet passwore"), &hash, memory).unwrap(), Verified::Wrong));
    }

    #[test]
    fn nobodys_hash_costs_what_everyones_does() {
        let stored = PasswordHash::new(NOBODYS_HASH).unwrap();
        assert!(is_current(&stored, &current().unwrap()));
        assert_eq!(stored.hash.map(|hash| hash.len()), Some(32));
        assert!(matches!(verify(&password("anything"), NOBODYS_HASH, &mut Vec::new()).unwrap(), Verified::Wrong));
    }

    #[test]
    fn a_hash_with_other_figures_is_made_anew() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = SaltString::encode_b64(&[7; SALT_LEN]).unwrap();
        let memory = &mut Vec::new();
        let old = weak.hash_password(b"a quiet password", &salt).unwrap().to_string();
        let Verified::Right { renewed: Some(new) } = verify(&password("a quiet password"), &old, memory).unwrap()
        else {
            panic!("the hash was not renewed");
        };
        assert!(matches!(
            verify(&password("a quiet password"), &new, memory).unwrap(),
            Verified::Right { renewed: None }
        ));
    }

    #[tokio::test]
    async fn beyond_a_few_that_wait_it_refuses() {
        let hasher = Hasher::with_cores(1);
        let all: Vec<_> = (0..20).map(|_| hasher.verify(password("x"), None)).collect();
        let full = async { hasher.refuse_if_full() };
        let (results, full) = futures::join!(futures::future::join_all(all), full);
        assert!(matches!(full, Err(Error::Overloaded)));
        let refused = results.iter().filter(|result| matches!(result, Err(Error::Overloaded))).count();
        assert_eq!(refused, 20 - 1 - WAITING_PER_CORE);
        assert!(
            hasher.refuse_if_full().is_ok() && hasher.verify(password("x"), None).await.is_ok(),
            "there are places again"
        );
    }

    #[tokio::test]
    async fn registrations_leave_places_to_logins() {
        let hasher = Hasher::with_cores(1);
        let registrations: Vec<_> = (0..20).map(|_| hasher.hash_for_stranger(password("x"))).collect();
        let logins: Vec<_> =
            (0..1 + WAITING_PER_CORE - REGISTERING_PER_CORE).map(|_| hasher.verify(password("x"), None)).collect();
        let (registered, verified) =
            futures::join!(futures::future::join_all(registrations), futures::future::join_all(logins));
        assert_eq!(registered.iter().filter(|made| made.is_ok()).count(), REGISTERING_PER_CORE);
        assert!(verified.iter().all(Result::is_ok));
    }
}
