//! Every call of a backup, a confirmation and a repair fails, one after the other and in every way: the ledger that is
//! copied is never touched, a copy says that it is one until it was confirmed, a repair loses no good block, and
//! doing it again finishes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod counts;
mod sim_io;
mod sim_ledger;

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use counts::count;
use finchain_core::index::RecordIndex;
use finchain_core::ledger::{Copied, Ledger, LedgerError, Options, SignedMark, Survey, backup, confirm, repair};
use finchain_core::log::{Damage, Durability, Storage};
use sim_io::{Calls, Effect, Failure, Fault, PAGE, Random, SECTOR, SimIo};
use sim_ledger::{MemoryIndex, World, folder};

/// Blocks of the ledger that is copied; a checkpoint covers all but the last.
const BLOCKS: u64 = 7;

fn copy() -> &'static Path {
    Path::new("/copy")
}

/// The mark beside a key on the machine that the copy is restored on.
fn other_mark() -> &'static Path {
    Path::new("/other-keys/signed")
}

/// A closed ledger that goes over two block files.
fn ledger() -> World {
    let mut world = World::new(SimIo::default(), Durability::Single);
    world.found().unwrap();
    world.submit(&[1, 1, 2, 1, 1]).unwrap();
    world.checkpoint().unwrap();
    world.submit(&[1]).unwrap();
    world.close();
    let storage = storage(&world.io);
    storage.io.make_folder(Path::new("/other-keys")).unwrap();
    storage.io.sync_folder(Path::new("/")).unwrap();
    world
}

fn storage(io: &SimIo) -> Storage {
    World::new(io.clone(), Durability::Single).options().storage
}

fn copied(io: &SimIo) -> Result<Copied, LedgerError> {
    backup(&storage(io), folder(), copy(), None, &mut |_| true)
}

fn signed(world: &mut World) -> SignedMark {
    world.open().unwrap();
    let (size, root) = world.ledger.as_ref().unwrap().log_root();
    world.close();
    SignedMark { origin: sim_ledger::ORIGIN.into(), root, size }
}

/// Whether the folder of the copy opens, and whether it then is a copy that waits to be confirmed.
fn opened_copy(io: &SimIo) -> Result<bool, LedgerError> {
    let index = |_| -> Result<Arc<dyn RecordIndex>, LedgerError> { Ok(Arc::<MemoryIndex>::default()) };
    let options = Options { storage: storage(io), ..Options::default() };
    let (ledger, recovery) = Ledger::open(copy(), index, &options)?;
    ledger.close()?;
    Ok(recovery.copy)
}

fn block_files(io: &SimIo, of: &Path) -> Vec<(String, Vec<u8>)> {
    let blocks = of.join("blocks");
    let mut names = io.names(&blocks);
    names.sort();
    let used = |bytes: Vec<u8>| {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes[..end].to_vec()
    };
    names.into_iter().map(|name| (name.clone(), used(io.bytes(&blocks.join(name)).unwrap()))).collect()
}

/// Every way in which a call fails: how, for how long, and whether the power goes with it.
fn failures() -> impl Iterator<Item = (Fault, bool)> {
    let struck = [
        (Calls::Changes, Failure::Device, Effect::Nothing),
        (Calls::Changes, Failure::Device, Effect::Part),
        (Calls::Changes, Failure::Device, Effect::Whole),
        (Calls::Changes, Failure::NoSpace, Effect::Nothing),
        (Calls::Changes, Failure::Short, Effect::Part),
        (Calls::Changes, Failure::Interrupted, Effect::Nothing),
        (Calls::Reads, Failure::Device, Effect::Nothing),
        (Calls::Reads, Failure::Short, Effect::Part),
    ];
    let tried = struck.into_iter().flat_map(|(calls, failure, effect)| {
        [(false, false), (false, true), (true, false), (true, true)]
            .map(|(lasting, power)| (Fault { calls, at: 0, lasting, failure, effect }, power))
    });
    let cut = [Effect::Nothing, Effect::Part, Effect::Whole]
        .map(|effect| (Fault { failure: Failure::PowerCut, effect, ..Fault::step(0) }, true));
    tried.chain(cut)
}

