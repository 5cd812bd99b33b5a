//! Follows the files. They are read rather than watched: what a mounted Secret or a copy does to folders and inodes differs,
//! what is in the files does not.

use std::{sync::Weak, time::Duration};

use super::{
    Shared, TlsError,
    material::{Contents, Material},
    options::Files,
};

/// How often the files are looked at: three small reads from the page cache.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Watch {
    pub(super) files: Files,
    pub(super) serves: Option<&'static str>,
    /// What is in use.
    pub(super) applied: u64,
    pub(super) shared: Weak<Shared>,
}

/// What a look at the files found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Readable, with this fingerprint.
    Files(u64),
    Unreadable,
}

impl Watch {
    /// Ends when nobody uses the certificate any more.
    pub(super) async fn run(mut self) {
        let mut last = Seen::Files(self.applied);
        let mut refused = None;
        loop {
            tokio::time::sleep(INTERVAL).await;
            if self.shared.strong_count() == 0 {
                return;
            }
            let read = self.read().await;
            let seen = read.as_ref().map_or(Seen::Unreadable, |contents| Seen::Files(contents.fingerprint()));
            // Taken when it was the same twice: a file that is being written changes from one look to the next, and half a
            // bundle of CAs is a bundle too.
            let settled = seen == last;
            last = seen;
            if !settled || seen == Seen::Files(self.applied) || refused == Some(seen) {
                continue;
            }
            match read.and_then(|contents| Material::new(&contents, &self.files, self.serves)) {
                Ok(material) => {
                    let Seen::Files(fingerprint) = seen else { continue };
                    self.applied = fingerprint;
                    refused = None;
                    self.apply(material);
                }
                Err(error) => {
                    refused = Some(seen);
                    self.refuse(&error);
                }
            }
        }
    }

    async fn read(&self) -> Result<Contents, TlsError> {
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || Contents::read(&files)).await;
        // It neither panics nor is it aborted.
        read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn apply(&self, material: Material) {
        let Some(shared) = self.shared.upgrade() else { return };
        let expires = material.not_after.as_secs();
        shared.replace(material);
        shared.metrics.reloaded("taken");
        tracing::info!(tls.expires = expires, "new connections use the certificate that the files hold now");
    }

    fn refuse(&self, error: &TlsError) {
        let Some(shared) = self.shared.upgrade() else { return };
        shared.metrics.reloaded("refused");
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the certificate files can't be used: the certificate from before stays"
        );
    }
}
