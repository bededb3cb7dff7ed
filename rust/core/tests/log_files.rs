//! The lock, and small files that are replaced as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use finchain_core::log::{Lock, LogError, durable};

fn names(folder: &std::path::Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn there_is_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let lock = Lock::acquire(&path).unwrap();
    let Err(LogError::Locked { path: found, holder }) = Lock::acquire(&path) else { panic!("locked twice") };
    assert_eq!((found.as_path(), holder), (path.as_path(), Some(std::process::id())));
    drop(lock);
    let lock = Lock::acquire(&path).unwrap();
    // What is in the file only serves the message.
    fs::write(&path, b"\xff nobody").unwrap();
    let error = Lock::acquire(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is locked", path.display()));
    drop(lock);
    Lock::acquire(&path).unwrap();
    assert!(matches!(Lock::acquire(folder.path()), Err(LogError::Io { action: "open", .. })));
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    durable::replace(&path, b"first").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    durable::replace(&path, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["checkpoint"]);
}

#[test]
fn a_failed_replacement_leaves_the_old_file_and_no_draft() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::create_dir(&path).unwrap();
    assert!(matches!(durable::replace(&path, b"x"), Err(LogError::Io { action: "replace", .. })));
    assert_eq!(names(folder.path()), ["taken"]);
    let nowhere = folder.path().join("missing/file");
    assert!(matches!(durable::replace(&nowhere, b"x"), Err(LogError::Io { action: "create", .. })));
    assert!(matches!(durable::sync_folder(&folder.path().join("missing")), Err(LogError::Io { action: "sync", .. })));
}

#[test]
fn a_new_file_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signed");
    durable::create_new(&path, b"first", 0o600).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = durable::create_new(&path, b"second", 0o600);
    assert!(matches!(again, Err(LogError::Exists { path: found }) if found == path));
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(folder.path()), ["signed"]);
}
