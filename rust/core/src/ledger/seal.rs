//! The seal stage, on its own thread: salts, leaves, entries, state root, header, one frame, one sync; then the index.
//!
//! A block that fails to seal ends the ledger's handle: what was executed after it is never acknowledged.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use super::by_key::ByKey;
use super::columns::{Columns, NewRecord};
use super::lanes::{self, Position};
use super::open::Opened;
use super::recall::{self, Recalled};
use super::{Genesis, LedgerError, Shared, Tip, identity};
use crate::block::{self, BlockHeader, Refusal};
use crate::hash::{EMPTY, Hash, HashSuite};
use crate::index::{BlockRows, LaneRow, RecordIndex, Write};
use crate::log::{ChangesFiles, LogWriter, Place};
use crate::merkle;
use crate::state_map::{self, Hashed, Salt, StateMap, Values};
use crate::transaction::{NO_INSTRUCTION, Transaction, instruction_salt};

/// Blocks on their way into the sealed state.
pub(super) enum Job {
    /// One that was executed: a new one on its way to the disk, or a stored one to compare with.
    Executed(Box<Executed>),
    /// Stored ones whose changes are known.
    Recalled(Vec<Recalled>),
}

/// What the rules made of an open block, and the ledger's name in its header.
pub(super) struct Executed {
    pub opened: Opened,
    pub columns: Columns,
    pub ledger: String,
}

impl Job {
    /// Height of the first block.
    fn height(&self) -> u64 {
        match self {
            Self::Executed(block) => block.opened.height,
            Self::Recalled(blocks) => blocks.first().map_or(0, |block| block.rows.height),
        }
    }
}

/// What the sealing thread owns.
pub(super) struct Sealer {
    pub suite: &'static dyn HashSuite,
    pub writer: Option<LogWriter>,
    pub genesis: Option<Genesis>,
    pub shared: Arc<Shared>,
    pub index: SyncSender<BlockRows>,
    /// Where what blocks wrote is kept; none for a reader, or once they could not be written.
    pub changes: Option<ChangesFiles>,
}

