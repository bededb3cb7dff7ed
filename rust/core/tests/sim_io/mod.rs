//! A machine in memory whose files behave as badly as real ones may.
//!
//! It forgets what was not synced, in any order and by the sector or page; it fails at a chosen call, having done
//! nothing of it, a part or all; it runs out of room; and after a failed sync it goes on showing what it has lost. Told
//! to lie, it also misplaces or drops writes that it calls synced, and flips bits while reading. What it does follows
//! from the calls made and the seed alone.

#![allow(dead_code, reason = "each test file uses its own part of this support")]

mod machine;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use finchain_core::log::io::{Access, Io, IoFile};
use machine::{Change, Entry, Fate, Machine, NameChange, system_error};

/// Bytes of a device's sector and of a page: the two units by which unsynced writes are kept or lost.
pub const SECTOR: usize = 512;
pub const PAGE: usize = 4096;

const EIO: i32 = 5;
const EINTR: i32 = 4;
const ENOSPC: i32 = 28;
const EEXIST: i32 = 17;
const ENOENT: i32 = 2;

/// A small generator of reproducible numbers (splitmix64).
#[derive(Clone, Debug, Default)]
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

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A place in a list of that length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// EIO.
    Device,
    /// ENOSPC.
    NoSpace,
    /// EINTR, which means that nothing was done.
    Interrupted,
    /// A write or a read moves fewer bytes than it was given, and says so; other calls work.
    Short,
    /// The power fails during the call. Nothing works any more until `lose_power`.
    PowerCut,
}

/// What a failing call has done all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Part,
    Whole,
}

/// Calls that change something, which are counted as steps, or calls that only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    Changes,
    Reads,
}

/// A failure of the call with that number, counted from 1 and from when the fault was set; or of all from there on.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub calls: Calls,
    pub at: u64,
    pub lasting: bool,
    pub failure: Failure,
    pub effect: Effect,
}

impl Fault {
    /// A step that fails once, with EIO and in part.
    pub const fn step(at: u64) -> Self {
        Self { calls: Calls::Changes, at, lasting: false, failure: Failure::Device, effect: Effect::Part }
    }
}

/// How often calls fail by chance, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Changes that fail with some error, having had some effect.
    pub changes: u64,
    /// Reads that fail with some error.
    pub reads: u64,
    /// Writes that reach another page of their file than they should, though the page cache shows nothing of it.
    pub misdirected: u64,
    /// Writes that the next sync calls durable and that never reach the medium.
    pub dropped: u64,
    /// Reads that give one wrong bit.
    pub flipped: u64,
}

/// The machine; clones are the same machine.
#[derive(Clone, Debug, Default)]
pub struct SimIo(Arc<Mutex<Machine>>);

impl SimIo {
    /// A machine whose chances follow from this seed.
    pub fn seeded(seed: u64) -> Self {
        let io = Self::default();
        io.machine(|m| m.random = Random(seed));
        io
    }

