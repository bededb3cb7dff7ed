//! Small files that are replaced or made as a whole: after a crash there is the old one or the new one, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::LogError;

/// Puts `bytes` into the file at `path`, in place of what it held, and makes it durable.
///
/// A file that existed keeps its permissions; a new one has mode 640.
///
/// # Errors
/// `Io`; the old file is then still there, unless the very last step failed, the sync of the folder: then either may
/// be there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let permissions = match fs::metadata(path) {
        Ok(found) => Some(found.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(LogError::io("measure", path)(error)),
    };
    let draft = write_draft(path, bytes, 0o640)?;
    let renamed = permissions
        .map_or(Ok(()), |permissions| fs::set_permissions(&draft, permissions))
        .and_then(|()| fs::rename(&draft, path));
    if let Err(error) = renamed {
        discard(&draft);
        return Err(LogError::io("replace", path)(error));
    }
    sync_folder(folder(path))
}

/// Makes the file at `path` with `bytes` and the permissions `mode`, durably.
///
/// # Errors
/// `Exists` if there is anything at `path`, which is then untouched; `Io`.
pub fn create_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), LogError> {
    let draft = write_draft(path, bytes, mode)?;
    // Renaming would replace; a link refuses where the name is taken.
    let linked = fs::hard_link(&draft, path);
    discard(&draft);
    match linked {
        Ok(()) => sync_folder(folder(path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(LogError::Exists { path: path.into() }),
        Err(error) => Err(LogError::io("create", path)(error)),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// `Io`.
pub fn sync_folder(path: &Path) -> Result<(), LogError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(LogError::io("sync", path))
}

/// A synced file with `bytes` beside `path`, under a name that no other process or thread uses.
fn write_draft(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, LogError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.{}.new", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let draft = path.with_file_name(name);
    // A draft of an earlier process with the same id is left from a crash, and nobody's.
    discard(&draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&draft)
        .map_err(LogError::io("create", &draft))?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        discard(&draft);
        return Err(LogError::io("write", &draft)(error));
    }
    Ok(draft)
}

/// Removes a draft as well as can be: one that stays is never read.
fn discard(draft: &Path) {
    let _ = fs::remove_file(draft);
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