/// Lets every call of `act` fail in every way on a machine like `world`'s, and `judge` look at what that left. Gives
/// the most calls that one way had.
fn every_call(
    world: &World,
    act: impl Fn(&SimIo) -> Result<(), LedgerError>,
    judge: impl Fn(&SimIo, bool, &str),
) -> u64 {
    let rounds = count("FINCHAIN_FAULT_ROUNDS", 1);
    let mut most = 0;
    for round in 0..rounds {
        for (fault, power_cut) in failures() {
            for at in 1.. {
                let what = format!("{fault:?} at {at}, power cut {power_cut}, round {round}");
                let io = world.io.copy();
                let mut random = Random(round << 32 | at);
                io.fail(Fault { at, ..fault }, random.next());
                let done = act(&io);
                if !io.heal() {
                    done.unwrap_or_else(|e| panic!("{what}: {e}"));
                    most = most.max(at - 1);
                    break;
                }
                if power_cut {
                    let unit = if random.coin() { SECTOR } else { PAGE };
                    io.lose_power(&mut random, unit);
                }
                judge(&io, done.is_ok(), &what);
            }
        }
    }
    most
}

/// The ledger that is copied is what it was, and lives on: no size gets a second root.
fn is_untouched(world: &World, io: &SimIo, what: &str) {
    let mut same = World::new(io.copy(), Durability::Single);
    same.promises = world.promises.clone();
    same.open().unwrap_or_else(|e| panic!("{what}: {e}"));
    same.check_promises(what);
    same.submit(&[1]).unwrap_or_else(|e| panic!("{what}: {e}"));
    same.checkpoint().unwrap_or_else(|e| panic!("{what}: {e}"));
    same.close();
}

#[test]
fn a_backup_fails_at_every_call() {
    let world = ledger();
    let calls = every_call(
        &world,
        |io| copied(io).map(|_| ()),
        |io, _, what| {
            is_untouched(&world, io, what);
            // Whatever is there is no ledger that could be written.
            assert!(opened_copy(io).unwrap_or(true), "{what}");
            let again = copied(io).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!((again.blocks, again.checkpoint), (BLOCKS, Some(BLOCKS - 1)), "{what}");
            assert_eq!(block_files(io, copy()), block_files(io, folder()), "{what}");
            assert!(opened_copy(io).unwrap_or_else(|e| panic!("{what}: {e}")), "{what}");
        },
    );
    assert!(calls > 25, "{calls} calls are too few to say anything");
}

#[test]
fn bringing_a_backup_up_to_date_fails_at_every_call() {
    let mut world = ledger();
    copied(&world.io).unwrap();
    world.open().unwrap();
    world.submit(&[1, 3, 1]).unwrap();
    world.checkpoint().unwrap();
    world.close();
    let before = block_files(&world.io, copy());
    let calls = every_call(
        &world,
        |io| copied(io).map(|_| ()),
        |io, _, what| {
            is_untouched(&world, io, what);
            // What was there is there.
            for ((name, old), (found, new)) in before.iter().zip(block_files(io, copy())) {
                assert!(*name == found && new.starts_with(old), "{what}: {name}");
            }
            assert!(opened_copy(io).unwrap_or(true), "{what}");
            let again = copied(io).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!((again.blocks, again.checkpoint), (BLOCKS + 3, Some(BLOCKS + 3)), "{what}");
            assert_eq!(block_files(io, copy()), block_files(io, folder()), "{what}");
        },
    );
    assert!(calls > 10, "{calls} calls are too few to say anything");
}

