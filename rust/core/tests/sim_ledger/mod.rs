//! A whole ledger on a simulated machine: a caller with the simplest rule there is, an index in memory, a checkpoint
//! key with its mark, and a witness outside of the machine that remembers everything that was ever promised.

#![allow(dead_code, reason = "each test file uses its own part of this support")]

mod index;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use finchain_core::canonical::{self, Value};
use finchain_core::encoding::{base64, hex};
use finchain_core::hash::{self, Hash, HashSuite, Purpose};
use finchain_core::index::RecordIndex;
use finchain_core::ledger::{Columns, Ledger, LedgerError, Opened, Options, Recovery, SignedMark};
use finchain_core::log::{Durability, Sizes, Storage};
use finchain_core::merkle;
use finchain_core::note::{KeyKind, VerifierKey};
use finchain_core::signature::SecretKey;
use finchain_core::transaction::instruction_salt;
pub use index::MemoryIndex;

use crate::sim_io::SimIo;

pub const ORIGIN: &str = "example.com/sim";
/// The time of block 0 in Unix milliseconds.
pub const START_MS: u64 = 1_774_000_000_000;
/// Orders stay valid for as long as any clock of a simulation jumps.
const EXPIRES_MS: u64 = START_MS + 20 * 24 * 3_600_000;
/// Orders that a simulation has at hand.
pub const ORDERS: u64 = 128;
/// Four pages a file, which is four blocks.
const SIZES: Sizes = Sizes { segment_bytes: 4 * 4096, ahead_bytes: 4096 };

pub fn suite() -> &'static dyn HashSuite {
    hash::suite("blake3").unwrap()
}

fn operator() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

pub fn checkpoint_key() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

pub fn verifier_key() -> VerifierKey {
    VerifierKey::of(ORIGIN, KeyKind::Note, &checkpoint_key()).unwrap()
}

pub fn folder() -> &'static Path {
    Path::new("/ledger")
}

pub fn mark_path() -> PathBuf {
    PathBuf::from("/keys/signed")
}

/// A transaction of one instruction, signed by the operator.
pub fn signed(instruction: &str, ledger: &str, lane: &str, sequence: u64) -> Vec<u8> {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&sequence.to_le_bytes());
    let leaf = suite().hash(Purpose::Instruction, &[&instruction_salt(suite(), &salt, 0), instruction.as_bytes()]);
    let tree = hex(&merkle::tree_hash(suite(), &[leaf]));
    let header = format!(
        "{{\"by\":[\"operator\"],\"count\":1,\"expires_ms\":{EXPIRES_MS},\"lane\":\"{lane}\",\"ledger\":\"{ledger}\",\
         \"mode\":\"all\",\"root\":\"{tree}\",\"rulebook\":1,\"sequence\":{sequence},\
         \"type\":\"finchain.transaction.1\"}}"
    );
    let signature = base64(&operator().sign(header.as_bytes()).unwrap());
    format!(
        "{{\"header\":{header},\"instructions\":[{instruction}],\"salt\":\"{}\",\
         \"signatures\":[{{\"key\":\"operator/1\",\"signature\":\"{signature}\"}}]}}",
        hex(&salt)
    )
    .into_bytes()
}

/// Every order of a simulation: number `n` of the lane is `orders(ledger)[n - 1]`. The ledger's name is the same in
/// every simulation, because its first block is, so they are signed once.
fn orders(ledger: &str) -> &'static [Vec<u8>] {
    static ORDERS_SIGNED: OnceLock<(String, Vec<Vec<u8>>)> = OnceLock::new();
    let (name, texts) = ORDERS_SIGNED.get_or_init(|| {
        let order = |n| signed(&format!("{{\"type\":\"test.put\",\"value\":{n}}}"), ledger, "orders", n);
        (ledger.to_owned(), (1..=ORDERS).map(order).collect())
    });
    assert_eq!(name, ledger);
    texts
}

