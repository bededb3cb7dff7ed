//! The state of the simulated machine: what reads show, what survives a loss of power, and what fails next.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Calls, EINTR, EIO, ENOENT, ENOSPC, Effect, Failure, Fault, PAGE, Random, Rates, SECTOR};

pub(super) fn system_error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// A change of a file that no sync has made durable.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// What reads show.
    pub cache: Arc<Vec<u8>>,
    /// What survives a loss of power.
    pub medium: Arc<Vec<u8>>,
    /// What the next sync makes durable, oldest first.
    pub pending: Vec<Change>,
    pub mode: u32,
    pub locked: bool,
}

impl Content {
    pub fn reach_medium(&mut self, change: &Change) {
        self.reach_in_part(change, usize::MAX, || true);
    }

    /// Brings those units of a change to the medium that `kept` says.
    pub fn reach_in_part(&mut self, change: &Change, unit: usize, mut kept: impl FnMut() -> bool) {
        let medium = Arc::make_mut(&mut self.medium);
        match change {
            Change::Length(length) => {
                if kept() && medium.len() < *length {
                    medium.resize(*length, 0);
                }
            }
            Change::Write { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    // Units are those of the device, not of the write.
                    let next_unit = ((offset + at) / unit).saturating_add(1).saturating_mul(unit);
                    let end = (next_unit - offset).min(bytes.len());
                    if kept() {
                        if medium.len() < offset + end {
                            medium.resize(offset + end, 0);
                        }
                        medium[offset + at..offset + end].copy_from_slice(&bytes[at..end]);
                    }
                    at = end;
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Folder,
    File(u64),
}

/// A change of names that no sync has made durable.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Add(PathBuf, Entry),
    Remove(PathBuf),
    Rename { from: PathBuf, to: PathBuf, node: u64 },
}

impl NameChange {
    fn path(&self) -> &Path {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Rename { to: path, .. } => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            Self::Add(path, entry) => {
                names.insert(path.clone(), *entry);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
            Self::Rename { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), Entry::File(*node));
            }
        }
    }
}

/// What becomes of a call.
pub(super) enum Fate {
    Works,
    Short,
    Fails(io::Error, Effect),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    pub files: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
    unsynced_names: Vec<NameChange>,
    next_node: u64,
    pub steps: u64,
    pub reads: u64,
    pub fault: Option<Fault>,
    pub rates: Rates,
    pub random: Random,
    pub room: Option<u64>,
    pub off: bool,
    pub noted: u64,
    pub history: Option<Vec<Self>>,
    /// Sectors that cannot be read until they are written: file and number.
    pub bad_sectors: BTreeSet<(u64, usize)>,
}

impl Machine {
    // ---- what fails

    /// Counts a call that changes something.
    pub fn step(&mut self) -> io::Result<Fate> {
        if let Some(mut history) = self.history.take() {
            history.push(self.clone());
            self.history = Some(history);
        }
        self.steps += 1;
        self.fate(Calls::Changes, self.steps, self.rates.changes)
    }

    /// Counts a call that only reads; where it fails there is no effect to speak of.
    pub fn read(&mut self) -> io::Result<Fate> {
        self.reads += 1;
        match self.fate(Calls::Reads, self.reads, self.rates.reads)? {
            Fate::Fails(error, _) => Err(error),
            fate => Ok(fate),
        }
    }

    fn fate(&mut self, calls: Calls, count: u64, per_mille: u64) -> io::Result<Fate> {
        if self.off {
            return Err(system_error(EIO));
        }
        if let Some(fault) = self.fault.filter(|fault| fault.calls == calls) {
            let struck = if fault.lasting { count >= fault.at } else { count == fault.at };
            if struck {
                return Ok(self.failing(fault.failure, fault.effect));
            }
        }
        if per_mille > 0 && self.random.chance(per_mille) {
            let failures = [Failure::Device, Failure::NoSpace, Failure::Interrupted, Failure::Short];
            let effects = [Effect::Nothing, Effect::Part, Effect::Whole];
            let (failure, effect) = (failures[self.random.index(4)], effects[self.random.index(3)]);
            return Ok(self.failing(failure, effect));
        }
        Ok(Fate::Works)
    }

    fn failing(&mut self, failure: Failure, effect: Effect) -> Fate {
        match failure {
            Failure::Short => Fate::Short,
            Failure::Interrupted => Fate::Fails(system_error(EINTR), Effect::Nothing),
            Failure::NoSpace => Fate::Fails(system_error(ENOSPC), effect),
            Failure::Device => Fate::Fails(system_error(EIO), effect),
            Failure::PowerCut => {
                self.off = true;
                Fate::Fails(system_error(EIO), effect)
            }
        }
    }

    /// Whether a read gives a wrong bit.
    pub fn flips(&mut self) -> bool {
        self.rates.flipped > 0 && self.random.chance(self.rates.flipped)
    }

