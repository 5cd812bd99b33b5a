//! A copy of a SQLite file from before its schema is changed, and the way back to it.
//!
//! The change itself is one transaction, which leaves nothing behind when it fails or is killed. The copy is for what that
//! does not cover: a migration that leaves its transaction, and people who want the file of the version before.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sea_orm::ConnectionTrait as _;
use sea_orm_migration::MigratorTrait;

use crate::{
    Database, DatabaseOptions, SchemaRange, StorageError,
    migrate::{self, SchemaStatus},
    sqlite,
    url::Engine,
};

/// [`migrate::up`] on the file of the service `name`. A file with an older schema is copied first; when the change fails the
/// file is what it was.
pub(crate) async fn up<M: MigratorTrait>(
    name: &str,
    options: &DatabaseOptions,
    range: SchemaRange,
    copy: &Path,
) -> Result<SchemaStatus, StorageError> {
    let Engine::Sqlite(path) = options.engine(name)? else { return Err(StorageError::NoFile) };
    let database = Database::open_for_command(name, options).await?;
    let copied = match migrate::status(database.reader()).await {
        Ok(found) if found.schema_version < range.newest => make(&database, copy).await.map(|()| true),
        Ok(_) | Err(StorageError::NotMigrated) => Ok(false),
        Err(error) => Err(error),
    };
    let migrated = match &copied {
        Ok(_) => migrate::up::<M>(&database, range).await,
        Err(error) => Err(error.clone()),
    };
    database.close().await?;
    if let (Ok(true), Err(_)) = (copied, &migrated) {
        let _lock = sqlite::lock(&path)?;
        restore(copy, &path).map_err(|error| failed(&path, error))?;
    }
    migrated
}

/// All or nothing: what is under the copy's name is whole.
async fn make(database: &Database, copy: &Path) -> Result<(), StorageError> {
    let part = beside(copy, ".part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&part, error)),
        _ => sqlite::keep_private(&part)?,
    }
    let target = part.display().to_string().replace('\'', "''");
    database.writing().execute_unprepared(&format!("VACUUM INTO '{target}'")).await?;
    put(&part, copy).map_err(|error| failed(copy, error))
}

/// The copy stays.
fn restore(copy: &Path, path: &Path) -> io::Result<()> {
    let part = beside(path, ".part");
    fs::copy(copy, &part)?;
    // They belong to the file that goes, and are gone after an orderly close.
    for log in ["-wal", "-shm"] {
        match fs::remove_file(beside(path, log)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    put(&part, path)
}

/// On disk under its name, before anything builds on it.
fn put(part: &Path, path: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::rename(part, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(path: &Path, source: io::Error) -> StorageError {
    StorageError::File { path: path.to_owned(), source: Arc::new(source) }
}
