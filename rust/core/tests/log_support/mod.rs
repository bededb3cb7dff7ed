//! A disk in memory that behaves as badly as real ones may: it forgets what was not synced, in any order and by
//! the sector; it fails at a chosen step; and after a failed sync it goes on showing what it has lost.

#![allow(dead_code, reason = "each test file uses its own part of this support")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use finchain_core::log::disk::{Disk, SegmentFile};
use finchain_core::log::{Evidence, LedgerTag, LogError, LogReader, LogWriter, Place, Recovered, Sizes};

pub const LEDGER: LedgerTag = *b"this ledger here";
pub const OTHER: LedgerTag = *b"another one here";
pub const SECTOR: usize = 512;
/// Four pages a file and zeros one page ahead: every edge is reached within a few frames.
pub const SMALL: Sizes = Sizes { segment_bytes: 4 * 4096, ahead_bytes: 4096 };

/// A small generator of reproducible numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

#[derive(Clone, Debug, Default)]
struct Stored {
    /// What reads show.
    cache: Vec<u8>,
    /// What survives a loss of power.
    medium: Vec<u8>,
    /// Sectors that the next sync writes.
    dirty: BTreeSet<usize>,
    name_synced: bool,
}

#[derive(Clone, Debug, Default)]
struct State {
    files: BTreeMap<u32, Stored>,
    steps: u64,
    fail_at: Option<u64>,
    random: Option<Random>,
}

/// The disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    segment: u32,
}

impl SimDisk {
    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// An independent disk with the same content.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state(|s| s.clone()))))
    }

    /// Makes the step with that number, counted from now and from 1, fail; what it was to do is then done in part.
    pub fn fail_at(&self, step: u64, seed: u64) {
        self.state(|s| (s.steps, s.fail_at, s.random) = (0, Some(step), Some(Random(seed))));
    }

    /// Takes the fault away and says whether it struck.
    pub fn heal(&self) -> bool {
        self.state(|s| s.fail_at.take().is_some_and(|step| s.steps >= step))
    }

    /// Loses power: of what was not synced, each sector is kept or lost on its own.
    pub fn crash(&self, random: &mut Random) {
        self.state(|s| {
            s.files.retain(|_, file| file.name_synced || random.coin());
            for file in s.files.values_mut() {
                file.name_synced = true;
                if file.cache.len() > file.medium.len() && random.coin() {
                    file.medium.resize(file.cache.len(), 0);
                }
                for sector in std::mem::take(&mut file.dirty) {
                    if random.coin() {
                        file.keep(sector);
                    }
                }
                file.cache = file.medium.clone();
            }
        });
    }

    /// The bytes of a file, as reads show them.
    pub fn bytes(&self, segment: u32) -> Vec<u8> {
        self.state(|s| s.files[&segment].cache.clone())
    }

    /// Changes a file behind the log's back, durably.
    pub fn tamper(&self, segment: u32, act: impl FnOnce(&mut Vec<u8>)) {
        self.state(|s| {
            let file = s.files.entry(segment).or_default();
            act(&mut file.cache);
            file.medium = file.cache.clone();
            file.name_synced = true;
        });
    }

    pub fn remove(&self, segment: u32) {
        self.state(|s| s.files.remove(&segment));
    }

    pub fn create(&self) -> LogWriter {
        LogWriter::create_on(Box::new(self.clone()), LEDGER, SMALL).unwrap()
    }

    pub fn open(&self, durable_height: Option<u64>) -> Result<(LogWriter, Recovered), LogError> {
        self.open_from(None, durable_height)
    }

    pub fn open_from(
        &self,
        from: Option<(Place, u64)>,
        durable_height: Option<u64>,
    ) -> Result<(LogWriter, Recovered), LogError> {
        LogWriter::open_on(Box::new(self.clone()), LEDGER, SMALL, from, Evidence { durable_height })
    }

    pub fn reader(&self) -> LogReader {
        LogReader::open_on(Box::new(self.clone()), LEDGER).unwrap()
    }

    /// A disk with a log of these payloads, and their places.
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