impl Sealer {
    /// Seals blocks until the ledger is closed or one fails.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            if self.shared.failure().is_err() {
                continue;
            }
            let height = job.height();
            let done = match job {
                Job::Executed(block) => self.seal(*block),
                Job::Recalled(blocks) => self.take_over(blocks),
            };
            if let Err(error) = done {
                self.shared.fail(LedgerError::at(height, error));
            }
        }
    }

    fn seal(&mut self, executed: Executed) -> Result<(), LedgerError> {
        let started = Instant::now();
        let Executed { opened, columns, ledger } = executed;
        let shared = Arc::clone(&self.shared);
        let records = next_number(&shared.sealed().map)?;
        let mut block = Sealing::new(self.suite, columns.refused.len());
        for (position, writes) in columns.rows()?.into_iter().enumerate() {
            let Some(transaction) = opened.transaction(position) else { break };
            block.take(position, transaction, writes);
        }
        let mut leaves = block.salted(&shared.values, records);
        block.enter(opened.transactions().zip(&columns.refused));
        let tree_root = merkle::tree_hash(self.suite, &block.leaves);
        let hashed = Instant::now();
        let mut sealed = self.shared.sealed_mut();
        sealed.map.apply_hashed(&mut leaves);
        let state = sealed.map.root_hash();
        let previous = sealed.tip.as_ref().map_or([0; 32], |tip| tip.hash);
        let header = BlockHeader {
            entries: block.leaves.len() as u64,
            height: opened.height,
            ledger,
            previous,
            root: tree_root,
            rulebook: opened.rulebook,
            state,
            time_ms: opened.time_ms,
        };
        let header_text = header.to_bytes();
        let hash = block::block_hash(&header_text);
        drop(sealed);
        let mapped = Instant::now();
        let place = match &opened.stored {
            Some(stored) => {
                compare(stored, &header_text, &block.entries)?;
                stored.place
            }
            None => self.append(&opened, &header_text, &block, hash)?,
        };
        let appended = Instant::now();
        // Who sees a block in the log finds its place.
        shared.placed([(opened.height, place)]);
        let mut sealed = shared.sealed_mut();
        sealed.blocks.push(hash);
        sealed.tip = Some(Tip { header, header_text, hash });
        drop(sealed);
        self.keep(opened.height, &block.writes);
        self.shared.add_times(&[("hash", hashed - started), ("state", mapped - hashed), ("append", appended - mapped)]);
        self.shared.offer_writes(opened.height, &block.writes);
        self.shared.sealed_to(opened.height);
        let rows = BlockRows {
            height: opened.height,
            block_hash: hash,
            time_ms: opened.time_ms,
            segment: place.segment,
            offset: place.offset,
            length: place.length,
            lanes: block.lanes,
            writes: block.writes,
        };
        // The index thread ends only after this one, or after a failure that it reported itself.
        let _ = self.index.send(rows);
        Ok(())
    }

    /// Takes over stored blocks with what they wrote, each of which fits the entries of its block.
    fn take_over(&self, mut blocks: Vec<Recalled>) -> Result<(), LedgerError> {
        let started = Instant::now();
        let tampered = |height, message: &str| LedgerError::Tampered { height, message: message.to_owned() };
        let Some(last) = blocks.last().map(|block| Arc::clone(&block.stored)) else { return Ok(()) };
        let mut sealed = self.shared.sealed_mut();
        let mut previous = sealed.tip.as_ref().map_or([0; 32], |tip| tip.hash);
        for block in &blocks {
            if block.stored.header.previous != previous {
                return Err(tampered(block.rows.height, "its header does not name the block before"));
            }
            previous = block.rows.block_hash;
        }
        let mut leaves = number(&mut blocks, &sealed.map)?;
        for rows in blocks.iter_mut().map(|block| &mut block.rows) {
            // What an entry writes last is its lane.
            for (lane, writes) in rows.lanes.iter_mut().zip(Write::by_entry(&rows.writes)) {
                lane.number = writes.last().map_or(0, |write| write.number);
            }
        }
        sealed.map.apply_hashed(&mut leaves);
        if sealed.map.root_hash() != last.header.state {
            return Err(tampered(
                last.header.height,
                "what its entries commit to does not give the state of its header",
            ));
        }
        for block in &blocks {
            sealed.blocks.push(block.rows.block_hash);
        }
        let header_text = last.payload.header().to_vec();
        sealed.tip = Some(Tip { header: last.header.clone(), header_text, hash: previous });
        drop(sealed);
        self.shared.add_times(&[("state", started.elapsed())]);
        for block in blocks {
            self.shared.offer_writes(block.rows.height, &block.rows.writes);
            let _ = self.index.send(block.rows);
        }
        self.shared.sealed_to(last.header.height);
        Ok(())
    }

    /// Keeps what a block wrote for the day when the index has to be made anew. Where that cannot be written the rules
    /// will make it again, which is no reason to stop.
    fn keep(&mut self, height: u64, writes: &[Write]) {
        let Some(files) = &mut self.changes else { return };
        let started = Instant::now();
        if files.append(identity::tag_of(&self.shared.block_zero()), height, &recall::encode(writes)).is_err() {
            self.changes = None;
        }
        self.shared.add_times(&[("keep", started.elapsed())]);
    }

    fn append(&mut self, opened: &Opened, header: &[u8], block: &Sealing, hash: Hash) -> Result<Place, LedgerError> {
        let mut payload = Vec::with_capacity(block.payload_bytes + header.len() + 64);
        payload.extend_from_slice(header);
        payload.push(b'\n');
        for (transaction, entry) in opened.transactions().zip(&block.entries) {
            block::push_transaction(&mut payload, entry, transaction);
        }
        if let Some(genesis) = self.genesis.take() {
            self.writer = Some(genesis.begin(&hash, &self.shared)?);
        }
        let writer = self.writer.as_mut().ok_or(LedgerError::ReadOnly)?;
        Ok(writer.append(opened.height, &payload)?)
    }
}

/// Numbers what blocks wrote, by the map before them, and gives it as the map's leaves, in order.
fn number(blocks: &mut [Recalled], sealed: &StateMap) -> Result<Vec<Hashed>, LedgerError> {
    let mut writes: Vec<&mut Write> = blocks.iter_mut().flat_map(|block| &mut block.rows.writes).collect();
    let by_key = ByKey::new(writes.iter().map(|write| write.key), &sealed.values());
    by_key.number(writes.iter_mut().map(|write| &mut **write), next_number(sealed)?);
    Ok(by_key.last().map(|place| writes[place].leaf()).collect())
}

/// The number of the next record that is born.
fn next_number(map: &StateMap) -> Result<u32, LedgerError> {
    u32::try_from(map.len()).map_err(|_| LedgerError::Internal(format!("a ledger has at most {} records", u32::MAX)))
}

/// One block while its hashes are made: `take` for each transaction, then `salted`, then `enter`.
struct Sealing {
    suite: &'static dyn HashSuite,
    leaves: Vec<Hash>,
    entries: Vec<Vec<u8>>,
    writes: Vec<Write>,
    /// For each write the salt of the instruction that wrote it last.
    salts: Vec<Salt>,
    lanes: Vec<LaneRow>,
    payload_bytes: usize,
}

impl Sealing {
    fn new(suite: &'static dyn HashSuite, entries: usize) -> Self {
        Self {
            suite,
            leaves: Vec::with_capacity(entries),
            entries: Vec::with_capacity(entries),
            writes: Vec::new(),
            salts: Vec::new(),
            lanes: Vec::with_capacity(entries),
            payload_bytes: 0,
        }
    }

