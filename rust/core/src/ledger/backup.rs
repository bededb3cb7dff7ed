//! Copying a ledger's blocks while it is written: whole, durable blocks alone, each verified on its way.
//!
//! A copy is marked as one before anything else is in it, and stays read-only until somebody confirms that nothing is
//! missing in it (`docs/format.md` section 7.3). Copying again brings what is new; a copy that is no longer a beginning
//! of the ledger is refused and not touched. It can be interrupted anywhere and begun again.

use std::path::Path;

use super::identity::{COPY, Identity, LEDGER_JSON};
use super::survey::{Content, judge_header};
use super::{LedgerError, SignedMark};
use crate::checkpoint::Checkpoint;
use crate::encoding;
use crate::hash::Hash;
use crate::log::io::Io;
use crate::log::{
    Blocks, Depth, Lock, LogReader, Met, Place, Placer, Storage, Walk, durable, last_height, read_small, sync_segment,
};
use crate::merkle::BlockLog;
use crate::note::Note;

/// The file with the newest checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Blocks in the copy.
    pub blocks: u64,
    /// Those that this run brought.
    pub new_blocks: u64,
    /// Bytes that it wrote for them.
    pub bytes: u64,
    /// Blocks under the checkpoint in the copy; `None` where there is none.
    pub checkpoint: Option<u64>,
}

/// Where a copy stands.
#[derive(Default)]
struct Standing {
    log: BlockLog,
    tip: Option<(u64, Place, Hash)>,
}

impl Standing {
    fn push(&mut self, height: u64, place: Place, hash: Hash) {
        self.log.push(hash);
        self.tip = Some((height, place, hash));
    }

    fn blocks(&self) -> u64 {
        self.log.size()
    }
}

/// Makes a copy the ledger: removes the mark of a copy, after the mark beside the checkpoint key at `mark_path` says at
/// least what `signed` says, so that the key signs nothing smaller and nothing else.
///
/// That the blocks agree with `signed` and with the mark is the caller's to know.
///
/// # Errors
/// The folder is no copy; another has it open; or the system fails.
pub fn confirm(storage: &Storage, dir: &Path, mark_path: &Path, signed: &SignedMark) -> Result<(), LedgerError> {
    let io = storage.io.as_ref();
    let identity = Identity::read(io, dir)?;
    let _lock = Lock::acquire(io, &dir.join("lock"))?;
    if !identity.is_copy(io, dir)? {
        return Err(LedgerError::Conflict(format!("{} is no copy that waits to be confirmed", dir.display())));
    }
    signed.raise(io, mark_path)?;
    Ok(durable::remove(io, &dir.join(COPY))?)
}

/// Copies the ledger in `dir` to `to`, or brings the copy there up to date; `done` is called with the blocks so far and
/// stops the copying by `false`.
///
/// `durable` is the height up to which every block is known to be durable. Without it the newest block is left out
/// while another process writes, unless a checkpoint covers it: it might not be acknowledged yet, and lost with the
/// power.
///
/// # Errors
/// `Tampered` if the ledger is damaged or is no longer what was copied; `Conflict` if the folder `to` is something else
/// than a copy of this ledger; `Locked` if another copies to it; or the system fails.
pub fn backup(
    storage: &Storage,
    dir: &Path,
    to: &Path,
    durable: Option<u64>,
    done: &mut dyn FnMut(u64) -> bool,
) -> Result<Copied, LedgerError> {
    let io = storage.io.as_ref();
    let identity = Identity::read(io, dir)?;
    // Read first: a checkpoint never covers more than what was durable when it was signed.
    let note = read_checkpoint(io, dir, &identity)?;
    let covered = note.as_ref().and_then(|(_, mark)| mark.size.checked_sub(1));
    let durable = durable.or_else(|| unless_written(storage, dir)).max(covered);
    let _lock = begin(io, &identity, to)?;
    let target = Blocks::new(storage, to.join("blocks"));
    let mut standing = standing(&identity, &target)?;
    let had = standing.blocks();
    let reader = LogReader::open(Blocks::new(storage, dir.join("blocks")), identity.tag())?;
    compare_tip(&identity, &reader, &standing)?;
    let mut copying = Copying { identity: &identity, content: Content::default(), held_back: None, bytes: 0 };
    let mut placer = Placer::new(&target, identity.tag());
    let mut next = had.saturating_sub(1);
    for frame in reader.frames(standing.tip.map(|(height, place, _)| (place, height))) {
        let (height, place, payload) = frame.map_err(|error| LedgerError::at(next, error.into()))?;
        next = height + 1;
        if height < had {
            continue;
        }
        copying.take(&mut standing, &mut placer, (height, place, payload), durable)?;
        if !done(standing.blocks()) {
            return Err(LedgerError::Closed);
        }
    }
    placer.sync()?;
    let checkpoint = keep_checkpoint(io, to, &identity, note, &standing)?;
    let blocks = standing.blocks();
    Ok(Copied { blocks, new_blocks: blocks - had, bytes: copying.bytes, checkpoint })
}

