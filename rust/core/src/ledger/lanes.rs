//! Lanes: a sender's numbered series of transactions, which is what makes a replay harmless (`docs/format.md` 3.5).
//!
//! A *once lane* holds one transaction: its name stands for the act, whoever sends it, however often. There may be any
//! number of them, so that none is kept here once the state map has it.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::canonical;
use crate::encoding;
use crate::error::{Code, Rejection};
use crate::hash::Hash;
use crate::transaction::Transaction;

/// Most lanes of one party: an act that waits for a co-signer takes a lane of its own, and years of them must fit.
pub const LANES_MAX: u32 = 10_000;
/// What the name of a once lane begins with.
pub use crate::transaction::ONCE;
/// Kind of a lane's record.
pub const KIND: &str = "lane";

/// Where a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Last sequence used.
    pub sequence: u64,
    /// Id of that transaction.
    pub transaction: Hash,
}

/// What a transaction's sequence means for its lane.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It is the next one.
    Follows,
    /// The sequence was used before.
    Used,
}

/// Every lane's position at the end of the last executed block; of once lanes those alone whose blocks may not be in
/// the state map yet.
#[derive(Debug, Default)]
pub struct Lanes {
    positions: HashMap<Box<str>, Position>,
    counts: HashMap<Box<str>, u32>,
    once: HashSet<Box<str>>,
    /// The same with the heights of their blocks, the oldest first.
    underway: VecDeque<(u64, Box<str>)>,
}

/// Whether a lane holds one transaction only.
#[must_use]
pub fn is_once(lane_id: &str) -> bool {
    lane_id.split_once(' ').is_some_and(|(_, name)| name.starts_with(ONCE))
}

impl Lanes {
    /// Where a lane stands; `None` where it has not begun. A once lane whose block is sealed is not known here.
    #[must_use]
    pub fn get(&self, lane_id: &str) -> Option<Position> {
        self.positions.get(lane_id).copied()
    }

    /// Whether the once lane was used by a block that was not sealed when [`Lanes::settle`] was called last.
    #[must_use]
    pub fn is_underway(&self, lane_id: &str) -> bool {
        self.once.contains(lane_id)
    }

    /// Forgets the once lanes of blocks below `sealed`, which the state map has.
    pub fn settle(&mut self, sealed: u64) {
        while self.underway.front().is_some_and(|(height, _)| *height < sealed) {
            if let Some((_, lane_id)) = self.underway.pop_front() {
                self.once.remove(&lane_id);
            }
        }
    }

    /// Ids of all lanes but once lanes, in no order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.positions.keys().map(|id| &**id)
    }

    /// Judges a transaction's sequence against the lane's position `now`; this block began `opened` lanes for its
    /// sender.
    ///
    /// # Errors
    /// A gap, or too many lanes.
    pub fn judge(&self, transaction: &Transaction, now: Option<Position>, opened: u32) -> Result<Next, Rejection> {
        let last = now.map_or(0, |p| p.sequence);
        if now.is_none()
            && !transaction.is_once()
            && self.counts.get(transaction.sender()).copied().unwrap_or(0).saturating_add(opened) >= LANES_MAX
        {
            return Err(Rejection::new(
                Code::TooManyLanes,
                format!("{} has {LANES_MAX} lanes", transaction.sender()),
                "go on in a lane that exists",
            ));
        }
        match transaction.sequence {
            used if used <= last => Ok(Next::Used),
            next if next == last.saturating_add(1) => Ok(Next::Follows),
            ahead => Err(Rejection::new(
                Code::Gap,
                format!("sequence {ahead} of lane {}, whose last is {last}", transaction.lane),
                format!("send sequence {} first", last.saturating_add(1)),
            )),
        }
    }

    /// Moves a lane on, by the block at `height`.
    pub fn set(&mut self, lane_id: &str, position: Position, height: u64) {
        if is_once(lane_id) {
            self.once.insert(lane_id.into());
            self.underway.push_back((height, lane_id.into()));
            return;
        }
        if let Some(known) = self.positions.get_mut(lane_id) {
            *known = position;
            return;
        }
        let sender = lane_id.split(' ').next().unwrap_or_default();
        let count = self.counts.entry(sender.into()).or_insert(0);
        *count = count.saturating_add(1);
        self.positions.insert(lane_id.into(), position);
    }
}

/// What is wrong with an index that has no place for a sequence that was used.
pub(super) fn unplaced(lane_id: &str, sequence: u64) -> String {
    format!("it does not know sequence {sequence} of lane {lane_id}")
}

/// A lane's record.
#[must_use]
pub fn record(lane_id: &str, position: &Position) -> Vec<u8> {
    let hex = encoding::hex(&position.transaction);
    format!("{{\"id\":\"{lane_id}\",\"sequence\":{},\"transaction\":\"{hex}\"}}", position.sequence).into_bytes()
}

/// Reads a lane's record.
#[must_use]
pub fn parse(record: &[u8]) -> Option<Position> {
    let value = canonical::Value::parse(record, canonical::DEPTH_MAX).ok()?;
    let sequence = u64::try_from(value.get("sequence")?.as_integer()?).ok()?;
    let transaction = encoding::unhex::<32>(value.get("transaction")?.as_text()?)?;
    Some(Position { sequence, transaction })
}