impl Stored {
    fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.cache.len());
        if self.medium.len() < end {
            self.medium.resize(end, 0);
        }
        self.medium[start..end].copy_from_slice(&self.cache[start..end]);
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        if self.cache.len() < offset + bytes.len() {
            self.cache.resize(offset + bytes.len(), 0);
        }
        self.cache[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..(offset + bytes.len()).div_ceil(SECTOR));
    }
}

impl State {
    /// Counts a step. `Some` means that it fails, and gives the numbers that decide what it still does.
    fn step(&mut self) -> Option<Random> {
        self.steps += 1;
        if self.fail_at != Some(self.steps) {
            return None;
        }
        let random = self.random.as_mut()?;
        random.next();
        Some(random.clone())
    }

    fn file(&mut self, segment: u32) -> &mut Stored {
        self.files.entry(segment).or_default()
    }
}

fn fault() -> io::Error {
    io::Error::other("the simulated disk failed")
}

impl Disk for SimDisk {
    fn segments(&self) -> io::Result<Vec<u32>> {
        Ok(self.state(|s| s.files.keys().copied().collect()))
    }

    fn create(&self, segment: u32) -> io::Result<Box<dyn SegmentFile>> {
        let failed = self.state(|s| {
            assert!(!s.files.contains_key(&segment), "a block file is made once");
            let failed = s.step();
            if failed.clone().is_none_or(|mut random| random.coin()) {
                s.file(segment);
            }
            failed.is_some()
        });
        if failed { Err(fault()) } else { Disk::open(self, segment, true) }
    }

    fn open(&self, segment: u32, _write: bool) -> io::Result<Box<dyn SegmentFile>> {
        if !self.state(|s| s.files.contains_key(&segment)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(SimFile { disk: self.clone(), segment }))
    }

    fn sync(&self) -> io::Result<()> {
        self.state(|s| {
            let failed = s.step();
            if failed.clone().is_none_or(|mut random| random.coin()) {
                s.files.values_mut().for_each(|file| file.name_synced = true);
            }
            failed.map_or(Ok(()), |_| Err(fault()))
        })
    }

    fn path(&self, segment: Option<u32>) -> PathBuf {
        PathBuf::from(segment.map_or_else(|| "sim".into(), |number| format!("sim/{number:08}.blk")))
    }
}

impl SegmentFile for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.state(|s| s.file(self.segment).cache.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.state(|s| {
            let cache = &s.file(self.segment).cache;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(cache.len());
            let bytes = buffer.len().min(cache.len() - start);
            buffer[..bytes].copy_from_slice(&cache[start..start + bytes]);
            Ok(bytes)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.state(|s| {
            let failed = s.step();
            let done = failed.clone().map_or(bytes.len() as u64, |mut random| random.below(bytes.len() as u64 + 1));
            s.file(self.segment).write(&bytes[..usize::try_from(done).unwrap()], usize::try_from(offset).unwrap());
            failed.map_or(Ok(()), |_| Err(fault()))
        })
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.disk.state(|s| {
            let failed = s.step();
            let file = s.file(self.segment);
            if failed.clone().is_none_or(|mut random| random.coin()) && (file.cache.len() as u64) < bytes {
                file.cache.resize(usize::try_from(bytes).unwrap(), 0);
            }
            failed.map_or(Ok(()), |_| Err(fault()))
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state(|s| {
            let failed = s.step();
            let file = s.file(self.segment);
            // A failed sync also forgets what was to be written, as Linux does.
            for sector in std::mem::take(&mut file.dirty) {
                if failed.clone().is_none_or(|mut random| (random.next() ^ sector as u64).is_multiple_of(2)) {
                    file.keep(sector);
                }
            }
            if failed.is_some() {
                return Err(fault());
            }
            if file.medium.len() < file.cache.len() {
                file.medium.resize(file.cache.len(), 0);
            }
            Ok(())
        })
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
