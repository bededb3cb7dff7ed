//! The mark beside the LMDB files that says whether they can be trusted.
//!
//! It is no row of LMDB, because it must be readable without trusting LMDB: after a loss of power a page that was
//! never written shows what the page held long before, and that may be an old row that says "closed".
//!
//! One line: `finchain-index 2 open <boot id>` while the index may be written, or
//! `finchain-index 2 closed <bytes of the data file> <BLAKE3 of them>`, then `<height> <block hash>` if there is a
//! block.
//! A mark that is torn, or anything else, counts as no mark.
//!
//! LMDB keeps no checksums, and a page that a disk has changed may end the process that maps it. So the whole file is
//! summed when it is closed, and again before LMDB sees it: 0.3 s for a file of 1 GB that is in the system's cache. One
//! that was not closed has no sum, and `pages` walks it instead.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::IndexError;
use crate::rows::Tip;

const NAME: &str = "mark";
/// Where Linux keeps the id that it draws at every start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Longer than any mark.
const BYTES_MAX: u64 = 512;

/// What the mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The index may be in use, or was when its process ended.
    Open { boot: String },
    /// The index was synced and closed.
    Closed { bytes: u64, sum: String, tip: Option<(u64, String)> },
}

impl Mark {
    pub fn closed(bytes: u64, sum: String, tip: Option<&Tip>) -> Self {
        Self::Closed { bytes, sum, tip: tip.map(|tip| (tip.height, hex(&tip.block_hash))) }
    }

    /// Whether this is the mark of an index whose tip is `tip`.
    pub fn names(&self, tip: Option<&Tip>) -> bool {
        match self {
            Self::Open { .. } => false,
            Self::Closed { bytes, sum, .. } => *self == Self::closed(*bytes, sum.clone(), tip),
        }
    }

    /// The mark in `folder`, or `None` if there is none that can be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, IndexError> {
        let path = path(folder);
        match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(found) if found.len() > BYTES_MAX => return Ok(None),
            other => other.map_err(IndexError::io("measure", &path))?,
        };
        let bytes = fs::read(&path).map_err(IndexError::io("read", &path))?;
        Ok(std::str::from_utf8(&bytes).ok().and_then(Self::parse))
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.strip_prefix("finchain-index 2 ")?.strip_suffix('\n')?.split(' ').collect();
        match words[..] {
            ["open", boot] => Some(Self::Open { boot: boot.into() }),
            ["closed", bytes, sum] => Some(Self::Closed { bytes: bytes.parse().ok()?, sum: sum.into(), tip: None }),
            ["closed", bytes, sum, height, hash] if hash.len() == 64 => {
                let tip = Some((height.parse().ok()?, hash.into()));
                Some(Self::Closed { bytes: bytes.parse().ok()?, sum: sum.into(), tip })
            }
            _ => None,
        }
    }

    /// Puts the mark into `folder`, durably. It fits in one sector, and a torn one counts as none.
    pub fn write(&self, folder: &Path) -> Result<(), IndexError> {
        let line = match self {
            Self::Open { boot } => format!("finchain-index 2 open {boot}\n"),
            Self::Closed { bytes, sum, tip: None } => format!("finchain-index 2 closed {bytes} {sum}\n"),
            Self::Closed { bytes, sum, tip: Some((height, hash)) } => {
                format!("finchain-index 2 closed {bytes} {sum} {height} {hash}\n")
            }
        };
        let path = path(folder);
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            File::open(folder)?.sync_all()
        };
        write().map_err(IndexError::io("write", &path))
    }
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// BLAKE3 of the first `bytes` of a file, in hex, made on all cores.
pub(crate) fn file_sum(path: &Path, bytes: u64) -> Result<String, IndexError> {
    /// What is read at once: enough to share it, and few enough that it is still in the cache when it is hashed.
    const PART: usize = 1 << 20;
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).map_err(IndexError::io("open", path))?.take(bytes);
    let mut part = Vec::with_capacity(PART);
    while file.by_ref().take(PART as u64).read_to_end(&mut part).map_err(IndexError::io("read", path))? > 0 {
        hasher.update_rayon(&part);
        part.clear();
    }
    Ok(hex(hasher.finalize().as_bytes()))
}

/// The id of this run of the machine. Where there is none, every run counts as another.
pub(crate) fn boot_id() -> String {
    let text = fs::read_to_string(BOOT_ID).unwrap_or_default();
    let id = text.trim();
    if id.is_empty() || id.contains(' ') { "unknown".into() } else { id.into() }
}

/// Whether `boot` is this run of the machine.
pub(crate) fn is_this_boot(boot: &str) -> bool {
    boot != "unknown" && boot == boot_id()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
