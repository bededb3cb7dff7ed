//! A log on a simulated machine, with files so small that every edge is reached within a few frames.

#![allow(dead_code, reason = "each test file uses its own part of this support")]

use std::path::PathBuf;
use std::sync::Arc;

use finchain_core::log::{
    Blocks, Durability, Evidence, LedgerTag, LogError, LogReader, LogWriter, Place, Recovered, Sizes, Storage,
};

use crate::sim_io::{Fault, Random, SECTOR, SimIo};

pub const LEDGER: LedgerTag = *b"this ledger here";
pub const OTHER: LedgerTag = *b"another one here";
/// Four pages a file and zeros one page ahead.
pub const SMALL: Sizes = Sizes { segment_bytes: 4 * 4096, ahead_bytes: 4096 };

/// The log; clones are the same one.
#[derive(Clone, Debug)]
pub struct SimLog {
    pub io: SimIo,
    pub sizes: Sizes,
}

impl Default for SimLog {
    fn default() -> Self {
        Self::on(SimIo::default())
    }
}

impl SimLog {
    pub fn on(io: SimIo) -> Self {
        Self { io, sizes: SMALL }
    }

    pub fn blocks(&self) -> Blocks {
        Blocks::new(&Storage { io: Arc::new(self.io.clone()), sizes: self.sizes }, "/sim")
    }

    /// An independent machine in the same state.
    pub fn copy(&self) -> Self {
        Self { io: self.io.copy(), sizes: self.sizes }
    }

    /// Makes the step with that number fail, counted from now and from 1; what it was to do is then done in part.
    pub fn fail_at(&self, step: u64, seed: u64) {
        self.io.fail(Fault::step(step), seed);
    }

    /// Takes the fault away and says whether it struck.
    pub fn heal(&self) -> bool {
        self.io.heal()
    }

    /// Loses power: of what was not synced, each sector is kept or lost on its own.
    pub fn crash(&self, random: &mut Random) {
        self.io.lose_power(random, SECTOR);
    }

    pub fn file(segment: u32) -> PathBuf {
        PathBuf::from(format!("/sim/{segment:08}.blk"))
    }

    /// The bytes of a file, as reads show them.
    pub fn bytes(&self, segment: u32) -> Vec<u8> {
        self.io.bytes(&Self::file(segment)).unwrap()
    }

    /// Changes a file behind the log's back, durably.
    pub fn tamper(&self, segment: u32, act: impl FnOnce(&mut Vec<u8>)) {
        self.io.tamper(&Self::file(segment), act);
    }

    pub fn remove(&self, segment: u32) {
        self.io.delete(&Self::file(segment));
    }

    pub fn create(&self) -> LogWriter {
        self.create_with(Durability::Single).unwrap()
    }

    pub fn create_with(&self, durability: Durability) -> Result<LogWriter, LogError> {
        LogWriter::create(self.blocks(), LEDGER, durability)
    }

    pub fn open(&self, durable_height: Option<u64>) -> Result<(LogWriter, Recovered), LogError> {
        self.open_from(None, durable_height)
    }

    pub fn open_from(
        &self,
        from: Option<(Place, u64)>,
        durable_height: Option<u64>,
    ) -> Result<(LogWriter, Recovered), LogError> {
        LogWriter::open(self.blocks(), LEDGER, from, Evidence { durable_height }, None)
    }

    pub fn reader(&self) -> LogReader {
        LogReader::open(self.blocks(), LEDGER).unwrap()
    }

    /// A log of these payloads, and their places.
    pub fn with(payloads: &[Vec<u8>]) -> (Self, Vec<Place>) {
        let disk = Self::default();
        let mut log = disk.create();
        let places = (0..).zip(payloads).map(|(height, payload)| log.append(height, payload).unwrap()).collect();
        (disk, places)
    }

    /// All payloads that a fresh reader gives before the end or an error.
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        self.reader().frames(None).map_while(Result::ok).map(|(_, _, payload)| payload).collect()
    }
}

/// The payload of block `height` in tests: recognisable, and of a length that varies over one to three pages.
pub fn payload(height: u64) -> Vec<u8> {
    let bytes = [40, 4032, 4033, 9000, 1][usize::try_from(height % 5).unwrap()];
    format!("block {height} of the test\n").into_bytes().into_iter().cycle().take(bytes).collect()
}

pub fn payloads(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(payload).collect()
}