/// The rules: block 0 enrols the operator, and an order puts its number into one of seven records.
pub fn execute(opened: &Opened) -> Columns {
    let mut columns = Columns::default();
    let mut records = Vec::new();
    let mut touched = Vec::new();
    for transaction in opened.transactions() {
        let instruction = transaction.instruction(0).unwrap();
        let value = Value::parse(instruction, canonical::DEPTH_MAX).unwrap();
        let written = match value.get("value").and_then(Value::as_integer) {
            Some(n) => vec![("thing", format!("t-{}", n % 7), format!("{{\"id\":\"t-{}\",\"value\":{n}}}", n % 7))],
            None => founding_records(),
        };
        columns.counts.push(written.len());
        columns.refused.push(Vec::new());
        for (kind, id, record) in written {
            columns.kinds.extend([kind, "\n"]);
            columns.ids.extend([&*id, "\n"]);
            touched.push("[0]");
            records.push(record);
        }
    }
    columns.instructions = format!("[{}]", touched.join(",")).into_bytes();
    columns.records = format!("[{}]", records.join(",")).into_bytes();
    columns
}

fn founding_records() -> Vec<(&'static str, String, String)> {
    let public_key = base64(&operator().public_key());
    vec![
        ("ledger", "ledger".into(), "{\"id\":\"ledger\",\"rulebook\":1}".into()),
        ("party", "operator".into(), "{\"id\":\"operator\",\"keys\":1,\"threshold\":1}".into()),
        (
            "key",
            "operator/1".into(),
            format!(
                "{{\"duty\":\"any\",\"holder\":\"Operator\",\"id\":\"operator/1\",\"party\":\"operator\",\
                 \"public_key\":\"{public_key}\",\"suite\":\"ed25519\"}}"
            ),
        ),
    ]
}

/// What was promised to anybody, and what was only tried.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    /// Blocks that were acknowledged, and the root over them.
    pub acknowledged: Option<(u64, Hash)>,
    /// Orders that each block was to hold, acknowledged or not.
    pub tried: BTreeMap<u64, Vec<u64>>,
    /// Roots that signatures left the machine over, by size.
    pub signed: BTreeMap<u64, Hash>,
}

impl Promises {
    pub fn blocks(&self) -> u64 {
        self.acknowledged.map_or(0, |(blocks, _)| blocks)
    }
}

/// A ledger, its machine and its index, and what was promised.
pub struct World {
    pub io: SimIo,
    pub durability: Durability,
    pub index: Arc<MemoryIndex>,
    /// Whether a loss of power has put the index in doubt.
    pub index_in_doubt: bool,
    pub ledger: Option<Ledger>,
    pub clock_ms: u64,
    pub promises: Promises,
    /// Stored blocks that were executed again when the ledger was opened, because their changes were not kept.
    pub executed: u64,
}

impl World {
    pub fn new(io: SimIo, durability: Durability) -> Self {
        Self {
            io,
            durability,
            index: Arc::default(),
            index_in_doubt: false,
            ledger: None,
            clock_ms: START_MS,
            promises: Promises::default(),
            executed: 0,
        }
    }

    pub fn options(&self) -> Options {
        let storage = Storage { io: Arc::new(self.io.clone()), sizes: SIZES };
        Options { durability: Some(self.durability), storage, ..Options::default() }
    }

    fn ledger(&self) -> Result<&Ledger, LedgerError> {
        self.ledger.as_ref().ok_or(LedgerError::Closed)
    }

    /// Founds the ledger; block 0 is acknowledged.
    pub fn found(&mut self) -> Result<(), LedgerError> {
        self.index = Arc::default();
        for place in [folder(), Path::new("/keys")] {
            let storage = self.options().storage;
            storage.io.make_folder(place).map_err(|e| LedgerError::Storage(e.to_string()))?;
            storage.io.sync_folder(Path::new("/")).map_err(|e| LedgerError::Storage(e.to_string()))?;
        }
        let index: Arc<dyn RecordIndex> = Arc::clone(&self.index) as _;
        let ledger = Ledger::create(folder(), ORIGIN, "blake3", 1, index, &self.options())?;
        let founding = signed("{\"hash\":\"blake3\",\"type\":\"test.found\"}", &ledger.name(), "create", 1);
        self.ledger = Some(ledger);
        self.seal(founding, vec![0])?;
        self.acknowledge()
    }

