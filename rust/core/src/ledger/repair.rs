//! Putting blocks back from another copy of the same ledger. It never invents: a block is written only where hashes
//! or a signature show that it is the one that was there.
//!
//! Between whole blocks the chain shows it: the block behind a gap gives the hash of the last one in it. At the end of
//! the log it is shown by the root that a checkpoint was signed over, or by the sum in the head of a frame whose
//! payload alone is damaged. What the copy has beyond the end is taken over where it extends the chain; whatever was
//! signed must agree with it.
//!
//! `ledger.json` is a function of block 0, so it is written anew where whole blocks here are of the ledger that the
//! copy names. A checkpoint is put back that one of the ledger's keys signed, which the caller has verified, once all
//! blocks under it are whole.

use std::collections::BTreeMap;
use std::path::Path;

use super::backup::CHECKPOINT;
use super::identity::{Identity, LEDGER_JSON};
use super::survey::{Held, Survey};
use super::{LedgerError, SignedMark};
use crate::hash::Hash;
use crate::log::io::Io;
use crate::log::{Blocks, Damage, Fault, Frame, Lock, LogReader, Place, Placer, Storage, durable};
use crate::merkle::BlockLog;

/// What shows that blocks are those that were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The block behind them gives their hash.
    Chain,
    /// The head of the damaged frame has the sum of this payload.
    Sum,
    /// A checkpoint over so many blocks was signed.
    Signed(u64),
    /// They extend the chain beyond its end; nothing that was signed speaks of them.
    Extends,
}

/// Blocks that are put back, from `height` up to but not including `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The first.
    pub height: u64,
    /// One more than the last.
    pub until: u64,
    /// Why they are the right ones.
    pub shown: Shown,
}

/// What a repair does, or would do.
#[derive(Debug, Default)]
pub struct Repair {
    /// What is put back, in order.
    pub mended: Vec<Mended>,
    /// What is not, each with the reason.
    pub left: Vec<(Fault, String)>,
    /// Small files that are written anew.
    pub files: Vec<&'static str>,
    /// Frames to write in place, by height.
    in_place: BTreeMap<u64, Place>,
}

/// Repairs the ledger in `dir` from the folder `source`; `signed` is what is known to be signed, and `note` a
/// checkpoint of that to put into the folder. Without `write` it only says what it would do.
///
/// # Errors
/// Another writes, the source is no copy of this ledger, or the system fails; what cannot be put back is in `left`.
pub fn repair(
    storage: &Storage,
    dir: &Path,
    source: &Path,
    signed: &[SignedMark],
    note: Option<&[u8]>,
    write: bool,
) -> Result<Repair, LedgerError> {
    let io = storage.io.as_ref();
    let identity = Identity::read(io, source)?;
    let blocks = Blocks::new(storage, dir.join("blocks"));
    let unnamed = is_unnamed(io, (dir, source), &blocks, &identity)?;
    let lock = if write { Some(Lock::acquire(io, &dir.join("lock"))?) } else { None };
    let copied = Blocks::new(storage, source.join("blocks"));
    let sides = Sides {
        own: Survey::of(&identity, &blocks)?,
        other: Survey::of(&identity, &copied)?,
        reader: LogReader::open(copied, identity.tag())?,
        blocks,
        identity,
    };
    if unnamed && sides.own.held.is_empty() {
        let (dir, name) = (dir.display(), &sides.identity.name);
        return Err(LedgerError::Conflict(format!("no whole block in {dir} shows that it holds {name}")));
    }
    let mut plan = sides.plan(signed)?;
    if unnamed {
        plan.files.push(LEDGER_JSON);
    }
    if note.is_some() && plan.left.is_empty() {
        plan.files.push(CHECKPOINT);
    }
    if write {
        sides.write(&plan)?;
        if let Some(note) = note.filter(|_| plan.left.is_empty()) {
            durable::replace(io, &dir.join(CHECKPOINT), note)?;
        }
        // Last, because without a name nobody opens what is mended halfway.
        if unnamed {
            durable::replace(io, &dir.join(LEDGER_JSON), sides.identity.to_json().as_bytes())?;
        }
    }
    drop(lock);
    Ok(plan)
}