/// Every height, where nobody has the ledger open for writing and so the files end with durable bytes; else `None`.
fn unless_written(storage: &Storage, dir: &Path) -> Option<u64> {
    let lock = Lock::acquire(storage.io.as_ref(), &dir.join("lock")).ok()?;
    // Whatever a process left in the cache when it ended is made durable before it counts as such.
    let blocks = Blocks::new(storage, dir.join("blocks"));
    let last = blocks.segments().ok()?.last().copied()?;
    sync_segment(&blocks, last).ok()?;
    drop(lock);
    tip_height(&blocks, last)
}

/// Height of the last block in the files up to `last`, by the heads of their frames.
fn tip_height(blocks: &Blocks, last: u32) -> Option<u64> {
    (0..=last).rev().find_map(|number| last_height(blocks, number).ok().flatten())
}

/// Begins a copy, or goes on with one; gives the lock that keeps others from it.
fn begin(io: &dyn Io, identity: &Identity, to: &Path) -> Result<Lock, LedgerError> {
    durable::make_folder(io, to)?;
    let names = io.list(to).map_err(|e| LedgerError::Storage(format!("{}: {e}", to.display())))?;
    // A run that lost power before the mark had its name leaves a draft of it, and no copy yet.
    if names.iter().all(|name| durable::is_draft(name, COPY)) {
        identity.mark_copy(io, to)?;
    } else if !identity.is_copy(io, to)? {
        return Err(LedgerError::Conflict(format!(
            "{} is not empty, and is no copy that a backup has made of {}",
            to.display(),
            identity.name
        )));
    }
    let lock = Lock::acquire(io, &to.join("lock"))?;
    match Identity::read(io, to) {
        Err(LedgerError::NotFound(_)) => {
            durable::replace(io, &to.join(LEDGER_JSON), identity.to_json().as_bytes())?;
        }
        Ok(found) if found == *identity => {}
        Ok(_) => return Err(LedgerError::Conflict(format!("{} is a copy of another ledger", to.display()))),
        Err(error) => return Err(error),
    }
    durable::make_folder(io, &to.join("blocks"))?;
    Ok(lock)
}

/// Reads what the copy has: every header, so that their chain is known to be whole, and the last file in full.
///
/// What an interrupted run left in the last file behind the first bad frame is no part of the copy.
fn standing(identity: &Identity, target: &Blocks) -> Result<Standing, LedgerError> {
    let mut standing = Standing::default();
    let numbers = target.segments()?;
    if numbers.is_empty() {
        return Ok(standing);
    }
    let last = numbers.last().map(|last| target.file(*last));
    let walk = Walk::new(target, identity.tag(), Depth::Openings)?;
    let damaged = |height: u64, why: &str| LedgerError::Tampered {
        height,
        message: format!("the copy is damaged, and a repair from the ledger can mend it: {why}"),
    };
    for met in walk {
        match met {
            Met::Fault(fault) if Some(&fault.file) == last.as_ref() => break,
            Met::Fault(fault) => return Err(damaged(fault.height, &fault.to_string())),
            Met::Frame(height, place, payload) => {
                let line = payload.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let (header, hash) = judge_header(identity, height, line).map_err(|why| damaged(height, &why))?;
                if standing.tip.is_some_and(|(_, _, before)| before != header.previous) {
                    return Err(damaged(height, "it does not follow the block before"));
                }
                standing.push(height, place, hash);
            }
        }
    }
    Ok(standing)
}