    fn seal(&mut self, text: Vec<u8>, orders: Vec<u64>) -> Result<(), LedgerError> {
        self.seal_all(&[text], orders)
    }

    /// Takes transactions through check, open, execute and seal, without waiting for the disk.
    fn seal_all(&mut self, texts: &[Vec<u8>], orders: Vec<u64>) -> Result<(), LedgerError> {
        let ledger = self.ledger()?;
        let checked = Arc::new(ledger.check(texts));
        let opened = ledger.open_block(&checked, 0, self.clock_ms)?;
        assert_eq!(opened.rejected, [], "the orders are good");
        assert_eq!(opened.taken.len(), texts.len());
        assert!(opened.time_ms >= ledger.time_ms(), "the time of blocks never falls");
        let height = opened.height;
        let columns = execute(&opened);
        ledger.seal(opened, columns)?;
        self.promises.tried.insert(height, orders);
        Ok(())
    }

    /// Hands over blocks of so many of the next orders each, one after the other, and waits until all are durable.
    pub fn submit(&mut self, blocks: &[u64]) -> Result<(), LedgerError> {
        for count in blocks {
            let ledger = self.ledger()?;
            let (name, next) = (ledger.name(), ledger.lane_sequence("operator orders") + 1);
            let numbers: Vec<u64> = (next..next + count).collect();
            let texts: Vec<Vec<u8>> =
                numbers.iter().map(|n| orders(&name)[usize::try_from(n - 1).unwrap()].clone()).collect();
            self.seal_all(&texts, numbers)?;
        }
        self.acknowledge()
    }

    /// Waits until everything is durable, and counts it as promised.
    fn acknowledge(&mut self) -> Result<(), LedgerError> {
        let ledger = self.ledger()?;
        ledger.wait_sealed(ledger.height() - 1)?;
        let acknowledged = ledger.log_root();
        ledger.wait_indexed()?;
        self.promises.acknowledged = Some(acknowledged);
        self.io.note(acknowledged.0);
        Ok(())
    }