    fn machine<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// An independent machine in the same state.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.machine(|m| m.clone()))))
    }

    /// Sets a fault; `seed` decides what is done in part.
    pub fn fail(&self, fault: Fault, seed: u64) {
        self.machine(|m| (m.steps, m.reads, m.fault, m.random) = (0, 0, Some(fault), Random(seed)));
    }

    /// Takes the fault away and says whether it struck.
    pub fn heal(&self) -> bool {
        self.machine(|m| {
            let count = |fault: &Fault| if fault.calls == Calls::Changes { m.steps } else { m.reads };
            let struck = m.fault.is_some_and(|fault| count(&fault) >= fault.at);
            (m.fault, m.rates) = (None, Rates::default());
            struck
        })
    }

    /// Whether the power is cut.
    pub fn is_off(&self) -> bool {
        self.machine(|m| m.off)
    }

    /// From now on calls fail by chance.
    pub fn set_rates(&self, rates: Rates) {
        self.machine(|m| m.rates = rates);
    }

    /// Bounds the bytes of all files together.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.machine(|m| m.room = bytes);
    }

    /// Bytes that all files have together.
    pub fn used(&self) -> u64 {
        self.machine(|m| m.used())
    }

    /// Calls that changed something since the last fault was set.
    pub fn steps(&self) -> u64 {
        self.machine(|m| m.steps)
    }

    /// Loses power and comes back: of what was not synced, each `unit` bytes of each write are kept or lost, and so is
    /// each new, changed or removed name.
    pub fn lose_power(&self, random: &mut Random, unit: usize) {
        self.machine(|m| m.lose_power(|| random.coin(), unit));
    }

    /// Loses power, and with it all that was not synced.
    pub fn lose_all_unsynced(&self) {
        self.machine(|m| m.lose_power(|| false, PAGE));
    }

    /// From now on the machine as it was before each step is kept, with the number that was last noted.
    pub fn keep_history(&self) {
        self.machine(|m| m.history = Some(Vec::new()));
    }

    /// Notes a number, such as that of acknowledged blocks.
    pub fn note(&self, number: u64) {
        self.machine(|m| m.noted = number);
    }

    /// The machine before each step since `keep_history`, with the number noted then.
    pub fn history(&self) -> Vec<(Self, u64)> {
        let kept = self.machine(|m| m.history.take().unwrap_or_default());
        kept.into_iter()
            .map(|machine| (machine.noted, machine))
            .map(|(noted, m)| (Self(Arc::new(Mutex::new(m))), noted))
            .collect()
    }

    /// The bytes of a file, as reads show them; `None` where there is none.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.machine(|m| m.node(path).map(|node| m.files[&node].cache.to_vec()))
    }

    /// Changes a file behind everybody's back, durably; makes it where it is missing.
    pub fn tamper(&self, path: &Path, act: impl FnOnce(&mut Vec<u8>)) {
        self.machine(|m| {
            let node = m.node(path).unwrap_or_else(|| m.make(path, 0o640));
            m.names_synced(|_| true);
            let file = m.file(node);
            act(Arc::make_mut(&mut file.cache));
            (file.medium, file.pending) = (Arc::clone(&file.cache), Vec::new());
        });
    }

    /// Damages what the medium holds and leaves what the page cache shows.
    pub fn tamper_medium(&self, path: &Path, act: impl FnOnce(&mut Vec<u8>)) {
        self.machine(|m| {
            let node = m.node(path).unwrap();
            act(Arc::make_mut(&mut m.file(node).medium));
        });
    }

    /// Damages what the page cache shows and leaves what the medium holds.
    pub fn tamper_cache(&self, path: &Path, act: impl FnOnce(&mut Vec<u8>)) {
        self.machine(|m| {
            let node = m.node(path).unwrap();
            act(Arc::make_mut(&mut m.file(node).cache));
        });
    }

    /// Makes the sector with that number of a file unreadable, until it is written as a whole.
    pub fn spoil_sector(&self, path: &Path, sector: usize) {
        self.machine(|m| {
            let node = m.node(path).unwrap();
            m.bad_sectors.insert((node, sector));
        });
    }

    /// Removes a file behind everybody's back, durably.
    pub fn delete(&self, path: &Path) {
        self.machine(|m| {
            m.change_name(NameChange::Remove(path.into()));
            m.names_synced(|_| true);
        });
    }

    /// Names of the files in a folder.
    pub fn names(&self, folder: &Path) -> Vec<String> {
        self.machine(|m| m.children(folder)).into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    /// A call that changes one thing as a whole.
    fn change<T>(&self, act: impl FnOnce(&mut Machine) -> io::Result<T>) -> io::Result<T> {
        self.machine(|m| match m.step()? {
            Fate::Works | Fate::Short => act(m),
            Fate::Fails(error, effect) => {
                if effect == Effect::Whole || (effect == Effect::Part && m.random.coin()) {
                    act(m)?;
                }
                Err(error)
            }
        })
    }
}