    /// Takes in what a transaction wrote, and its lane.
    fn take(&mut self, position: usize, transaction: &Transaction, writes: Vec<NewRecord>) {
        let entry = u32::try_from(position).unwrap_or(u32::MAX);
        for write in writes {
            let last = write.instructions.last().copied().unwrap_or_default();
            let salt = transaction.salts.get(usize::from(last)).copied().unwrap_or_default();
            self.push(entry, write, salt);
        }
        let lane_id = transaction.lane_id();
        let position = Position { sequence: transaction.sequence, transaction: transaction.id };
        let record = NewRecord {
            kind: lanes::KIND.into(),
            record: lanes::record(&lane_id, &position),
            id: lane_id.into(),
            instructions: Vec::new(),
        };
        self.push(entry, record, instruction_salt(self.suite, &transaction.salt, NO_INSTRUCTION));
    }

    fn push(&mut self, entry: u32, new: NewRecord, instruction_salt: Salt) {
        self.salts.push(instruction_salt);
        self.writes.push(Write {
            key: state_map::record_key(self.suite, &new.kind, &new.id),
            kind: new.kind,
            id: new.id,
            value: EMPTY,
            leaf_hash: EMPTY,
            salt: Salt::default(),
            record: new.record,
            entry,
            instructions: new.instructions,
            number: 0,
        });
    }

    /// Numbers, salts and hashes all that was written, and gives it as leaves of the state map, in order.
    fn salted(&mut self, values: &Values, next_number: u32) -> Vec<Hashed> {
        let (suite, writes) = (self.suite, &mut self.writes);
        let by_key = ByKey::new(writes.iter().map(|write| write.key), values);
        by_key.number(writes.iter_mut(), next_number);
        for (places, before) in by_key.each() {
            let mut salt = before.map(|leaf| leaf.salt);
            for place in places {
                let write = &mut writes[place];
                write.salt = state_map::record_salt(suite, salt.as_ref(), &self.salts[place], &write.key);
                salt = Some(write.salt);
            }
        }
        for write in &mut *writes {
            write.value = state_map::record_value(suite, &write.salt, &write.record);
        }
        Write::hash_leaves(suite, writes);
        by_key.last().map(|place| writes[place].leaf()).collect()
    }

    /// Makes the entry of each transaction.
    fn enter<'a>(&mut self, transactions: impl Iterator<Item = (&'a Transaction, &'a Vec<Refusal>)>) {
        for ((transaction, refused), writes) in transactions.zip(Write::by_entry(&self.writes)) {
            if let Some(lane) = writes.last() {
                self.lanes.push(LaneRow { number: lane.number, sequence: transaction.sequence, entry: lane.entry });
            }
            let text = block::entry(transaction, refused, &Write::changes(self.suite, writes), writes.len());
            self.payload_bytes += text.len() + transaction.instructions().len() + 40;
            self.leaves.push(block::entry_leaf(self.suite, &text));
            self.entries.push(text);
        }
    }
}

/// Compares a replayed block with the stored one, and says which transaction differs.
fn compare(stored: &super::open::StoredBlock, header: &[u8], entries: &[Vec<u8>]) -> Result<(), LedgerError> {
    if stored.payload.header() == header {
        return Ok(());
    }
    let height = stored.header.height;
    for (index, (was, now)) in stored.payload.entries().zip(entries).enumerate() {
        if was != now.as_slice() {
            let (was, now) = (String::from_utf8_lossy(was), String::from_utf8_lossy(now));
            return Err(LedgerError::Tampered {
                height,
                message: format!("entry {index} is not what the rules make of it: stored {was}, replayed {now}"),
            });
        }
    }
    let now = String::from_utf8_lossy(header);
    let was = String::from_utf8_lossy(stored.payload.header());
    Err(LedgerError::Tampered {
        height,
        message: format!("its header is not what its transactions make: stored {was}, replayed {now}"),
    })
}

/// Writes sealed blocks into the index, many in one commit when they queue.
pub(super) fn index_blocks(rows: &Receiver<BlockRows>, index: &dyn RecordIndex, shared: &Shared) {
    /// Blocks in one commit at most: bounds the memory that waits.
    const BLOCKS_MAX: usize = 64;
    while let Ok(first) = rows.recv() {
        let mut batch = vec![first];
        while batch.len() < BLOCKS_MAX {
            match rows.try_recv() {
                Ok(next) => batch.push(next),
                Err(_) => break,
            }
        }
        let started = Instant::now();
        let height = batch.last().map_or(0, |b| b.height);
        match index.apply(&batch) {
            Ok(()) => {
                shared.add_times(&[("index", started.elapsed())]);
                shared.indexed_to(height);
            }
            Err(error) => {
                shared.fail(error.into());
                return;
            }
        }
    }
}