/// Whether the folder has lost the file that names its ledger, or that file names none of the blocks beside it.
///
/// # Errors
/// It names another ledger than the copy, and rightly.
fn is_unnamed(
    io: &dyn Io,
    (dir, source): (&Path, &Path),
    blocks: &Blocks,
    copied: &Identity,
) -> Result<bool, LedgerError> {
    match Identity::read(io, dir) {
        Ok(own) if own == *copied => Ok(false),
        Ok(own) if Survey::of(&own, blocks)?.held.is_empty() => Ok(true),
        Ok(own) => Err(LedgerError::NotFound(format!("{} holds another ledger than {}", source.display(), own.name))),
        Err(LedgerError::NotFound(_) | LedgerError::Tampered { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// The damaged ledger and the copy.
struct Sides {
    identity: Identity,
    blocks: Blocks,
    own: Survey,
    other: Survey,
    reader: LogReader,
}

impl Sides {
    fn plan(&self, signed: &[SignedMark]) -> Result<Repair, LedgerError> {
        let mut plan = Repair::default();
        let mut faults = self.own.faults.iter().peekable();
        while let Some(fault) = faults.next() {
            let mut gap = fault.clone();
            // Neighbours are one gap: the block between them is no ground to stand on.
            while let Some(next) = faults.next_if(|next| gap.until.is_some_and(|until| next.height <= until)) {
                gap.until = next.until;
            }
            match gap.until.and_then(|until| self.own.held.get(&until).map(|behind| (until, behind))) {
                Some((until, behind)) => match self.fill(gap.height, until, behind) {
                    Ok(frames) => {
                        plan.in_place.extend(frames);
                        plan.mended.push(Mended { height: gap.height, until, shown: Shown::Chain });
                    }
                    Err(why) => plan.left.push((gap, why)),
                },
                None => return self.plan_tail(plan, Some(gap), signed),
            }
        }
        self.plan_tail(plan, None, signed)
    }

    /// The frames of a gap between whole blocks, once they are shown to be those that were there.
    fn fill(&self, from: u64, until: u64, behind: &Held) -> Result<Vec<(u64, Place)>, String> {
        let mut before = from.checked_sub(1).and_then(|height| self.own.held.get(&height));
        if from > 0 && before.is_none() {
            return Err(format!("block {} before it is damaged as well", from - 1));
        }
        let mut place = before.map(|held| held.place);
        let mut frames = Vec::new();
        for height in from..until {
            let held = self.other.held.get(&height).ok_or_else(|| format!("the copy has no whole block {height}"))?;
            if before.is_some_and(|before| before.hash != held.previous) {
                return Err(format!("the copy's block {height} does not follow block {}", height - 1));
            }
            let at = Place::after(place, held.place.length, self.blocks.sizes());
            frames.push((height, at));
            (before, place) = (Some(held), Some(at));
        }
        if before.is_some_and(|last| last.hash != behind.previous) {
            return Err(format!("block {until} does not follow the copy's block {}", until - 1));
        }
        if Place::after(place, behind.place.length, self.blocks.sizes()) != behind.place {
            return Err(format!("the copy's blocks do not end where block {until} begins"));
        }
        Ok(frames)
    }

    /// What becomes of the end of the log: a damaged last frame, and what the copy has beyond.
    fn plan_tail(&self, mut plan: Repair, gap: Option<Fault>, signed: &[SignedMark]) -> Result<Repair, LedgerError> {
        let from = gap.as_ref().map_or(self.own.end(), |gap| gap.height);
        let mut hashes: Vec<Hash> = (0..from).map_while(|height| self.hash(&plan, height)).collect();
        let whole = hashes.len() as u64 == from && plan.left.is_empty();
        let mut until = from;
        while let Some(held) = self.other.held.get(&until).filter(|held| whole && self.follows(&hashes, held)) {
            hashes.push(held.hash);
            until += 1;
        }
        let newest = signed.iter().map(|mark| mark.size).max().unwrap_or(0);
        let lost = gap.or_else(|| (newest > from).then(|| self.end_of_log(from, newest)));
        if !whole {
            let why = "blocks before it are damaged and cannot be put back";
            plan.left.extend(lost.map(|fault| (fault, why.to_owned())));
            return Ok(plan);
        }
        let stray = (until == from && self.other.end() > from)
            .then(|| format!("the copy's block {from} does not follow block {}", from.saturating_sub(1)));
        let short = (until == from && lost.is_some()).then(|| format!("the copy has no whole block {from}"));
        if let Some(why) = judge_signed(&self.identity, signed, &hashes).or(stray).or(short) {
            plan.left.push((lost.unwrap_or_else(|| self.end_of_log(from, newest)), why));
            return Ok(plan);
        }
        match lost.map_or(Ok(Last::Ends), |fault| self.in_last_frame(fault, newest))? {
            Last::Shown(shown) => {
                plan.mended.push(Mended { height: from, until: from + 1, shown });
                plan.take_tail(from + 1, until, newest);
            }
            Last::Ends => plan.take_tail(from, until, newest),
            Last::Another(fault) => {
                let why = format!("nothing shows that the copy's block {from} is the one that was here");
                plan.left.push((fault, why));
            }
        }
        if plan.mended.last().is_some_and(|last| last.until == until && until > from) {
            let mut before = from.checked_sub(1).and_then(|height| self.place(&plan, height));
            for (height, held) in self.other.held.range(from..until) {
                let place = Place::after(before, held.place.length, self.blocks.sizes());
                plan.in_place.insert(*height, place);
                before = Some(place);
            }
        }
        Ok(plan)
    }

    fn follows(&self, hashes: &[Hash], held: &Held) -> bool {
        hashes.last().map_or(held.hash == self.identity.zero, |last| *last == held.previous)
    }

    /// The hash of a block that is whole here, or will be.
    fn hash(&self, plan: &Repair, height: u64) -> Option<Hash> {
        let side = if plan.in_place.contains_key(&height) { &self.other } else { &self.own };
        side.held.get(&height).map(|held| held.hash)
    }

    fn place(&self, plan: &Repair, height: u64) -> Option<Place> {
        plan.in_place.get(&height).copied().or_else(|| self.own.held.get(&height).map(|held| held.place))
    }

    /// The fault of a log that ends before `from`, where `newest` blocks were signed or the copy has more.
    fn end_of_log(&self, from: u64, newest: u64) -> Fault {
        let last = from.checked_sub(1).and_then(|height| self.own.held.get(&height)).map(|held| held.place);
        let end = Place::after(last, 1, self.blocks.sizes());
        let why = if newest > from { Damage::Missing { durable: newest - 1 } } else { Damage::NoFrame };
        Fault { file: self.blocks.file(end.segment), offset: end.offset, height: from, until: None, head: None, why }
    }

    /// What the bytes at the end say of the block that was there.
    fn in_last_frame(&self, fault: Fault, newest: u64) -> Result<Last, LedgerError> {
        if newest > fault.height {
            return Ok(Last::Shown(Shown::Signed(newest)));
        }
        let torn = match &fault.why {
            Damage::Frame(error) => error.may_be_torn(),
            Damage::Residue | Damage::NoFile | Damage::Unreadable(_) => true,
            // Only what was signed tells of the others, and that was asked above.
            _ => false,
        };
        let Some(frame) = fault.head else { return Ok(if torn { Last::Ends } else { Last::Another(fault) }) };
        let Some(held) = self.other.held.get(&fault.height) else { return Ok(Last::Another(fault)) };
        let payload = self.reader.read(&held.place, fault.height)?;
        let same = Frame::of(self.identity.tag(), fault.height, &payload) == Some(frame);
        Ok(if same { Last::Shown(Shown::Sum) } else { Last::Another(fault) })
    }

    /// Writes what was planned, each frame in its place. A run that is interrupted leaves damage, which the next mends.
    ///
    /// The last frame is made durable before any other is written: with it behind them, whatever is missing then is
    /// damage. Without it a ledger that was refused could open as one that ends earlier, and go another way.
    fn write(&self, plan: &Repair) -> Result<(), LedgerError> {
        durable::make_folder(self.blocks.io(), self.blocks.path())?;
        let mut placer = Placer::new(&self.blocks, self.identity.tag());
        let mut frames = plan.in_place.iter();
        if let Some((height, place)) = frames.next_back() {
            placer.put(*place, *height, &self.payload(*height)?)?;
            placer.sync()?;
        }
        for (height, place) in frames {
            placer.put(*place, *height, &self.payload(*height)?)?;
        }
        Ok(placer.sync()?)
    }

    fn payload(&self, height: u64) -> Result<Vec<u8>, LedgerError> {
        let held = self.other.held.get(&height);
        let held = held.ok_or_else(|| LedgerError::Internal(format!("block {height} is planned and not held")))?;
        Ok(self.reader.read(&held.place, height)?)
    }
}

/// What the bytes at the end of a log say.
enum Last {
    /// The copy's block is the one that was there.
    Shown(Shown),
    /// They are no block: the log ends before them.
    Ends,
    /// They are of a block, and it is not shown to be the copy's.
    Another(Fault),
}

impl Repair {
    fn take_tail(&mut self, from: u64, until: u64, newest: u64) {
        if from >= until {
            return;
        }
        let signed = newest.clamp(from, until);
        if signed > from {
            self.mended.push(Mended { height: from, until: signed, shown: Shown::Signed(newest) });
        }
        if until > signed {
            self.mended.push(Mended { height: signed, until, shown: Shown::Extends });
        }
    }
}

/// Why these blocks are not what was signed, or not all of it.
fn judge_signed(identity: &Identity, signed: &[SignedMark], hashes: &[Hash]) -> Option<String> {
    for mark in signed {
        if mark.origin != identity.origin {
            return Some(format!("the mark is of {}, and this ledger is {}", mark.origin, identity.origin));
        }
        let size = usize::try_from(mark.size).unwrap_or(usize::MAX);
        let Some(under) = hashes.get(..size) else {
            return Some(format!(
                "a checkpoint over {} blocks was signed, and only {} can be put together",
                mark.size,
                hashes.len()
            ));
        };
        let mut log = BlockLog::new();
        for hash in under {
            log.push(*hash);
        }
        if log.root_hash() != mark.root {
            return Some(format!("the copy is not what was signed over {} blocks", mark.size));
        }
    }
    None
}
