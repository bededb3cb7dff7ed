//! The core's benchmarks: its hot paths, Ed25519 beside the library whose batches it had before, the suites beside each
//! other, and what bad signatures cost.
//!
//! Time is the processor's, so that others on the machine move it little; peers run beside each other. All use one core
//! but `bad`, which uses all and counts what they spend together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]

mod paths;
#[path = "../tests/sim_io/mod.rs"]
mod sim_io;
#[path = "../tests/sim_ledger/mod.rs"]
mod sim_ledger;
mod support;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use finchain_core::signature::{DEFAULT_IDENTITY, suite};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use sm2::dsa::signature::Verifier as _;
use support::{ProcessorTime, Signed, accepted, accepted_by, drawn, on_the_processor, signed, signed_in};

/// Claims of one equation at most.
const CHUNK: usize = 1_024;
/// Keys that take turns, more than suites `p256` and `sm2` keep.
const STRANGERS: usize = 6_000;
/// Claims of a batch with bad ones.
const MANY: usize = 16_384;

fn hot_paths(criterion: &mut Criterion<ProcessorTime>) {
    let mut group = criterion.benchmark_group("path");
    for path in paths::PATHS {
        group.throughput(Throughput::Elements(path.units));
        // Made ready only if it is asked for.
        let mut ready = None;
        group.bench_function(path.name, |bench| {
            let run = ready.get_or_insert_with(path.ready);
            bench.iter(run);
        });
    }
    group.finish();
}

/// The coefficients of the other library's batches, as they were drawn when the core used it.
struct Coefficients(blake3::OutputReader);

impl Coefficients {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}

impl TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.take()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.take()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Coefficients {}

fn item(signed: &Signed) -> batch::Item {
    let key = VerificationKeyBytes::try_from(&signed.public_key[..]).unwrap();
    let signature = Signature::from_bytes(signed.signature[..].try_into().unwrap());
    batch::Item::from((key, signature, &signed.message))
}

fn zebra(signed: &[Signed]) {
    let mut equation = batch::Verifier::new();
    for signed in signed {
        equation.queue(item(signed));
    }
    equation.verify(Coefficients(blake3::Hasher::new().finalize_xof())).unwrap();
}

fn contest(criterion: &mut Criterion<ProcessorTime>) {
    println!("{}", curve_code());
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut group = criterion.benchmark_group("contest");
    group.throughput(Throughput::Elements(CHUNK as u64));
    for (name, keys) in [("32 keys", 32), ("a key each", CHUNK)] {
        let good = signed(CHUNK, 0, keys);
        group.bench_function(format!("finchain, {name}"), |bench| {
            bench.iter(|| assert_eq!(one_core.install(|| accepted(&good)), CHUNK));
        });
        group.bench_function(format!("ed25519-zebra, {name}"), |bench| bench.iter(|| zebra(&good)));
    }
    // More keys than are kept, so that each is a new one whenever its turn comes.
    let strangers: Vec<_> = (1..=20).map(|at| signed(CHUNK, at * CHUNK, CHUNK)).collect();
    let mut turn = strangers.iter().cycle();
    group.bench_function("finchain, keys never seen", |bench| {
        bench.iter_batched(
            || turn.next().unwrap(),
            |signed| assert_eq!(one_core.install(|| accepted(signed)), CHUNK),
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(1));
    let one = &signed(1, 0, 1)[0];
    group.bench_function("finchain, alone", |bench| {
        bench.iter(|| finchain_core::signature::verify(&one.claim()).unwrap());
    });
    group.bench_function("ed25519-zebra, alone", |bench| {
        bench.iter(|| black_box(item(one).verify_single()).unwrap());
    });
    group.finish();
}

/// Which code for points the curve library has and can take here.
fn curve_code() -> String {
    let built = finchain_core::signature::VECTOR_CODE;
    #[cfg(target_arch = "x86_64")]
    let (avx512, avx2) = (
        is_x86_feature_detected!("avx512ifma") && is_x86_feature_detected!("avx512vl"),
        is_x86_feature_detected!("avx2"),
    );
    #[cfg(not(target_arch = "x86_64"))]
    let (avx512, avx2) = (false, false);
    format!("curve code: {built} are built in; the processor has AVX-512 IFMA: {avx512}, AVX2: {avx2}")
}

/// The suites, by keys that signed before and, where something is kept of keys, by keys that did not; and the crate of
/// SM2 by itself, which keeps nothing.
fn suites(criterion: &mut Criterion<ProcessorTime>) {
    const KEYS: usize = 32;
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut group = criterion.benchmark_group("suites");
    for name in ["ed25519", "p256", "sm2", "ml-dsa-44"] {
        let suite = suite(name).unwrap();
        let good = signed_in(name, CHUNK, KEYS);
        group.throughput(Throughput::Elements(CHUNK as u64));
        group.bench_function(format!("{name}, {KEYS} keys"), |bench| {
            bench.iter(|| assert_eq!(one_core.install(|| accepted_by(suite, &good)), CHUNK));
        });
        group.throughput(Throughput::Elements(1));
        let mut turn = good.iter().cycle();
        group.bench_function(format!("{name}, alone"), |bench| {
            bench.iter(|| suite.verify(&turn.next().unwrap().claim()).unwrap());
        });
        if ["p256", "sm2"].contains(&name) {
            let strangers = signed_in(name, STRANGERS, STRANGERS);
            let mut turn = strangers.iter().cycle();
            group.bench_function(format!("{name}, alone, keys never seen"), |bench| {
                bench.iter(|| suite.verify(&turn.next().unwrap().claim()).unwrap());
            });
        }
    }
    let one = &signed_in("sm2", 1, 1)[0];
    group.bench_function("the crate sm2, alone", |bench| {
        bench.iter(|| {
            let key = sm2::dsa::VerifyingKey::from_sec1_bytes(DEFAULT_IDENTITY, &one.public_key).unwrap();
            key.verify(&one.message, &sm2::dsa::Signature::from_slice(&one.signature).unwrap()).unwrap();
        });
    });
    group.finish();
}

fn bad(criterion: &mut Criterion<ProcessorTime>) {
    let mut group = criterion.benchmark_group("bad");
    group.throughput(Throughput::Elements(MANY as u64));
    // One claim in a hundred is every third of one of 32 senders, or all of 21 of 2,048.
    for (name, first, keys, few, every) in [("32 keys", 100_000, 32, 1, 3), ("2,048 keys", 200_000, 2_048, 21, 1)] {
        let kinds: [(&str, &dyn Fn(usize) -> bool); 4] = [
            ("none", &|_| false),
            ("1 %, of few senders", &|at| at % keys < few && at / keys % every == 0),
            ("1 %, of any", &|at| drawn(at, 100)),
            ("all of a tenth of the senders", &|at| at % keys < keys / 10),
        ];
        for (number, (kind, is_bad)) in kinds.into_iter().enumerate() {
            let good = (0..MANY).filter(|at| !is_bad(*at)).count();
            let mut made = None;
            group.bench_function(format!("{name}, {kind}"), |bench| {
                // Every kind has keys of its own, of which nothing is known from the kind before.
                let batch = made.get_or_insert_with(|| {
                    let mut signed = signed(MANY, first + number * keys, keys);
                    signed.iter_mut().enumerate().filter(|(at, _)| is_bad(*at)).for_each(|(_, one)| one.spoil());
                    signed
                });
                bench.iter(|| assert_eq!(accepted(batch), good));
            });
        }
    }
    group.finish();
}

criterion_group!(name = core; config = on_the_processor(); targets = hot_paths, contest, suites, bad);
criterion_main!(core);
