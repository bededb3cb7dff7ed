//! What a ledger's block files still hold, whatever happened to them: everything that hashes alone can show.
//!
//! It needs neither rules nor index, and goes on behind damage. A block that it holds is whole: its frame, its header,
//! its entries under the header's root, and the instructions that each entry's transaction signed. That the rules were
//! followed and the signatures hold is what a replay shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::identity::Identity;
use crate::block::{self, BlockHeader, Payload};
use crate::encoding;
use crate::hash::{self, Hash, HashSuite};
use crate::log::{Blocks, Damage, Depth, Fault, Met, Place, Storage, Walk};
use crate::merkle::{self, BlockLog};

/// A block that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where its frame lies.
    pub place: Place,
    /// Its hash.
    pub hash: Hash,
    /// The hash that it gives of the block before.
    pub previous: Hash,
}

/// What the block files of a ledger hold.
#[derive(Debug)]
pub struct Survey {
    /// Blocks that are whole, by height.
    pub held: BTreeMap<u64, Held>,
    /// Places where blocks are missing or wrong, in order of height.
    pub faults: Vec<Fault>,
    identity: Identity,
    blocks: Blocks,
}

impl Survey {
    /// Reads every block of the ledger in the folder `dir`.
    ///
    /// # Errors
    /// There is no ledger, or the system fails; damage to blocks is what `faults` is for.
    pub fn read(storage: &Storage, dir: &Path) -> Result<Self, LedgerError> {
        Self::of(&Identity::read(storage.io.as_ref(), dir)?, &Blocks::new(storage, dir.join("blocks")))
    }

    /// Reads every block of that ledger in a folder of block files.
    pub(super) fn of(identity: &Identity, blocks: &Blocks) -> Result<Self, LedgerError> {
        let (held, faults, identity) = (BTreeMap::new(), Vec::new(), identity.clone());
        let mut survey = Self { held, faults, identity, blocks: blocks.clone() };
        if blocks.segments()?.is_empty() {
            let (file, why) = (blocks.file(0), Damage::NoFile);
            survey.faults.push(Fault { file, offset: 0, height: 0, until: None, head: None, why });
            return Ok(survey);
        }
        let tag = survey.identity.tag();
        let mut content = Content::default();
        for met in Walk::new(blocks, tag, Depth::Whole)? {
            match met {
                Met::Fault(fault) => survey.faults.push(fault),
                Met::Frame(height, place, payload) => survey.take(&mut content, (height, place), payload),
            }
        }
        Ok(survey)
    }

    fn take(&mut self, content: &mut Content, (height, place): (u64, Place), payload: Vec<u8>) {
        let file = self.blocks.file(place.segment);
        let fault = |height, offset, until, why: String| Fault {
            file: file.clone(),
            offset,
            height,
            until: Some(until),
            head: None,
            why: Damage::Content(why),
        };
        match content.judge(&self.identity, height, payload) {
            Err(why) => self.faults.push(fault(height, place.offset, height + 1, why)),
            Ok((header, hash, _)) => {
                let before = height.checked_sub(1).and_then(|before| self.held.get(&before));
                // One block that was exchanged breaks the chain behind it, so it is the first to be doubted.
                if let Some(before) = before.filter(|before| before.hash != header.previous) {
                    let why = format!("block {height} names another block before it");
                    self.faults.push(fault(height - 1, before.place.offset, height, why));
                }
                self.held.insert(height, Held { place, hash, previous: header.previous });
            }
        }
    }

    /// Origin, `#`, hash of block 0.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Block file and offset of a block that is held.
    #[must_use]
    pub fn place(&self, height: u64) -> Option<(PathBuf, u64)> {
        let place = self.held.get(&height)?.place;
        Some((self.blocks.file(place.segment), place.offset))
    }

    /// Blocks from block 0 on without any fault.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.faults.first().map_or(self.end(), |fault| fault.height)
    }

    /// One more than the greatest height that was found.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.held.last_key_value().map_or(0, |(height, _)| height.saturating_add(1))
    }

    /// The hash of a block that is held, or that the block behind it gives.
    #[must_use]
    pub fn hash(&self, height: u64) -> Option<Hash> {
        if height == 0 {
            return Some(self.identity.zero);
        }
        let named = || self.held.get(&height.checked_add(1)?).map(|next| next.previous);
        self.held.get(&height).map(|held| held.hash).or_else(named)
    }

    /// The heights that are held, as ranges whose end is not in them.
    #[must_use]
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for height in self.held.keys().copied() {
            match ranges.last_mut() {
                Some((_, end)) if *end == height => *end = height.saturating_add(1),
                _ => ranges.push((height, height.saturating_add(1))),
            }
        }
        ranges
    }

    /// The root of the block log over `size` blocks; `None` where a hash is not known.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        // A size from a file may be anything; no more hashes are known than blocks were found.
        if size > self.end() {
            return None;
        }
        let mut log = BlockLog::new();
        for height in 0..size {
            log.push(self.hash(height)?);
        }
        Some(log.root_hash())
    }
}

/// Judges payloads by themselves, and finds out which hash suite they are made with.
#[derive(Default)]
pub(super) struct Content {
    suite: Option<&'static dyn HashSuite>,
}

impl Content {
    /// The hash suite of the payloads that were judged, once one was.
    pub fn suite(&self) -> Option<&'static dyn HashSuite> {
        self.suite
    }

    /// The header of a payload, its hash and the payload, once everything under it hashes to it; else what is wrong.
    pub fn judge(
        &mut self,
        identity: &Identity,
        height: u64,
        payload: Vec<u8>,
    ) -> Result<(BlockHeader, Hash, Payload), String> {
        let payload = Payload::parse(payload).map_err(|e| e.to_string())?;
        let (header, hash) = judge_header(identity, height, payload.header())?;
        if header.entries != payload.count() as u64 {
            return Err(format!("its header counts {} entries, and there are {}", header.entries, payload.count()));
        }
        let fits = |suite: &dyn HashSuite| {
            let leaves: Vec<Hash> = payload.entries().map(|entry| block::entry_leaf(suite, entry)).collect();
            merkle::tree_hash(suite, &leaves) == header.root
        };
        let suites =
            self.suite.map_or_else(|| hash::SUITES.iter().filter_map(|name| hash::suite(name)).collect(), |s| vec![s]);
        let suite = suites.into_iter().find(|suite| fits(*suite)).ok_or("its entries are not those of its header")?;
        for index in 0..payload.count() {
            payload.transaction(index, suite).map_err(|e| format!("entry {index}: {e}"))?;
        }
        self.suite = Some(suite);
        Ok((header, hash, payload))
    }
}

/// The header of a block and its hash, where it is one of that ledger at that height; else what is wrong.
pub(super) fn judge_header(identity: &Identity, height: u64, text: &[u8]) -> Result<(BlockHeader, Hash), String> {
    if let Some(found) = block::later_type(text) {
        return Err(format!("it is of type {found}, which a later version wrote"));
    }
    let header = BlockHeader::parse(text).map_err(|e| e.to_string())?;
    let hash = block::block_hash(text);
    if header.height != height {
        return Err(format!("its header is that of block {}", header.height));
    }
    if header.ledger != identity.in_header(height) {
        return Err(format!("it belongs to the ledger {}", header.ledger));
    }
    if height == 0 && (hash != identity.zero || header.previous != [0; 32]) {
        return Err(format!("its hash is {}, and the ledger is {}", encoding::hex(&hash), identity.name));
    }
    Ok((header, hash))
}