#[test]
fn a_confirmation_fails_at_every_call() {
    let mut world = ledger();
    copied(&world.io).unwrap();
    let signed = signed(&mut world);
    let calls = every_call(
        &world,
        |io| confirm(&storage(io), copy(), other_mark(), &signed),
        |io, done, what| {
            is_untouched(&world, io, what);
            let waits = opened_copy(io).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(!(done && waits), "{what}: it said that it was confirmed");
            if waits {
                confirm(&storage(io), copy(), other_mark(), &signed).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert!(!opened_copy(io).unwrap(), "{what}");
            }
            // Nothing is open for writing before the key is bound to what was signed.
            let mark = SignedMark::read(io, other_mark()).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(mark, Some(signed.clone()), "{what}");
            let twice = confirm(&storage(io), copy(), other_mark(), &signed);
            assert!(matches!(twice, Err(LedgerError::Conflict(_))), "{what}: {twice:?}");
        },
    );
    assert!(calls > 5, "{calls} calls are too few to say anything");
}

/// What harms a ledger: pages of its two block files that are spoilt or zeroed, and small files that are lost.
struct Harm {
    spoilt: &'static [usize],
    zeroed: Range<usize>,
    lost: &'static [&'static str],
}

impl Harm {
    fn strike(&self, io: &SimIo) {
        let each = |page: usize, act: &dyn Fn(&mut [u8])| {
            let path = folder().join(format!("blocks/{:08}.blk", page / 4));
            io.tamper(&path, |file| act(&mut file[page % 4 * PAGE..(page % 4 + 1) * PAGE]));
        };
        self.spoilt.iter().for_each(|page| each(*page, &|bytes| bytes[100] ^= 1));
        self.zeroed.clone().for_each(|page| each(page, &|bytes| bytes.fill(0)));
        self.lost.iter().for_each(|name| io.delete(&folder().join(name)));
    }

    fn left_whole(&self, page: usize) -> bool {
        !self.spoilt.contains(&page) && !self.zeroed.contains(&page)
    }
}

#[test]
fn a_repair_fails_at_every_call() {
    for harm in [
        // In the middle, at the end, and both small files.
        Harm { spoilt: &[1, 3], zeroed: 6..7, lost: &["ledger.json", "checkpoint"] },
        // The end alone, of which all but the last block was signed.
        Harm { spoilt: &[], zeroed: 4..7, lost: &[] },
        // The end, of which nothing was signed, where the missing name alone keeps anybody from opening the rest.
        Harm { spoilt: &[], zeroed: 6..7, lost: &["ledger.json"] },
    ] {
        repair_fails_at_every_call(&harm);
    }
}

fn repair_fails_at_every_call(harm: &Harm) {
    let mut world = ledger();
    copied(&world.io).unwrap();
    let signed = signed(&mut world);
    let (whole, copied_files) = (block_files(&world.io, folder()), block_files(&world.io, copy()));
    let small = ["ledger.json", "checkpoint"].map(|name| (folder().join(name), world.io.bytes(&folder().join(name))));
    harm.strike(&world.io);
    world.index_in_doubt = true;
    assert!(world.open().is_err());
    let note = harm.lost.contains(&"checkpoint").then(|| world.io.bytes(&copy().join("checkpoint")).unwrap());
    let mended =
        |io: &SimIo| repair(&storage(io), folder(), copy(), std::slice::from_ref(&signed), note.as_deref(), true);
    // A read that fails once may hide a block of the copy; what is left for that is said, and does not count here.
    let left = Cell::new(false);
    let calls = every_call(
        &world,
        |io| mended(io).map(|done| left.set(!done.left.is_empty())),
        |io, done, what| {
            // Good blocks are what they were, and so is the copy.
            for page in (0..7).filter(|page| harm.left_whole(*page)) {
                let (name, bytes) = &whole[page / 4];
                let found = io.bytes(&folder().join("blocks").join(name)).unwrap();
                assert_eq!(padded(&found, page % 4), padded(bytes, page % 4), "{what}: block {page}");
            }
            assert_eq!(block_files(io, copy()), copied_files, "{what}: the copy");
            // It is refused as before, or opens with everything: what is mended halfway is no shorter ledger.
            let mut halfway = World::new(io.copy(), Durability::Single);
            halfway.promises = world.promises.clone();
            if halfway.open().is_ok() && !(done && left.get()) {
                halfway.check_promises(what);
            }
            halfway.close();
            let again = mended(io).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(again.left.is_empty(), "{what}: {:?}", again.left);
            assert_eq!(block_files(io, folder()), whole, "{what}");
            for (path, bytes) in &small {
                assert_eq!(io.bytes(path), *bytes, "{what}");
            }
            is_untouched(&world, io, what);
        },
    );
    assert!(calls > 10, "{calls} calls are too few to say anything");
}

