//! Key files on disk: atomic writes, a lock between writers, and values that follow their file.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::{Mutex, RwLock};

use super::{KeyError, MAX_FILE_BYTES};

/// How often a value looks whether its file has changed, at most.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a file that stays unusable is mentioned in the log.
const WARN_INTERVAL: Duration = Duration::from_secs(30);

/// Holds other writers off a folder until dropped.
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    pub(super) fn take(dir: &Path) -> Result<Self, KeyError> {
        let path = dir.join(".keys.lock");
        let failed = |source| KeyError::Write { path: path.clone(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Writes a file so that a reader sees the old or the new content and a crash leaves one of them.
pub(super) fn write_atomically(path: &Path, content: &str, mode: u32) -> Result<(), KeyError> {
    let failed = |source| KeyError::Write { path: path.to_owned(), source };
    let temporary = path.with_extension("tmp");
    // A left-over of a crash might be open to others.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&temporary).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

/// Reads a whole key file, within its bound.
pub(super) fn read(path: &Path) -> Result<String, KeyError> {
    let mut content = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut content))
        .map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
    Ok(content)
}

/// What tells one state of a file from another without reading it. The inode changes with every atomic write and with
/// the symbolic link that Kubernetes swaps under a mounted Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self { inode: meta.ino(), length: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) })
    }
}

/// A value parsed from a file and parsed again when the file changes. A file that is gone or can't be parsed keeps the
/// last good value, and is tried again at every check.
pub(super) struct Watched<T> {
    path: PathBuf,
    parse: fn(&Path, &str) -> Result<T, KeyError>,
    current: RwLock<Current<T>>,
    seen: Mutex<Seen>,
    /// Held by whoever reads the file.
    reading: Mutex<()>,
    /// When it was last said that the file can't be used; `None` once it can.
    warned: Mutex<Option<Instant>>,
}

struct Current<T> {
    value: Arc<T>,
    generation: u64,
    /// SHA-256 of the content the value was parsed from.
    content: Vec<u8>,
}

struct Seen {
    /// Of the file as it was when it could last be used.
    stamp: Option<Stamp>,
    checked: Instant,
}

fn digest_of(content: &str) -> Vec<u8> {
    digest(&SHA256, content.as_bytes()).as_ref().to_vec()
}

impl<T> Watched<T> {
    pub(super) fn load(path: &Path, parse: fn(&Path, &str) -> Result<T, KeyError>) -> Result<Self, KeyError> {
        // The stamp is taken first: a change between the two is seen as one at the next check.
        let stamp = Stamp::of(path);
        let content = read(path)?;
        let value = Arc::new(parse(path, &content)?);
        Ok(Self {
            path: path.to_owned(),
            parse,
            current: RwLock::new(Current { value, generation: 0, content: digest_of(&content) }),
            seen: Mutex::new(Seen { stamp, checked: Instant::now() }),
            reading: Mutex::new(()),
            warned: Mutex::new(None),
        })
    }

    /// The value, and a number that grows with every change of the file's content.
    pub(super) fn get(&self) -> (Arc<T>, u64) {
        // Whoever finds the lock taken uses what is there: another caller is checking.
        if let Some(mut seen) = self.seen.try_lock()
            && seen.checked.elapsed() >= CHECK_INTERVAL
        {
            seen.checked = Instant::now();
            let stamp = Stamp::of(&self.path);
            if stamp != seen.stamp && self.reload() {
                seen.stamp = stamp;
            }
        }
        let current = self.current.read();
        (Arc::clone(&current.value), current.generation)
    }

    /// Reads the file whether it seems changed or not; false when it can't be used. The same content again changes
    /// nothing: what was derived from it stays good.
    pub(super) fn reload(&self) -> bool {
        match self.take_in() {
            Ok(()) => {
                *self.warned.lock() = None;
                true
            }
            Err(error) => {
                self.warn(&error);
                false
            }
        }
    }

    fn take_in(&self) -> Result<(), KeyError> {
        // Whoever read an earlier content must not put it in the place of a later one.
        let _reading = self.reading.lock();
        let text = read(&self.path)?;
        let content = digest_of(&text);
        if self.current.read().content == content {
            return Ok(());
        }
        let value = Arc::new((self.parse)(&self.path, &text)?);
        let mut current = self.current.write();
        *current = Current { value, generation: current.generation + 1, content };
        tracing::info!(key_file.path = %self.path.display(), "Key file read again.");
        Ok(())
    }

    fn warn(&self, error: &KeyError) {
        let mut warned = self.warned.lock();
        if warned.is_none_or(|warned| warned.elapsed() >= WARN_INTERVAL) {
            *warned = Some(Instant::now());
            let error = error as &dyn std::error::Error;
            tracing::warn!(key_file.path = %self.path.display(), error, "A changed key file can't be used; the last good one stays.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    impl<T> Watched<T> {
        /// As after a second.
        fn get_later(&self) -> (Arc<T>, u64) {
            self.seen.lock().checked = Instant::now().checked_sub(CHECK_INTERVAL).unwrap();
            self.get()
        }
    }

    fn text(path: &Path, content: &str) -> Result<String, KeyError> {
        let empty = || KeyError::Invalid { path: path.to_owned(), detail: "empty".into() };
        if content.is_empty() { Err(empty()) } else { Ok(content.to_owned()) }
    }

    #[test]
    fn the_same_content_again_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        write_atomically(&path, "one", 0o600).unwrap();
        let watched = Watched::load(&path, text).unwrap();
        assert!(watched.reload());
        assert_eq!(watched.get_later().1, 0);
        write_atomically(&path, "one", 0o600).unwrap();
        assert_eq!(watched.get_later().1, 0);
        write_atomically(&path, "two", 0o600).unwrap();
        assert_eq!(watched.get_later(), (Arc::new("two".to_owned()), 1));
        write_atomically(&path, "", 0o600).unwrap();
        assert_eq!(watched.get_later(), (Arc::new("two".to_owned()), 1));
    }

    #[test]
    fn a_change_that_could_not_be_read_is_tried_again() {
        static FAILING: AtomicBool = AtomicBool::new(false);
        fn sometimes(path: &Path, content: &str) -> Result<String, KeyError> {
            let failed = || KeyError::Invalid { path: path.to_owned(), detail: "for now".into() };
            if FAILING.load(Ordering::Relaxed) { Err(failed()) } else { text(path, content) }
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        write_atomically(&path, "one", 0o600).unwrap();
        let watched = Watched::load(&path, sometimes).unwrap();
        write_atomically(&path, "two", 0o600).unwrap();
        FAILING.store(true, Ordering::Relaxed);
        assert_eq!(watched.get_later(), (Arc::new("one".to_owned()), 0));
        FAILING.store(false, Ordering::Relaxed);
        assert_eq!(watched.get_later(), (Arc::new("two".to_owned()), 1));
    }
}
