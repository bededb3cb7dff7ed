//! Where the third-party test vectors are read from: in place, never copied.

use std::path::PathBuf;

/// A file or folder of the vectors, or `None`, said aloud, where they are not present.
///
/// `FINCHAIN_VECTORS` names their folder; without it they are looked for beside the repository.
pub fn vectors(path: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    let folder = std::env::var_os("FINCHAIN_VECTORS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("skipped: no test vectors at {}", found.display());
    None
}