/// One page of a file that ends where its last byte that is not zero does.
fn padded(file: &[u8], page: usize) -> Vec<u8> {
    let mut bytes = file.to_vec();
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    bytes[page * PAGE..(page + 1) * PAGE].to_vec()
}

#[test]
fn a_folder_that_holds_something_else_is_no_place_for_a_copy() {
    for (name, is_taken) in [("copy.1.2.new", true), ("copy.txt", false), ("copies.new", false), ("other", false)] {
        let world = ledger();
        storage(&world.io).io.make_folder(copy()).unwrap();
        world.io.tamper(&copy().join(name), |file| file.extend_from_slice(b"something"));
        let done = copied(&world.io);
        assert_eq!(done.is_ok(), is_taken, "{name}: {done:?}");
        assert!(is_taken || matches!(done, Err(LedgerError::Conflict(_))), "{name}: {done:?}");
    }
}

#[test]
fn a_sector_that_cannot_be_read_is_named_and_written_anew() {
    let mut world = ledger();
    copied(&world.io).unwrap();
    let signed = signed(&mut world);
    let whole = block_files(&world.io, folder());
    for sector in 0..usize::try_from(BLOCKS).unwrap() * (PAGE / SECTOR) {
        let (segment, within) = (sector * SECTOR / (4 * PAGE), sector % (4 * PAGE / SECTOR));
        let height = (sector * SECTOR / PAGE) as u64;
        let what = format!("sector {within} of file {segment}");
        let path = folder().join(format!("blocks/{segment:08}.blk"));
        let io = world.io.copy();
        io.spoil_sector(&path, within);

        let found = Survey::read(&storage(&io), folder()).unwrap_or_else(|e| panic!("{what}: {e}"));
        let [fault] = &found.faults[..] else { panic!("{what}: {:?}", found.faults) };
        assert_eq!((&fault.file, fault.height), (&path, height), "{what}: {fault}");
        assert_eq!(fault.offset, (height % 4) * PAGE as u64, "{what}: {fault}");
        assert!(matches!(&fault.why, Damage::Unreadable(why) if why.contains("os error 5")), "{what}: {fault}");
        assert_eq!(found.held.len() as u64, BLOCKS - 1, "{what}");

        // It is neither opened over nor copied.
        let mut hurt = World::new(io.clone(), Durability::Single);
        hurt.index_in_doubt = true;
        assert!(hurt.open().is_err(), "{what}");
        let elsewhere = backup(&storage(&io), folder(), Path::new("/elsewhere"), None, &mut |_| true);
        let said = elsewhere.map_err(|e| e.to_string()).unwrap_err();
        assert!(said.starts_with(&format!("block {height}: ")) && said.contains(".blk"), "{what}: {said}");

        let mended = repair(&storage(&io), folder(), copy(), std::slice::from_ref(&signed), None, true)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(mended.left.is_empty(), "{what}: {:?}", mended.left);
        assert_eq!(mended.mended.len(), 1, "{what}");
        assert_eq!(block_files(&io, folder()), whole, "{what}");
        is_untouched(&world, &io, &what);
    }
}
