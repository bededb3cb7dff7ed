//! The lock, and small files that are replaced as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use finchain_core::log::io::{Access, Io, System};
use finchain_core::log::{Lock, LogError, SMALL_FILE_BYTES_MAX, durable, read_small};

fn names(folder: &std::path::Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn there_is_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let lock = Lock::acquire(&System, &path).unwrap();
    let Err(LogError::Locked { path: found, holder }) = Lock::acquire(&System, &path) else { panic!("locked twice") };
    assert_eq!((found.as_path(), holder), (path.as_path(), Some(std::process::id())));
    drop(lock);
    let lock = Lock::acquire(&System, &path).unwrap();
    // What is in the file only serves the message.
    fs::write(&path, b"\xff nobody").unwrap();
    let error = Lock::acquire(&System, &path).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is locked", path.display()));
    drop(lock);
    Lock::acquire(&System, &path).unwrap();
    assert!(matches!(Lock::acquire(&System, folder.path()), Err(LogError::Io { action: "open", .. })));
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    durable::replace(&System, &path, b"first").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    durable::replace(&System, &path, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["checkpoint"]);
}

#[test]
fn a_failed_replacement_leaves_the_old_file_and_no_draft() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::create_dir(&path).unwrap();
    assert!(matches!(durable::replace(&System, &path, b"x"), Err(LogError::Io { action: "replace", .. })));
    assert_eq!(names(folder.path()), ["taken"]);
    let nowhere = folder.path().join("missing/file");
    assert!(matches!(durable::replace(&System, &nowhere, b"x"), Err(LogError::Io { action: "create", .. })));
    assert!(matches!(
        durable::sync_folder(&System, &folder.path().join("missing")),
        Err(LogError::Io { action: "sync", .. })
    ));
}

#[test]
fn a_new_file_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signed");
    durable::create_new(&System, &path, b"first", 0o600).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = durable::create_new(&System, &path, b"second", 0o600);
    assert!(matches!(again, Err(LogError::Exists { path: found }) if found == path));
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(folder.path()), ["signed"]);
}

#[test]
fn a_small_file_is_read_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    assert_eq!(read_small(&System, &path).unwrap(), None);
    let most = usize::try_from(SMALL_FILE_BYTES_MAX).unwrap();
    fs::write(&path, vec![b'x'; most]).unwrap();
    assert_eq!(read_small(&System, &path).unwrap().map(|bytes| bytes.len()), Some(most));
    fs::write(&path, vec![b'x'; most + 1]).unwrap();
    let error = read_small(&System, &path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read {}: it has 1048577 bytes, and at most 1048576 are read", path.display())
    );
}

#[test]
fn past_the_page_cache_the_same_bytes_are_read() {
    // Beside the sources, because a temporary folder may be in memory, which has nothing past its cache.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("bytes");
    let bytes: Vec<u8> = (0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    fs::write(&path, &bytes).unwrap();
    let file = match System.open(&path, Access::PastCache) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            eprintln!("skipped: this file system does not let its cache be passed by");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    for (offset, length) in [(0, 1), (0, 20_000), (4095, 2), (4096, 4096), (64, 4033), (19_999, 10), (20_000, 10)] {
        let mut found = vec![0; length];
        let read = file.read_at(&mut found, offset).unwrap();
        let start = usize::try_from(offset).unwrap();
        assert_eq!(found[..read], bytes[start..(start + length).min(20_000)], "{length} bytes at {offset}");
    }
}
