//! The map in memory: 256 shards by the first byte of the key, and the tree above them.
//!
//! Shards exist so that a large batch is hashed on all cores without sharing a node between threads, and so that
//! single records can be read while a batch is written: each shard has a lock of its own. The tree that results is
//! that of the format: the cut leaves no trace in any hash.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use rayon::prelude::*;

use super::bit;
use super::hashing::Pending;
use super::leaf::{Hashed, Leaf};
use super::shard::{SHARD_DEPTH, Shard};
use super::verify::MapPath;
use crate::cores::on_all_cores;
use crate::hash::{EMPTY, Hash, HashSuite};

/// Shards, and the place of the first one in `StateMap::above`.
const SHARDS: usize = 1 << SHARD_DEPTH;

/// Records from which a batch goes to all cores: those of a ledger that is opened. A block has fewer, and while it is
/// sealed the other cores check signatures and run rules; sharing their queue, it waited for them with the map locked.
const PARALLEL_FROM: usize = 1 << 15;

/// A subtree above the shards, or one shard.
#[derive(Clone, Copy, Debug)]
struct Subtree {
    keys: u64,
    hash: Hash,
}

/// The state map.
///
/// One million records take 115 bytes each. Measured with suite `blake3` on two shared cores at a busy hour: a batch of
/// 1,000 updates on a million records costs 4.5 to 5.5 µs an update, and all of the million at once 0.7 s.
pub struct StateMap {
    suite: &'static dyn HashSuite,
    shards: Values,
    /// The tree above the shards as a heap: the top at 1, the children of `n` at `2n` and `2n + 1`, shard `i` at
    /// `SHARDS + i`.
    above: Vec<Subtree>,
}

impl std::fmt::Debug for StateMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateMap")
            .field("suite", &self.suite.name())
            .field("top", &self.above[1])
            .finish_non_exhaustive()
    }
}

impl StateMap {
    /// A map without records.
    #[must_use]
    pub fn new(suite: &'static dyn HashSuite) -> Self {
        Self {
            suite,
            shards: Values((0..SHARDS).map(|_| RwLock::new(Shard::new())).collect()),
            above: vec![Subtree { keys: 0, hash: EMPTY }; 2 * SHARDS],
        }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.above[1].keys
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hash over everything applied so far, as it stands in a block header.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.above[1].hash
    }

    /// Bytes of memory that the map holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let shards: usize = self.shards.0.iter().map(|shard| locked(shard).bytes() + size_of::<RwLock<Shard>>()).sum();
        shards + self.above.len() * size_of::<Subtree>()
    }

    /// Writes a batch of records; each node above them is hashed once.
    ///
    /// The batch is put in order by key. Of several updates with one key the last one counts. How updates are spread
    /// over batches, and their order within one, changes nothing about the resulting hash.
    pub fn apply(&mut self, batch: &mut [Leaf]) {
        self.apply_hashed(&mut Hashed::all(self.suite, batch));
    }

    /// As `apply`, where the hashes of the leaves are known.
    pub fn apply_hashed(&mut self, batch: &mut [Hashed]) {
        let batch = in_order(batch);
        let mut work = Vec::with_capacity(SHARDS.min(batch.len()));
        let mut rest: &[Hashed] = batch;
        for number in 0..SHARDS {
            let (mine, others) = rest.split_at(rest.partition_point(|new| usize::from(new.leaf.key[0]) <= number));
            rest = others;
            if !mine.is_empty() {
                work.push((number, mine));
            }
        }
        let changed: Vec<(usize, Subtree)> = if batch.len() < PARALLEL_FROM {
            let mut pending = Pending::new();
            work.into_iter().map(|(number, mine)| self.write(&mut pending, number, mine)).collect()
        } else {
            let write = |pending: &mut Pending, (number, mine)| self.write(pending, number, mine);
            on_all_cores(|| work.into_par_iter().map_init(Pending::new, write).collect())
        };
        self.hash_above(&changed);
    }

    /// Writes records as `apply` does, each shard's at once and on all cores; `leaves` gives those whose keys begin
    /// with a byte, and is asked for each byte once.
    ///
    /// A map of ten million records that is filled so takes a third of the time of ten batches of a million, and no
    /// more memory than it has at the end: what a shard takes is freed when it has it.
    ///
    /// # Errors
    /// What `leaves` fails with; the map is of no use then.
    pub fn fill<E: Send>(&mut self, leaves: impl Fn(u8) -> Result<Vec<Leaf>, E> + Sync) -> Result<(), E> {
        let write = |pending: &mut Pending, first: u8| {
            let mut hashed = Hashed::all(self.suite, &leaves(first)?);
            Ok((!hashed.is_empty()).then(|| self.write(pending, first.into(), in_order(&mut hashed))))
        };
        let written: Vec<Option<(usize, Subtree)>> =
            on_all_cores(|| (0..=u8::MAX).into_par_iter().map_init(Pending::new, write).collect::<Result<_, E>>())?;
        self.hash_above(&written.into_iter().flatten().collect::<Vec<_>>());
        Ok(())
    }

    /// Writes records of one shard, in order.
    fn write(&self, pending: &mut Pending, number: usize, leaves: &[Hashed]) -> (usize, Subtree) {
        let mut shard = self.shards.0[number].write().unwrap_or_else(PoisonError::into_inner);
        let hash = shard.apply(self.suite, pending, leaves);
        (number, Subtree { keys: u64::from(shard.len()), hash })
    }

    /// Hashes the tree above the shards that changed, which come in rising order.
    fn hash_above(&mut self, changed: &[(usize, Subtree)]) {
        let mut places: Vec<usize> = Vec::with_capacity(changed.len());
        for &(number, subtree) in changed {
            self.above[SHARDS + number] = subtree;
            places.push(SHARDS + number);
        }
        for _ in 0..SHARD_DEPTH {
            for place in &mut places {
                *place /= 2;
            }
            places.dedup();
            for &place in &places {
                self.above[place] = join(self.suite, self.above[2 * place], self.above[2 * place + 1]);
            }
        }
    }

    /// What is kept of the record with that key.
    #[must_use]
    pub fn get(&self, key: &Hash) -> Option<Leaf> {
        self.shards.get(key)
    }

    /// For reading single records while batches are written, for as long as the map is there or longer.
    #[must_use]
    pub fn values(&self) -> Values {
        self.shards.clone()
    }

    /// The path to a key that is there, or to the place where it would stand.
    #[must_use]
    pub fn prove(&self, key: &Hash) -> MapPath {
        let mut siblings = Vec::with_capacity(32);
        let mut place = 1;
        for depth in 0..SHARD_DEPTH {
            if self.above[place].keys < 2 {
                break;
            }
            let next = 2 * place + usize::from(bit(key, depth));
            siblings.push(self.above[next ^ 1].hash);
            place = next;
        }
        // Where the walk ended above the shards, at most one key is left; its shard answers as if the walk had come
        // down to it.
        while place < SHARDS {
            place = 2 * place + usize::from(self.above[2 * place].keys == 0);
        }
        let end = locked(&self.shards.0[place - SHARDS]).prove(self.suite, key, &mut siblings);
        MapPath { siblings, end }
    }
}

