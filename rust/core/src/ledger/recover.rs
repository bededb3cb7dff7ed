//! Opening a ledger that exists: its name, its blocks, what the index still knows of it, and what has to be replayed.
//!
//! The index is believed only where its records give the state root of a block that the log holds; everything else is
//! executed again from the blocks, by the caller.

use std::path::Path;
use std::sync::Arc;

use super::authorities::Authorities;
use super::fill::fill;
use super::identity::{self, Identity};
use super::lanes::{self, Lanes};
use super::shared::{Shared, Tip};
use super::{Executor, Ledger, LedgerError, Options, Recovery, locked};
use crate::block::{BlockHeader, Payload};
use crate::canonical;
use crate::checkpoint::Checkpoint;
use crate::encoding;
use crate::hash::{self, Hash, HashSuite};
use crate::index::{IndexFailure, Meta, RecordIndex};
use crate::log::io::Io;
use crate::log::{self, Blocks, Cut, Evidence, Lock, LogError, LogReader, LogWriter, Place};
use crate::note::Note;

impl Ledger {
    /// Opens a ledger. The caller replays the blocks from `replay_from` on before it does anything else.
    ///
    /// `open_index` opens the index, or makes an empty one where its argument is true. The lock is taken first:
    /// another writer's index is neither opened nor wiped.
    ///
    /// # Errors
    /// What is wrong with folder or blocks, or that another writes; or what `open_index` failed with.
    pub fn open(
        dir: &Path,
        mut open_index: impl FnMut(bool) -> Result<Arc<dyn RecordIndex>, LedgerError>,
        options: &Options,
    ) -> Result<(Self, Recovery), LedgerError> {
        let io = options.storage.io.as_ref();
        let identity = Identity::read(io, dir)?;
        let lock = match &options.follow {
            Some(own) => Some(Lock::acquire(io, own)?),
            None if options.read_only => None,
            None => Some(Lock::acquire(io, &dir.join("lock"))?),
        };
        let first = open_index(false).and_then(|index| Self::open_with(dir, &identity, index, options));
        let (ledger, recovery) = match first {
            Err(LedgerError::IndexStale(why)) => {
                let (ledger, recovery) = Self::open_with(dir, &identity, open_index(true)?, options)?;
                (ledger, Recovery { index_stale: Some(why), ..recovery })
            }
            other => other?,
        };
        *locked(&ledger.lock) = lock;
        Ok((ledger, recovery))
    }