/// Refuses to go on with a copy of another history: one block's hash commits to all before it.
fn compare_tip(identity: &Identity, reader: &LogReader, standing: &Standing) -> Result<(), LedgerError> {
    let Some((height, place, hash)) = standing.tip else { return Ok(()) };
    let tampered = |message: String| LedgerError::Tampered { height, message };
    let payload = reader.read(&place, height).map_err(|error| {
        tampered(format!("the copy has this block and the ledger has not: blocks of the ledger are missing ({error})"))
    })?;
    let line = payload.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (_, found) = judge_header(identity, height, line).map_err(tampered)?;
    if found == hash {
        return Ok(());
    }
    Err(tampered(format!(
        "the ledger has {}… here and the copy {}…: they are two histories",
        &encoding::hex(&found)[..16],
        &encoding::hex(&hash)[..16]
    )))
}

/// Blocks on their way into a copy.
struct Copying<'a> {
    identity: &'a Identity,
    content: Content,
    /// The newest block, as long as nothing shows that it is durable.
    held_back: Option<(u64, Place, Vec<u8>)>,
    bytes: u64,
}

impl Copying<'_> {
    fn take(
        &mut self,
        standing: &mut Standing,
        placer: &mut Placer<'_>,
        frame: (u64, Place, Vec<u8>),
        durable: Option<u64>,
    ) -> Result<(), LedgerError> {
        // The writer begins no frame before the one in front of it is durable.
        if let Some(before) = self.held_back.take() {
            self.put(standing, placer, before)?;
        }
        if durable.is_some_and(|durable| frame.0 <= durable) {
            self.put(standing, placer, frame)?;
        } else {
            self.held_back = Some(frame);
        }
        Ok(())
    }

    fn put(
        &mut self,
        standing: &mut Standing,
        placer: &mut Placer<'_>,
        (height, place, payload): (u64, Place, Vec<u8>),
    ) -> Result<(), LedgerError> {
        super::refuse_later(height, payload.split(|byte| *byte == b'\n').next().unwrap_or_default())?;
        let tampered = |message: String| LedgerError::Tampered { height, message };
        let (header, hash, _) = self.content.judge(self.identity, height, payload.clone()).map_err(tampered)?;
        if standing.tip.is_some_and(|(_, _, before)| before != header.previous) {
            return Err(tampered(format!("it does not follow the block before it in {}", self.identity.name)));
        }
        placer.put(place, height, &payload)?;
        self.bytes += crate::log::frame::padded_bytes(place.length);
        standing.push(height, place, hash);
        Ok(())
    }
}

/// The newest checkpoint of a ledger, and what it says; it is compared with the blocks once they are copied.
fn read_checkpoint(io: &dyn Io, dir: &Path, identity: &Identity) -> Result<Option<(Vec<u8>, SignedMark)>, LedgerError> {
    let path = dir.join(CHECKPOINT);
    let Some(text) = read_small(io, &path)? else { return Ok(None) };
    let wrong = |why: String| LedgerError::Tampered { height: 0, message: format!("{}: {why}", path.display()) };
    let note = Note::parse(&text).map_err(|e| wrong(e.to_string()))?;
    let Checkpoint { origin, size, root_hash } =
        Checkpoint::parse_text(note.text()).map_err(|e| wrong(e.to_string()))?;
    if origin != identity.origin {
        return Err(wrong(format!("it is of {origin}, and this ledger is {}", identity.origin)));
    }
    Ok(Some((text, SignedMark { origin, root: root_hash, size })))
}

/// Puts the checkpoint into the copy once it agrees with the blocks there.
fn keep_checkpoint(
    io: &dyn Io,
    to: &Path,
    identity: &Identity,
    note: Option<(Vec<u8>, SignedMark)>,
    standing: &Standing,
) -> Result<Option<u64>, LedgerError> {
    if let Some((text, mark)) = note {
        let tampered = |message: String| LedgerError::Tampered { height: mark.size.saturating_sub(1), message };
        match standing.log.root_at(mark.size) {
            Ok(found) if found == mark.root => durable::replace(io, &to.join(CHECKPOINT), &text)?,
            Ok(_) => return Err(tampered(format!("the checkpoint over {} blocks is of another history", mark.size))),
            Err(_) => {
                return Err(tampered(format!(
                    "a checkpoint over {} blocks was signed, and there are {}: blocks are missing",
                    mark.size,
                    standing.blocks()
                )));
            }
        }
    }
    Ok(read_checkpoint(io, to, identity)?.map(|(_, mark)| mark.size))
}
