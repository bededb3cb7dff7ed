//! The mark beside the LMDB files that says whether they can be trusted.
//!
//! It is no row of LMDB, because it must be readable without trusting LMDB: after a loss of power a page that was
//! never written shows what the page held long before, and that may be an old row that says "closed".
//!
//! One line: `finchain-index 6 open <boot id>` while the index may be written, or
//! `finchain-index 6 closed <bytes of the data file> <their sum> <sum of the leaves>`, then `<height> <block hash>` if
//! there is a block.
//! The number is that of the tables' format. A mark that is torn, or anything else, counts as no mark.
//!
//! LMDB keeps no checksums, and a page that a disk has changed may end the process that maps it. So the whole file is
//! summed when it is closed, and again before LMDB sees it. One that was not closed has no sum, and `pages` walks it
//! instead.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use finchain_core::encoding::hex;

use crate::error::IndexError;
use crate::rows::Tip;
use crate::tables::FORMAT;

const NAME: &str = "mark";
const PREFIX: &str = "finchain-index ";
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
    Closed { bytes: u64, sum: String, leaves: String, tip: Option<(u64, String)> },
}

impl Mark {
    pub fn closed(bytes: u64, sum: String, leaves: String, tip: Option<&Tip>) -> Self {
        Self::Closed { bytes, sum, leaves, tip: tip.map(|tip| (tip.height, hex(&tip.block_hash))) }
    }

    /// Whether this is the mark of an index whose tip is `tip`.
    pub fn names(&self, tip: Option<&Tip>) -> bool {
        match self {
            Self::Open { .. } => false,
            Self::Closed { tip: named, .. } => *named == tip.map(|tip| (tip.height, hex(&tip.block_hash))),
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
        let Some((found, text)) = std::str::from_utf8(&bytes).ok().and_then(versioned) else { return Ok(None) };
        if found == FORMAT { Ok(Self::parse(text)) } else { Err(IndexError::Version { expected: FORMAT, found }) }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["open", boot] => Some(Self::Open { boot: boot.into() }),
            ["closed", bytes, sum, leaves, ref tip @ ..] => {
                let tip = match *tip {
                    [] => None,
                    [height, hash] if hash.len() == 64 => Some((height.parse().ok()?, hash.into())),
                    _ => return None,
                };
                Some(Self::Closed { bytes: bytes.parse().ok()?, sum: sum.into(), leaves: leaves.into(), tip })
            }
            _ => None,
        }
    }

    /// Puts the mark into `folder`, durably. It fits in one sector, and a torn one counts as none.
    pub fn write(&self, folder: &Path) -> Result<(), IndexError> {
        let line = match self {
            Self::Open { boot } => format!("{PREFIX}{FORMAT} open {boot}\n"),
            Self::Closed { bytes, sum, leaves, tip } => {
                let tip = tip.as_ref().map_or(String::new(), |(height, hash)| format!(" {height} {hash}"));
                format!("{PREFIX}{FORMAT} closed {bytes} {sum} {leaves}{tip}\n")
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

/// The format that a mark names, and what it says.
fn versioned(line: &str) -> Option<(u32, &str)> {
    let (format, text) = line.strip_prefix(PREFIX)?.strip_suffix('\n')?.split_once(' ')?;
    Some((format.parse().ok()?, text))
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
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