    fn open_with(
        dir: &Path,
        identity: &Identity,
        index: Arc<dyn RecordIndex>,
        options: &Options,
    ) -> Result<(Self, Recovery), LedgerError> {
        let (origin, zero, short) = (identity.origin.as_str(), identity.zero, identity.tag());
        // A copy may lack blocks that were signed, and is read as it is: confirming it finds that out.
        let copy = !options.read_only && identity.is_copy(options.storage.io.as_ref(), dir)?;
        let folder = Blocks::new(&options.storage, dir.join("blocks"));
        let reader = LogReader::open(folder.clone(), short)?;
        let suite = read_suite(&reader, origin, &zero)?;
        let meta = match index.meta()? {
            Some(meta) if meta.ledger != zero => {
                return Err(LedgerError::IndexStale("it belongs to another ledger".into()));
            }
            other => other,
        };
        let from = match &meta {
            Some(meta) => {
                let row = index
                    .block(meta.height)?
                    .ok_or_else(|| LedgerError::IndexStale("its last block is missing".into()))?;
                Some((Place { segment: row.segment, offset: row.offset, length: row.length }, meta.height))
            }
            None => None,
        };
        let indexed = meta.as_ref().map(|m| m.height);
        let (writer, frames, cut) = if options.read_only || copy {
            let found = if options.follow.is_some() { reader.frames_so_far(from) } else { reader.frames(from) };
            // The frame behind the last one that is asked for is not even read: it may be the damaged one.
            let most = options.blocks_max.unwrap_or(u64::MAX).saturating_sub(from.map_or(0, |(_, known)| known));
            (None, after(found.take(usize::try_from(most).unwrap_or(usize::MAX)), from)?, None)
        } else {
            let signed = checkpoint_height(options.storage.io.as_ref(), &dir.join("checkpoint"), origin)?;
            let evidence = Evidence { durable_height: options.durable_height.max(indexed).max(signed) };
            let (writer, recovered) = LogWriter::open(folder.clone(), short, from, evidence, options.durability)?;
            (Some(writer), recovered.frames, recovered.cut.as_ref().map(told))
        };
        let blocks = frames.last().map_or(from.map_or(0, |f| f.1 + 1), |(height, _)| height + 1);
        let shared = Arc::new(Shared::new(suite, Some(zero)));
        let mut executor = Executor {
            height: 0,
            time_ms: 0,
            rulebook: 1,
            authorities: Authorities::default(),
            lanes: Lanes::default(),
        };
        if let (Some(meta), Some((place, _))) = (&meta, from) {
            let loaded = load(&shared, &mut executor, index.as_ref(), &reader, meta, place, suite);
            loaded.map_err(|error| {
                if options.follow.is_some() { tampered_since(&reader, meta, place, error) } else { error }
            })?;
        }
        shared.placed(frames);
        if !options.read_only {
            index.mark_open()?;
        }
        let replay_from = executor.height;
        let places = (dir, folder);
        let mut ledger =
            Self::start(places, origin, suite, index, shared, executor, (writer, None), Some(reader), options);
        ledger.copy = copy;
        Ok((ledger, Recovery { blocks, replay_from, cut, index_stale: None, copy }))
    }

    /// Looks for blocks that were written since the ledger was opened, for the caller to replay; gives how many there
    /// are in all. Files may have been replaced by others that begin with the same blocks.
    ///
    /// # Errors
    /// The blocks are damaged, or the ledger is closed.
    pub fn look_further(&self) -> Result<u64, LedgerError> {
        self.index()?;
        let log = LogReader::open(self.blocks.clone(), identity::tag_of(&self.shared.block_zero()))?;
        let last = self.shared.last_place().map(|(height, place)| (place, height));
        let frames = after(log.frames_so_far(last), last)?;
        *locked(&self.reader) = Some(log);
        self.shared.placed(frames);
        Ok(self.shared.last_place().map_or(0, |(height, _)| height + 1))
    }
}

/// The hash suite that block 0 declares, once its header's hash is the ledger's and its name the origin.
pub(super) fn read_suite(reader: &LogReader, origin: &str, zero: &Hash) -> Result<&'static dyn HashSuite, LedgerError> {
    let tampered = |message: String| LedgerError::Tampered { height: 0, message };
    let first = reader.frames(None).next().ok_or_else(|| tampered("it is missing".into()))??;
    let payload = Payload::parse(first.2).map_err(|e| tampered(e.to_string()))?;
    super::refuse_later(0, payload.header())?;
    if crate::block::block_hash(payload.header()) != *zero {
        return Err(tampered("its hash is not that of ledger.json".into()));
    }
    let header = BlockHeader::parse(payload.header()).map_err(|e| tampered(e.to_string()))?;
    if header.ledger.strip_suffix('#') != Some(origin) {
        return Err(tampered(format!("it founds {}, and ledger.json says {origin}", header.ledger)));
    }
    for suite in hash::SUITES.iter().filter_map(|name| hash::suite(name)) {
        let Ok((transaction, _)) = payload.transaction(0, suite) else { continue };
        let instruction = transaction.instruction(0).unwrap_or_default();
        let value = canonical::Value::parse(instruction, canonical::DEPTH_MAX).map_err(|e| tampered(e.to_string()))?;
        if value.get("hash").and_then(canonical::Value::as_text) == Some(suite.name()) {
            return Ok(suite);
        }
    }
    Err(tampered("its instruction's root fits no hash suite that this version knows".into()))
}

type Frames = Vec<(u64, Place)>;

