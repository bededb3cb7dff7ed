//! Small files that are replaced or made as a whole: after a crash there is the old one or the new one, never a part.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::LogError;
use super::file::{File, again};
use super::io::{Access, Io};

/// Puts `bytes` into the file at `path`, in place of what it held, and makes it durable.
///
/// A file that existed keeps its permissions; a new one has mode 640.
///
/// # Errors
/// `Io`; the old file is then still there, unless the very last step failed, the sync of the folder: then either may
/// be there.
pub fn replace(io: &dyn Io, path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let mode = match File::open(io, path, Access::Read) {
        Ok(found) => Some(found.mode()?),
        Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let draft = write_draft(io, path, bytes, 0o640, mode)?;
    if let Err(error) = again(|| io.rename(&draft, path)) {
        discard(io, &draft);
        return Err(LogError::io("replace", path)(error));
    }
    sync_name(io, path)
}

/// Makes the file at `path` with `bytes` and the permissions `mode`, durably.
///
/// # Errors
/// `Exists` if there is anything at `path`, which is then untouched; `Io`.
pub fn create_new(io: &dyn Io, path: &Path, bytes: &[u8], mode: u32) -> Result<(), LogError> {
    let draft = write_draft(io, path, bytes, mode, None)?;
    // Renaming would replace; a link refuses where the name is taken.
    let linked = again(|| io.link(&draft, path));
    discard(io, &draft);
    match linked {
        Ok(()) => sync_name(io, path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(LogError::Exists { path: path.into() }),
        Err(error) => Err(LogError::io("create", path)(error)),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// `Io`.
pub fn sync_folder(io: &dyn Io, path: &Path) -> Result<(), LogError> {
    again(|| io.sync_folder(path)).map_err(LogError::io("sync", path))
}

/// Removes a file, durably.
///
/// # Errors
/// `Io`.
pub fn remove(io: &dyn Io, path: &Path) -> Result<(), LogError> {
    again(|| io.remove(path)).map_err(LogError::io("remove", path))?;
    sync_name(io, path)
}

/// Makes a folder and those above it, as far as they are missing, and its name durable.
///
/// # Errors
/// `Io`.
pub fn make_folder(io: &dyn Io, path: &Path) -> Result<(), LogError> {
    again(|| io.make_folder(path)).map_err(LogError::io("create", path))?;
    sync_name(io, path)
}

/// Makes the name of a file or folder durable, or that it is gone.
///
/// # Errors
/// `Io`.
pub fn sync_name(io: &dyn Io, path: &Path) -> Result<(), LogError> {
    sync_folder(io, folder(path))
}

/// A synced file with `bytes` beside `path`, under a name that no other process or thread uses; with exactly the
/// permissions `exactly`, or with `mode` less what the process denies to new files.
fn write_draft(io: &dyn Io, path: &Path, bytes: &[u8], mode: u32, exactly: Option<u32>) -> Result<PathBuf, LogError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.{}.new", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let draft = path.with_file_name(name);
    // A draft of an earlier process with the same id is left from a crash, and nobody's.
    discard(io, &draft);
    let file = File::open(io, &draft, Access::New(mode))?;
    let written = exactly.map_or(Ok(()), |mode| file.set_mode(mode));
    let written = written.and_then(|()| file.write_at(bytes, 0)).and_then(|()| file.sync());
    if let Err(error) = written {
        discard(io, &draft);
        return Err(error);
    }
    Ok(draft)
}

/// Whether a name is that of a draft of the file `of`, which a crash may have left.
#[must_use]
pub fn is_draft(name: &OsStr, of: &str) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(of)?.strip_suffix(".new"));
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// Removes a draft as well as can be: one that stays is never read.
fn discard(io: &dyn Io, draft: &Path) {
    let _ = again(|| io.remove(draft));
}

/// The folder that holds `path`.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