    pub fn lose_power(&mut self, mut kept: impl FnMut() -> bool, unit: usize) {
        for change in std::mem::take(&mut self.unsynced_names) {
            if kept() {
                change.apply(&mut self.durable_names);
            }
        }
        // What stands in a folder whose own name was lost is lost with it.
        let folders: Vec<PathBuf> = self.durable_names.keys().cloned().collect();
        for path in folders {
            let above = path.ancestors().skip(1).filter(|one| one.parent().is_some());
            if !above.into_iter().all(|one| self.durable_names.get(one) == Some(&Entry::Folder)) {
                self.durable_names.remove(&path);
            }
        }
        self.names = self.durable_names.clone();
        for file in self.files.values_mut() {
            for change in std::mem::take(&mut file.pending) {
                file.reach_in_part(&change, unit, &mut kept);
            }
            (file.cache, file.locked) = (Arc::clone(&file.medium), false);
        }
        (self.off, self.fault) = (false, None);
    }

    // ---- names

    pub fn node(&self, path: &Path) -> Option<u64> {
        match self.names.get(path) {
            Some(Entry::File(node)) => Some(*node),
            _ => None,
        }
    }

    pub fn is_folder(&self, path: &Path) -> bool {
        path.parent().is_none() || self.names.get(path) == Some(&Entry::Folder)
    }

    pub fn must_be_folder(&self, path: Option<&Path>) -> io::Result<()> {
        if path.is_some_and(|path| self.is_folder(path)) { Ok(()) } else { Err(system_error(ENOENT)) }
    }

    pub fn children(&self, folder: &Path) -> Vec<OsString> {
        let inside = self.names.keys().filter(|path| path.parent() == Some(folder));
        inside.filter_map(|path| path.file_name()).map(OsString::from).collect()
    }

    pub fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    pub fn make(&mut self, path: &Path, mode: u32) -> u64 {
        let node = self.next_node;
        self.next_node += 1;
        self.files.insert(node, Content { mode, ..Content::default() });
        self.change_name(NameChange::Add(path.into(), Entry::File(node)));
        node
    }

    /// Makes those changes of names durable whose path is chosen.
    pub fn names_synced(&mut self, chosen: impl Fn(&Path) -> bool) {
        let (synced, rest) = std::mem::take(&mut self.unsynced_names).into_iter().partition(|c| chosen(c.path()));
        self.unsynced_names = rest;
        let synced: Vec<NameChange> = synced;
        for change in synced {
            change.apply(&mut self.durable_names);
        }
    }

    // ---- contents

    pub fn file(&mut self, node: u64) -> &mut Content {
        self.files.get_mut(&node).unwrap()
    }

    pub fn cached(&mut self, node: u64) -> Arc<Vec<u8>> {
        Arc::clone(&self.file(node).cache)
    }

    /// What a read past the page cache gives: the system writes back first what waits, which makes none of it durable.
    pub fn past_cache(&mut self, node: u64) -> Arc<Vec<u8>> {
        let mut shown = self.file(node).clone();
        for change in std::mem::take(&mut shown.pending) {
            shown.reach_medium(&change);
        }
        shown.medium
    }

    pub fn used(&self) -> u64 {
        let mut nodes: Vec<u64> =
            self.names.values().filter_map(|e| if let Entry::File(node) = e { Some(*node) } else { None }).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.iter().map(|node| self.files[node].cache.len() as u64).sum()
    }

    /// How many of `bytes` at `offset` there is room for.
    pub fn fits(&self, node: u64, offset: usize, bytes: usize) -> usize {
        let Some(room) = self.room else { return bytes };
        let length = self.files[&node].cache.len();
        let free = usize::try_from(room.saturating_sub(self.used())).unwrap();
        bytes.min((length + free).saturating_sub(offset))
    }

    /// Fails where a read meets a bad sector.
    pub fn meets_no_bad_sector(&self, node: u64, offset: usize, bytes: usize) -> io::Result<()> {
        let sectors = (node, offset / SECTOR)..(node, (offset + bytes).div_ceil(SECTOR));
        if self.bad_sectors.range(sectors).next().is_some() { Err(system_error(EIO)) } else { Ok(()) }
    }

    pub fn write(&mut self, node: u64, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // A device puts a sector that is written as a whole somewhere else.
        let whole = offset.div_ceil(SECTOR)..(offset + bytes.len()) / SECTOR;
        self.bad_sectors.retain(|(of, sector)| *of != node || !whole.contains(sector));
        let (misdirected, dropped) = (self.rates.misdirected, self.rates.dropped);
        let wrong_place = misdirected > 0 && self.random.chance(misdirected);
        let lost = dropped > 0 && self.random.chance(dropped);
        let page = self.random.index(16);
        let file = self.file(node);
        let cache = Arc::make_mut(&mut file.cache);
        if cache.len() < offset + bytes.len() {
            cache.resize(offset + bytes.len(), 0);
        }
        cache[offset..offset + bytes.len()].copy_from_slice(bytes);
        if !lost {
            let offset = if wrong_place { page * PAGE } else { offset };
            file.pending.push(Change::Write { offset, bytes: bytes.to_vec() });
        }
    }
}
