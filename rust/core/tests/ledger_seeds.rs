//! The whole ledger machine lives through chance: failing calls, lost power, processes that end, clocks that jump, an
//! index that falls behind or is lost, and disks that lie. A seed decides everything, so a failure can be seen again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod counts;
mod sim_io;
mod sim_ledger;

use std::sync::Arc;

use counts::{count, every_seed};
use finchain_core::ledger::LedgerError;
use finchain_core::log::Durability;
use sim_io::{Calls, Effect, Failure, Fault, PAGE, Random, Rates, SECTOR, SimIo};
use sim_ledger::{MemoryIndex, World};

/// Seeds of `cargo test`, which `make torture` raises.
const SEEDS: u64 = 300;
/// What happens in one life.
const ACTS: u64 = 14;
const HOUR_MS: u64 = 3_600_000;

struct Life {
    random: Random,
    world: World,
    /// The index as it was some time ago.
    older: MemoryIndex,
    /// Whether the disk calls writes durable that it loses or misplaces.
    lying: bool,
}

impl Life {
    fn begin(seed: u64) -> Self {
        let mut random = Random(seed);
        let durability = if random.coin() { Durability::Single } else { Durability::Double };
        let mut world = World::new(SimIo::seeded(random.next()), durability);
        world.found().unwrap();
        let older = world.index.copy();
        let lying = random.chance(200);
        Self { random, world, older, lying }
    }

    /// Ten calls in a hundred fail at most; half of the time none does.
    fn draw_rates(&mut self) {
        let mut up_to = |most: u64| self.random.below(most + 1);
        let mut rates = Rates { changes: up_to(100), reads: up_to(100), flipped: up_to(20), ..Rates::default() };
        if self.lying {
            (rates.misdirected, rates.dropped) = (up_to(100), up_to(100));
        }
        if self.random.coin() {
            rates = Rates { misdirected: rates.misdirected, dropped: rates.dropped, ..Rates::default() };
        }
        self.world.io.set_rates(rates);
    }

    fn move_clock(&mut self) {
        let clock = &mut self.world.clock_ms;
        match self.random.below(8) {
            0 => *clock += HOUR_MS,
            1 => *clock -= HOUR_MS,
            _ => *clock += self.random.below(1_000),
        }
    }

    fn act(&mut self) -> Result<(), LedgerError> {
        let few = 1 + self.random.below(3);
        match self.random.below(10) {
            0..=2 => self.world.submit(&[few]),
            3 | 4 => self.world.submit(&[1, few]),
            5 | 6 => self.world.checkpoint().map(|_| ()),
            7 => self.world.check_records(),
            8 => {
                // The power fails at one of the next calls, if there are so many.
                let effect = [Effect::Nothing, Effect::Part, Effect::Whole][self.random.index(3)];
                let (at, failure) = (1 + self.random.below(12), Failure::PowerCut);
                let seed = self.random.next();
                self.world.io.fail(Fault { calls: Calls::Changes, at, lasting: false, failure, effect }, seed);
                let done = self.world.submit(&[few]).and_then(|()| self.world.checkpoint().map(|_| ()));
                if self.world.io.heal() { Err(LedgerError::Closed) } else { done }
            }
            // The process ends between two calls.
            _ => Err(LedgerError::Closed),
        }
    }

    /// The process has ended, by itself or with the power; it is started again until the ledger is open, at the latest
    /// when calls no longer fail. Gives `false` where a disk that lies has made an end of the ledger.
    fn restart(&mut self, what: &str) -> bool {
        self.world.close();
        if self.lying || self.world.io.is_off() || self.random.coin() {
            let unit = if self.random.coin() { SECTOR } else { PAGE };
            self.world.io.lose_power(&mut self.random, unit);
            self.world.index_in_doubt = true;
        } else {
            match self.random.below(3) {
                0 => self.world.index = Arc::new(self.older.copy()),
                1 => self.older = self.world.index.copy(),
                _ => {}
            }
        }
        for _ in 0..self.random.below(3) {
            if self.world.open().is_ok() {
                break;
            }
        }
        self.world.io.heal();
        if self.lying {
            self.judge_lies(what);
            return false;
        }
        if self.world.ledger.is_none() {
            self.world.open().unwrap_or_else(|e| panic!("{what}: {e}"));
        }
        self.world.check_promises(what);
        true
    }

    /// What a disk that lied has lost cannot be promised; but what is there must be what was asked for.
    fn judge_lies(&mut self, what: &str) {
        if self.world.ledger.is_none() {
            match self.world.open() {
                Ok(_) => {}
                Err(LedgerError::Tampered { .. } | LedgerError::Storage(_) | LedgerError::NotFound(_)) => return,
                Err(other) => panic!("{what}: {other}"),
            }
        }
        self.world.check_what_is_there(what);
    }
}

fn live(seed: u64) {
    let mut life = Life::begin(seed);
    for act in 0..ACTS {
        let what = format!("seed {seed}, act {act}");
        life.draw_rates();
        life.move_clock();
        if life.act().is_err() && !life.restart(&what) {
            return;
        }
    }
    life.world.io.heal();
    if life.restart(&format!("seed {seed}, at the end")) {
        life.world.submit(&[1]).unwrap();
        life.world.checkpoint().unwrap();
        life.world.check_records().unwrap();
    }
}

#[test]
fn every_life_keeps_its_promises() {
    every_seed("ledger_seeds", "FINCHAIN_SEEDS", count("FINCHAIN_SEEDS", SEEDS), live);
}