impl Io for SimIo {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn IoFile>> {
        let known = self.machine(|m| m.node(path));
        let node = match (access, known) {
            (Access::New(_), Some(_)) => return Err(system_error(EEXIST)),
            (Access::New(mode) | Access::Make(mode), None) => self.change(|m| {
                m.must_be_folder(path.parent())?;
                Ok(m.make(path, mode))
            })?,
            (_, None) => return Err(system_error(ENOENT)),
            (_, Some(node)) => {
                self.machine(Machine::read)?;
                node
            }
        };
        Ok(Box::new(SimFile { io: self.clone(), node, access, locked: Mutex::new(false) }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.machine(|m| {
            m.read()?;
            m.must_be_folder(Some(folder))?;
            Ok(m.children(folder))
        })
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|m| {
            let missing: Vec<PathBuf> = folder.ancestors().map(PathBuf::from).filter(|one| !m.is_folder(one)).collect();
            for one in missing.into_iter().rev() {
                m.change_name(NameChange::Add(one, Entry::Folder));
            }
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Names that a failed sync did not make durable are tried again by the next one: file systems keep them in a
        // journal, and either it works or nothing does.
        self.change(|m| {
            m.must_be_folder(Some(folder))?;
            m.names_synced(|path| path.parent() == Some(folder));
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|m| {
            let node = m.node(from).ok_or_else(|| system_error(ENOENT))?;
            m.change_name(NameChange::Rename { from: from.into(), to: to.into(), node });
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.machine(|m| m.node(to)).is_some() {
            return Err(system_error(EEXIST));
        }
        self.change(|m| {
            let node = m.node(from).ok_or_else(|| system_error(ENOENT))?;
            m.change_name(NameChange::Add(to.into(), Entry::File(node)));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.machine(|m| m.node(path)).is_none() {
            return Err(system_error(ENOENT));
        }
        self.change(|m| {
            m.change_name(NameChange::Remove(path.into()));
            Ok(())
        })
    }

    /// Time passes without waiting for it.
    fn pause(&self, _time: Duration) {}
}

#[derive(Debug)]
struct SimFile {
    io: SimIo,
    node: u64,
    access: Access,
    locked: Mutex<bool>,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if *self.locked.lock().unwrap() {
            self.io.machine(|m| m.file(self.node).locked = false);
        }
    }
}

impl IoFile for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        self.io.machine(|m| {
            m.read()?;
            Ok(m.file(self.node).cache.len() as u64)
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.io.machine(|m| {
            let short = matches!(m.read()?, Fate::Short);
            m.meets_no_bad_sector(self.node, usize::try_from(offset).unwrap(), buffer.len())?;
            let content = if self.access == Access::PastCache { m.past_cache(self.node) } else { m.cached(self.node) };
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let most = if short { buffer.len().div_ceil(2) } else { buffer.len() };
            let found = most.min(content.len() - start);
            buffer[..found].copy_from_slice(&content[start..start + found]);
            if found > 0 && m.flips() {
                let bit = m.random.index(found * 8);
                buffer[bit / 8] ^= 1 << (bit % 8);
            }
            Ok(found)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        assert_ne!(self.access, Access::Read, "a file opened for reading is written");
        let start = usize::try_from(offset).unwrap();
        self.io.machine(|m| {
            let (error, most) = match m.step()? {
                Fate::Works => (None, bytes.len()),
                Fate::Short => (None, bytes.len().div_ceil(2)),
                Fate::Fails(error, Effect::Nothing) => (Some(error), 0),
                Fate::Fails(error, Effect::Part) => (Some(error), m.random.index(bytes.len() + 1)),
                Fate::Fails(error, Effect::Whole) => (Some(error), bytes.len()),
            };
            let done = m.fits(self.node, start, most);
            m.write(self.node, start, &bytes[..done]);
            match error {
                Some(error) => Err(error),
                None if done == 0 && most > 0 => Err(system_error(ENOSPC)),
                None => Ok(done),
            }
        })
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let length = usize::try_from(bytes).unwrap();
        self.io.change(|m| {
            if m.fits(self.node, 0, length) < length {
                return Err(system_error(ENOSPC));
            }
            let file = m.file(self.node);
            if file.cache.len() < length {
                Arc::make_mut(&mut file.cache).resize(length, 0);
                file.pending.push(Change::Length(length));
            }
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.io.machine(|m| {
            let fate = m.step()?;
            let mut random = Random(m.random.next());
            let file = m.file(self.node);
            // A failed sync also forgets what was to be written, as Linux does.
            let pending = std::mem::take(&mut file.pending);
            match fate {
                Fate::Works | Fate::Short => pending.iter().for_each(|change| file.reach_medium(change)),
                Fate::Fails(error, effect) => {
                    if error.kind() == io::ErrorKind::Interrupted {
                        file.pending = pending;
                    } else if effect != Effect::Nothing {
                        let all = effect == Effect::Whole;
                        for change in pending {
                            file.reach_in_part(&change, SECTOR, || all || random.coin());
                        }
                    }
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    fn lock(&self) -> io::Result<bool> {
        self.io.machine(|m| {
            m.read()?;
            let free = !std::mem::replace(&mut m.file(self.node).locked, true);
            *self.locked.lock().unwrap() |= free;
            Ok(free)
        })
    }

    fn mode(&self) -> io::Result<u32> {
        self.io.machine(|m| {
            m.read()?;
            Ok(m.file(self.node).mode)
        })
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.io.change(|m| {
            m.file(self.node).mode = mode;
            Ok(())
        })
    }
}