/// Heights and places of the frames after `from`, which is the first of them where there is one.
fn after(
    found: impl Iterator<Item = Result<(u64, Place, Vec<u8>), LogError>>,
    from: Option<(Place, u64)>,
) -> Result<Frames, LedgerError> {
    let mut frames = Frames::new();
    for frame in found {
        let (height, place, _) = frame?;
        if from.is_none_or(|(_, known)| height > known) {
            frames.push((height, place));
        }
    }
    Ok(frames)
}

/// A cut in words.
fn told(cut: &Cut) -> String {
    let Cut { file, offset, bytes, why } = cut;
    format!("{}: {bytes} bytes from offset {offset} were no finished block and were cut off: {why}", file.display())
}

/// Height of the last block that the checkpoint in the folder covers, which is evidence that it was acknowledged.
///
/// One that cannot be read is no evidence: the next one replaces it, and an audit, which also knows the keys that must
/// have signed, says what is wrong with it.
fn checkpoint_height(io: &dyn Io, path: &Path, origin: &str) -> Result<Option<u64>, LedgerError> {
    let note = log::read_small(io, path)?.and_then(|bytes| Note::parse(&bytes).ok());
    let checkpoint = note.and_then(|note| Checkpoint::parse_text(note.text()).ok());
    Ok(checkpoint
        .filter(|checkpoint| checkpoint.origin == origin)
        .and_then(|checkpoint| checkpoint.size.checked_sub(1)))
}

/// What a follower makes of an index that does not fit: where the block that it ends with is another one now, that is
/// what a follower is there to notice.
fn tampered_since(reader: &LogReader, meta: &Meta, place: Place, error: LedgerError) -> LedgerError {
    let hash = reader.read(&place, meta.height).ok().and_then(|bytes| Payload::parse(bytes).ok());
    match hash.map(|payload| crate::block::block_hash(payload.header())) {
        Some(hash) if hash != meta.block_hash => LedgerError::Tampered {
            height: meta.height,
            message: format!(
                "this is block {} now, and was block {} when it was followed",
                encoding::hex(&hash),
                encoding::hex(&meta.block_hash)
            ),
        },
        _ => error,
    }
}

/// Takes state, authorities and lanes from the index and compares the state's root with the header.
fn load(
    shared: &Shared,
    executor: &mut Executor,
    index: &dyn RecordIndex,
    reader: &LogReader,
    meta: &Meta,
    place: Place,
    suite: &'static dyn HashSuite,
) -> Result<(), LedgerError> {
    let stale = |message: &str| LedgerError::IndexStale(message.to_owned());
    let payload =
        Payload::parse(reader.read(&place, meta.height)?).map_err(|e| LedgerError::IndexStale(e.to_string()))?;
    let header = BlockHeader::parse(payload.header()).map_err(|e| LedgerError::IndexStale(e.to_string()))?;
    let header_text = payload.header().to_vec();
    let hash = crate::block::block_hash(&header_text);
    if hash != meta.block_hash {
        return Err(stale("its last block is another one"));
    }
    let mut sealed = shared.sealed_mut();
    for hash in index.block_hashes()? {
        sealed.blocks.push(hash);
    }
    if sealed.blocks.size() != meta.height + 1 {
        return Err(stale("blocks are missing in it"));
    }
    fill(&mut sealed.map, index, suite, &mut |kind, id, record| {
        if kind == lanes::KIND && !lanes::is_once(id) {
            let position = lanes::parse(record).ok_or_else(|| IndexFailure(format!("lane {id} cannot be read")))?;
            executor.lanes.set(id, position, meta.height);
        }
        executor.note(kind, id, record).map_err(IndexFailure)
    })?;
    if sealed.map.root_hash() != header.state {
        return Err(stale("its records do not give the state root of its last block"));
    }
    executor.height = meta.height + 1;
    executor.time_ms = header.time_ms;
    shared.placed([(meta.height, place)]);
    sealed.tip = Some(Tip { header, header_text, hash });
    drop(sealed);
    shared.start_at(meta.height + 1);
    Ok(())
}