    /// Signs a checkpoint; the signature counts as having left the machine.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>, LedgerError> {
        let ledger = self.ledger()?;
        let note = ledger.sign_checkpoint(&checkpoint_key(), &mark_path())?;
        let (size, root_hash) = ledger.log_root();
        assert_eq!(ledger.compare_checkpoint(&note, &[verifier_key()])?, Some(size));
        let before = self.promises.signed.insert(size, root_hash);
        assert!(before.is_none_or(|before| before == root_hash), "two roots were signed for {size} blocks");
        Ok(note)
    }

    /// Opens the ledger as the library does: the mark as evidence, a replay of what the index has not, the comparison
    /// with the mark.
    pub fn open(&mut self) -> Result<Recovery, LedgerError> {
        self.close();
        let mark = SignedMark::read(&self.io, &mark_path())?;
        let options = Options { durable_height: mark.map(|mark| mark.size - 1), ..self.options() };
        if self.index_in_doubt {
            self.index = Arc::default();
            self.index_in_doubt = false;
        }
        let kept = Arc::clone(&self.index);
        let fresh: Arc<MemoryIndex> = Arc::default();
        let made = Arc::clone(&fresh);
        let open_index = move |anew: bool| {
            let index: Arc<dyn RecordIndex> = if anew { Arc::clone(&made) as _ } else { Arc::clone(&kept) as _ };
            Ok(index)
        };
        let (ledger, recovery) = Ledger::open(folder(), open_index, &options)?;
        if recovery.index_stale.is_some() {
            self.index = fresh;
        }
        let mut height = recovery.replay_from;
        let mut ahead = None;
        while height < recovery.blocks {
            let taken = ledger.recall(recovery.blocks)?;
            if taken == 0 {
                let opened = ledger.open_stored(height, false, ahead.take())?;
                ahead = (height + 1 < recovery.blocks).then(|| ledger.check_stored(height + 1, false).ok()).flatten();
                let columns = execute(&opened);
                ledger.seal(opened, columns)?;
                self.executed += 1;
            }
            height += taken.max(1);
            ledger.wait_sealed(height - 1)?;
        }
        ledger.wait_indexed()?;
        ledger.compare_mark_at(&mark_path())?;
        self.ledger = Some(ledger);
        Ok(recovery)
    }

    /// Lets the process end, with what it had still to do.
    pub fn close(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            let _ = ledger.close();
        }
    }

    /// Asserts that an open ledger holds every promise, and nothing that nobody asked for; what it holds counts as
    /// promised from then on, because it is served.
    pub fn check_promises(&mut self, what: &str) {
        let ledger = self.ledger.as_ref().unwrap();
        let (blocks, root_hash) = ledger.log_root();
        let promised = self.promises.blocks();
        assert!(blocks >= promised, "{what}: {promised} blocks were acknowledged, and {blocks} are there");
        for (size, promised) in
            self.promises.acknowledged.iter().map(|(size, hash)| (size, hash)).chain(&self.promises.signed)
        {
            let mark = SignedMark { origin: ORIGIN.into(), root: *promised, size: *size };
            ledger.compare_mark(&mark).unwrap_or_else(|e| panic!("{what}: {e}"));
        }
        // An old copy of the folder, put back, would find the key's memory whole.
        let signed = self.promises.signed.last_key_value().map(|(size, _)| *size);
        let mark = SignedMark::read(&self.io, &mark_path()).unwrap().map(|mark| mark.size);
        assert!(mark >= signed, "{what}: {signed:?} blocks were signed, and the mark says {mark:?}");
        self.check_contents(what);
        self.promises.acknowledged = Some((blocks, root_hash));
        self.io.note(blocks);
    }

    /// Asserts that every block holds exactly the orders that it was to hold.
    pub fn check_contents(&self, what: &str) {
        let ledger = self.ledger.as_ref().unwrap();
        for height in 0..ledger.log_root().0 {
            let tried = self.promises.tried.get(&height).unwrap_or_else(|| panic!("{what}: block {height} of nobody"));
            for (entry, order) in (0..).zip(tried) {
                let entered = ledger.entered(height, entry).unwrap_or_else(|e| panic!("{what}: {e}"));
                let expected = if height == 0 { 1 } else { *order };
                assert_eq!(entered.transaction.sequence, expected, "{what}: block {height}");
            }
            assert!(ledger.entered(height, u32::try_from(tried.len()).unwrap()).is_err(), "{what}: block {height}");
        }
    }
    /// Asserts that every block that can be read holds what it was to hold; others give an error.
    pub fn check_what_is_there(&self, what: &str) {
        let ledger = self.ledger.as_ref().unwrap();
        for (height, orders) in &self.promises.tried {
            for (entry, order) in (0..).zip(orders) {
                if let Ok(entered) = ledger.entered(*height, entry) {
                    let expected = if *height == 0 { 1 } else { *order };
                    assert_eq!(entered.transaction.sequence, expected, "{what}: block {height}");
                }
            }
        }
    }

    /// The id of a transaction in a block of an open or closed ledger.
    pub fn transaction_id(&mut self, height: u64, entry: u32) -> Hash {
        if self.ledger.is_none() {
            self.open().unwrap();
        }
        self.ledger.as_ref().unwrap().entered(height, entry).unwrap().transaction.id
    }

    /// Asserts that the records are those that the acknowledged orders make, unless reading fails.
    pub fn check_records(&self) -> Result<(), LedgerError> {
        let ledger = self.ledger()?;
        let orders: Vec<u64> =
            self.promises.tried.range(..self.promises.blocks()).flat_map(|(_, n)| n).copied().collect();
        for place in 0..7 {
            let last = orders.iter().rev().find(|n| **n > 0 && **n % 7 == place);
            let expected = last.map(|n| format!("{{\"id\":\"t-{place}\",\"value\":{n}}}").into_bytes());
            let id = format!("t-{place}");
            assert_eq!(ledger.record("thing", &id)?, expected);
            assert_eq!(ledger.records(&[("thing", &id), ("thing", "t-7")])?, [expected, None]);
        }
        Ok(())
    }
}
