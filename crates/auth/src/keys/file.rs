//! Key files on disk: atomic writes, a lock between writers, and values that follow their file.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};

use super::{KeyError, MAX_FILE_BYTES};

/// How often a value looks whether its file has changed, at most.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

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
/// last good value.
pub(super) struct Watched<T> {
    path: PathBuf,
    parse: fn(&Path, &str) -> Result<T, KeyError>,
    current: RwLock<(Arc<T>, u64)>,
    seen: Mutex<Seen>,
}

struct Seen {
    stamp: Option<Stamp>,
    checked: Instant,
}

impl<T> Watched<T> {
    pub(super) fn load(path: &Path, parse: fn(&Path, &str) -> Result<T, KeyError>) -> Result<Self, KeyError> {
        // The stamp is taken first: a change between the two is seen as one at the next check.
        let stamp = Stamp::of(path);
        let value = parse(path, &read(path)?)?;
        Ok(Self {
            path: path.to_owned(),
            parse,
            current: RwLock::new((Arc::new(value), 0)),
            seen: Mutex::new(Seen { stamp, checked: Instant::now() }),
        })
    }

    /// The value, and a number that grows with every reload.
    pub(super) fn get(&self) -> (Arc<T>, u64) {
        // Whoever finds the lock taken uses what is there: another caller is checking.
        if let Some(mut seen) = self.seen.try_lock()
            && seen.checked.elapsed() >= CHECK_INTERVAL
        {
            seen.checked = Instant::now();
            let stamp = Stamp::of(&self.path);
            if stamp != seen.stamp {
                seen.stamp = stamp;
                self.reload();
            }
        }
        self.current.read().clone()
    }

    /// Reads the file whether it seems changed or not.
    pub(super) fn reload(&self) {
        match read(&self.path).and_then(|content| (self.parse)(&self.path, &content)) {
            Ok(value) => {
                let mut current = self.current.write();
                *current = (Arc::new(value), current.1 + 1);
                tracing::info!(key_file.path = %self.path.display(), "Key file read again.");
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(key_file.path = %self.path.display(), error, "A changed key file can't be used; the last good one stays.");
            }
        }
    }
}
