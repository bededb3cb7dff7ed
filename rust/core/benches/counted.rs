//! Instructions that the hot paths take for each thing they do, counted by callgrind and compared with `counted.txt`.
//!
//! A count does not move with the load of a machine, but with the compiler, the C library and the vector code that is
//! chosen for the processor; callgrind shows a program AVX2 at most. So the figures hold for the toolchain that stands
//! beside them, and a change that moves one by more than the tolerance has to say why. `--renew` writes them anew.
//! Without valgrind nothing is counted, and that is said.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]

mod paths;
#[path = "../tests/sim_io/mod.rs"]
mod sim_io;
#[path = "../tests/sim_ledger/mod.rs"]
mod sim_ledger;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use paths::{PATHS, Run};

/// By how many percent a count may differ: coefficients and hash tables are drawn at random.
const TOLERANCE_PERCENT: u64 = 3;
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counted.txt");
const RENEW: &str = "cargo bench -p finchain-core --bench counted -- --renew";

/// What callgrind counts between entering and leaving this function, which it knows by its name.
#[inline(never)]
fn counted_stretch(run: &mut Run) {
    run();
}

fn main() -> ExitCode {
    // Work that would go to other threads is done on this one, where it is counted.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().unwrap();
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && flag == "--path"
    {
        let path = PATHS.into_iter().find(|path| path.name == name).unwrap();
        let mut run = (path.ready)();
        // The first time finds tables and memory that the next ones have at hand.
        run();
        counted_stretch(&mut run);
        return ExitCode::SUCCESS;
    }
    // Cargo says so if it is to measure; without it, as under `cargo test`, each path is gone along once.
    if !arguments.iter().any(|argument| argument == "--bench") {
        for path in PATHS {
            (path.ready)()();
        }
        return ExitCode::SUCCESS;
    }
    let Some(versions) = versions() else {
        println!("instruction counts: skipped, valgrind or rustc does not run here");
        return ExitCode::SUCCESS;
    };
    let counts: Vec<_> = PATHS.iter().map(|path| (path.name, count(path.name) / path.units)).collect();
    if arguments.iter().any(|argument| argument == "--renew") {
        let lines: Vec<_> = counts.iter().map(|(name, count)| format!("{name}: {count}\n")).collect();
        fs::write(FIGURES, format!("# {versions}\n{}", lines.concat())).unwrap();
        return ExitCode::SUCCESS;
    }
    compare(&counts, &versions)
}

/// The programs on which the figures depend, or `None` where one is missing.
fn versions() -> Option<String> {
    let said = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    Some(format!("{}, {}, {}", said("rustc")?, said("valgrind")?, env::consts::ARCH))
}

/// Instructions that going along a path once takes.
fn count(name: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("counted");
    let status = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--toggle-collect=*counted_stretch*"])
        .arg(format!("--callgrind-out-file={}", written.display()))
        .arg(env::current_exe().unwrap())
        .args(["--path", name])
        .status()
        .unwrap();
    assert!(status.success(), "{name}: callgrind ended with {status}");
    total(&written).unwrap_or_else(|| panic!("{name}: callgrind wrote no total"))
}

fn total(written: &Path) -> Option<u64> {
    let text = fs::read_to_string(written).ok()?;
    text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
}

/// Says for each path what it took and what it took before, and fails where it became slower or was never counted.
fn compare(counts: &[(&str, u64)], versions: &str) -> ExitCode {
    let text = fs::read_to_string(FIGURES).unwrap_or_default();
    let figures: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .filter_map(|(n, c)| Some((n, c.parse().ok()?)))
        .collect();
    let made_with = text.lines().next().unwrap_or_default().trim_start_matches("# ");
    if made_with != versions {
        println!("instruction counts: the figures were made with {made_with:?}, this is {versions:?}");
    }
    let mut failed = false;
    for &(name, count) in counts {
        let Some(&before) = figures.get(name) else {
            println!("{name}: {count} instructions, and no figure to compare with");
            failed = true;
            continue;
        };
        let percent = (i128::from(count) - i128::from(before)) * 100 / i128::from(before.max(1));
        let verdict = match percent {
            p if p > i128::from(TOLERANCE_PERCENT) => "TOO MANY",
            p if p < -i128::from(TOLERANCE_PERCENT) => "fewer: renew the figures",
            _ => "as before",
        };
        failed |= percent.unsigned_abs() > u128::from(TOLERANCE_PERCENT);
        println!("{name}: {count} instructions, {before} in the figures, {percent:+} %: {verdict}");
    }
    if failed {
        println!("a path differs by more than {TOLERANCE_PERCENT} %; if that is meant, `{RENEW}` and say why");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