/// Records on their way into a map, by the first bytes of their keys.
#[derive(Debug)]
pub struct Parts(Vec<Mutex<Vec<Leaf>>>);

impl Default for Parts {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Parts {
    /// Adds a record; of several with one key the last one counts.
    pub fn push(&mut self, leaf: Leaf) {
        self.0[usize::from(leaf.key[0])].get_mut().unwrap_or_else(PoisonError::into_inner).push(leaf);
    }

    /// Takes out those whose keys begin with that byte, in the order in which they were added.
    #[must_use]
    pub fn take(&self, first: u8) -> Vec<Leaf> {
        std::mem::take(&mut *self.0[usize::from(first)].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The values of a map to which others write, each as it was before or after a batch.
///
/// While a batch is written, a part of its records are new already and the rest are not yet: whoever asks for more
/// than one record must not ask for those.
#[derive(Clone, Debug)]
pub struct Values(Arc<[RwLock<Shard>]>);

impl Values {
    /// What is kept of the record with that key.
    #[must_use]
    pub fn get(&self, key: &Hash) -> Option<Leaf> {
        locked(&self.0[usize::from(key[0])]).get(key)
    }

    /// How many records have keys that begin with that byte.
    #[must_use]
    pub fn count(&self, first: u8) -> u32 {
        locked(&self.0[usize::from(first)]).len()
    }

    /// What is kept of the records whose keys begin with that byte, in the order of keys.
    #[must_use]
    pub fn leaves(&self, first: u8) -> Vec<Leaf> {
        locked(&self.0[usize::from(first)]).leaves()
    }

    /// What is kept of the records with those keys, in their order; quickest where keys rise.
    #[must_use]
    pub fn get_all(&self, keys: &[Hash]) -> Vec<Option<Leaf>> {
        let mut found = Vec::with_capacity(keys.len());
        for of_shard in keys.chunk_by(|one, other| one[0] == other[0]) {
            locked(&self.0[usize::from(of_shard[0][0])]).get_all(of_shard, &mut found);
        }
        found
    }
}

fn locked(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

/// Sorts a batch and leaves of every key the last update.
fn in_order(batch: &mut [Hashed]) -> &[Hashed] {
    // Those that were kept beside an index are in order, and are not moved.
    if batch.is_sorted_by(|one, other| one.leaf.key < other.leaf.key) {
        return batch;
    }
    if batch.len() < PARALLEL_FROM {
        batch.sort_by_key(|new| new.leaf.key);
    } else {
        on_all_cores(|| batch.par_sort_by(|one, other| one.leaf.key.cmp(&other.leaf.key)));
    }
    let mut kept = 0;
    for index in 0..batch.len() {
        if batch.get(index + 1).is_none_or(|next| next.leaf.key != batch[index].leaf.key) {
            batch[kept] = batch[index];
            kept += 1;
        }
    }
    &batch[..kept]
}

/// The subtree over two subtrees: with one key it is that key's leaf, whatever its depth.
fn join(suite: &dyn HashSuite, left: Subtree, right: Subtree) -> Subtree {
    let hash = match (left.keys, right.keys) {
        (0, 0 | 1) => right.hash,
        (1, 0) => left.hash,
        _ => suite.node(&left.hash, &right.hash),
    };
    Subtree { keys: left.keys + right.keys, hash }
}
