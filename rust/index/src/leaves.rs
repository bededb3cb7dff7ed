//! The leaves of the state map as they were when the index was closed, so that opening a ledger need neither read nor
//! hash its records.
//!
//! One file of 257 parts: the numbers of the records that the core follows, four bytes each, and for each first byte of
//! a key the leaves of the keys that begin so, in order, 84 bytes each: key, value, salt, number. Numbers are
//! little-endian. Before them stand for each part its bytes (8) and its sum (16); the mark has the sum of that. So
//! parts are written, read and compared on all cores, and one that is not what it was is found before it is used.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use finchain_core::cores::on_all_cores;
use finchain_core::encoding::hex;
use finchain_core::state_map::{Leaf, Values};
use rayon::prelude::*;

use crate::error::IndexError;
use crate::sum::{Sum, sum};

const NAME: &str = "leaves";
/// The numbers, and a part for each first byte.
const PARTS: usize = 257;
/// Bytes of what stands before the parts for each of them: its length and its sum.
const ROW: usize = 8 + size_of::<Sum>();
const HEAD: usize = PARTS * ROW;
/// Bytes of a leaf.
const LEAF: usize = 32 + 32 + 16 + 4;

/// Where a part lies, and its sum.
#[derive(Debug)]
struct Part {
    offset: u64,
    bytes: usize,
    sum: Sum,
}

/// The leaves that were kept.
#[derive(Debug)]
pub(crate) struct Leaves {
    file: File,
    path: PathBuf,
    parts: Vec<Part>,
    /// The sum of what stands before the parts, in hex.
    pub sum: String,
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Keeps the leaves of `state`, durably once the folder is synced, and gives them as `open` does; `None` where the disk
/// has no room for them, which they only save time of.
pub(crate) fn write(folder: &Path, state: &Values, followed: &[u32]) -> Result<Option<Leaves>, IndexError> {
    let path = path(folder);
    match write_all(path.clone(), state, followed) {
        Err(IndexError::Io { source, .. })
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            fs::remove_file(&path).map_err(IndexError::io("remove", &path))?;
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn write_all(path: PathBuf, state: &Values, followed: &[u32]) -> Result<Leaves, IndexError> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    let file = file.map_err(IndexError::io("create", &path))?;
    // Whoever closes an index writes no more to the state, so that lengths are what they will be below.
    let leaves = (0..=u8::MAX).map(|first| state.count(first) as usize * LEAF);
    let mut parts = Vec::with_capacity(PARTS);
    let mut offset = HEAD as u64;
    for bytes in std::iter::once(size_of_val(followed)).chain(leaves) {
        parts.push(Part { offset, bytes, sum: Sum::default() });
        offset += bytes as u64;
    }
    let write_part = |(number, part): (usize, &mut Part)| {
        let bytes = match u8::try_from(number.wrapping_sub(1)) {
            Ok(first) => encode(&state.leaves(first)),
            Err(_) => followed.iter().flat_map(|number| number.to_le_bytes()).collect(),
        };
        part.sum = sum(&bytes);
        file.write_all_at(&bytes, part.offset).map_err(IndexError::io("write", &path))
    };
    on_all_cores(|| parts.par_iter_mut().enumerate().try_for_each(write_part))?;
    let head: Vec<u8> =
        parts.iter().flat_map(|part| (part.bytes as u64).to_le_bytes().into_iter().chain(part.sum)).collect();
    file.write_all_at(&head, 0).map_err(IndexError::io("write", &path))?;
    file.sync_all().map_err(IndexError::io("sync", &path))?;
    Ok(Leaves { file, path, parts, sum: hex(&sum(&head)) })
}

/// Opens what was kept, whose head has the `expected` sum.
pub(crate) fn open(folder: &Path, expected: &str) -> Result<Leaves, IndexError> {
    let path = path(folder);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(IndexError::damaged("the leaves that were kept when it was closed are gone"));
        }
        other => other.map_err(IndexError::io("open", &path))?,
    };
    let head = read(&file, &path, 0, HEAD)?;
    let found = hex(&sum(&head));
    if found != expected {
        return Err(other_leaves());
    }
    let mut parts = Vec::with_capacity(PARTS);
    let mut offset = HEAD as u64;
    for row in head.as_chunks::<ROW>().0 {
        let mut fields = Fields(row);
        let bytes = u64::from_le_bytes(fields.take());
        parts.push(Part { offset, bytes: usize::try_from(bytes).unwrap_or(usize::MAX), sum: fields.take() });
        offset = offset.saturating_add(bytes);
    }
    // Nothing is made room for that is not there.
    if file.metadata().map_err(IndexError::io("measure", &path))?.len() < offset {
        return Err(other_leaves());
    }
    Ok(Leaves { file, path, parts, sum: found })
}

impl Leaves {
    /// The numbers that were kept.
    pub fn followed(&self) -> Result<Vec<u32>, IndexError> {
        Ok(self.part(0)?.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number)).collect())
    }

    /// The leaves whose keys begin with that byte.
    pub fn of(&self, first: u8) -> Result<Vec<Leaf>, IndexError> {
        Ok(self.part(1 + usize::from(first))?.as_chunks().0.iter().map(decode).collect())
    }

    fn part(&self, number: usize) -> Result<Vec<u8>, IndexError> {
        let part = &self.parts[number];
        let found = read(&self.file, &self.path, part.offset, part.bytes)?;
        if sum(&found) == part.sum { Ok(found) } else { Err(other_leaves()) }
    }
}

fn read(file: &File, path: &Path, offset: u64, bytes: usize) -> Result<Vec<u8>, IndexError> {
    let mut found = vec![0; bytes];
    match file.read_exact_at(&mut found, offset) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(other_leaves()),
        other => other.map(|()| found).map_err(IndexError::io("read", path)),
    }
}

fn other_leaves() -> IndexError {
    IndexError::damaged("the leaves of the state are not those that were kept when it was closed")
}

fn encode(leaves: &[Leaf]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaves.len() * LEAF);
    for Leaf { key, value, salt, number } in leaves {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(salt);
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn decode(bytes: &[u8; LEAF]) -> Leaf {
    let mut fields = Fields(bytes);
    Leaf { key: fields.take(), value: fields.take(), salt: fields.take(), number: u32::from_le_bytes(fields.take()) }
}

/// Takes fields off the front of a row whose length is right.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *field
    }
}
