//! What every benchmark of the core needs: signatures in any number, and a clock that others on the machine do not
//! move much.

#![allow(dead_code, reason = "each benchmark uses its own part of this support")]

use std::time::Duration;

use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use finchain_core::signature::{Claim, Ed25519, SecretKey, SignatureSuite};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of a message, as long as the header of a transaction.
const MESSAGE_BYTES: usize = 300;

/// A signature with all that verifying it asks for.
pub struct Signed {
    pub public_key: Vec<u8>,
    pub signature: Vec<u8>,
    pub message: Vec<u8>,
}

impl Signed {
    pub fn claim(&self) -> Claim<'_> {
        Claim { public_key: &self.public_key, identity: None, signature: &self.signature, message: &self.message }
    }

    /// Makes the signature one of another message.
    pub fn spoil(&mut self) {
        self.message.push(0);
    }
}

/// Good signatures by keys number `first` to `first + keys - 1`, in turn.
pub fn signed(count: usize, first: usize, keys: usize) -> Vec<Signed> {
    signed_by(count, &(first..first + keys).map(|key| SecretKey::from_seed(&numbered(key))).collect::<Vec<_>>())
}

/// Good signatures of a suite by so many new keys, in turn.
pub fn signed_in(suite: &str, count: usize, keys: usize) -> Vec<Signed> {
    signed_by(count, &(0..keys).map(|_| SecretKey::generate(suite).unwrap()).collect::<Vec<_>>())
}

fn signed_by(count: usize, secret: &[SecretKey]) -> Vec<Signed> {
    let keys = secret.len();
    let public: Vec<_> = secret.iter().map(SecretKey::public_key).collect();
    let signed = |at: usize| {
        let message = numbered::<MESSAGE_BYTES>(at).to_vec();
        let signature = secret[at % keys].sign(&message).unwrap();
        Signed { public_key: public[at % keys].clone(), signature, message }
    };
    (0..count).map(signed).collect()
}

fn numbered<const N: usize>(number: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// How many of them suite `ed25519` accepts, in a batch.
pub fn accepted(signed: &[Signed]) -> usize {
    accepted_by(&Ed25519, signed)
}

/// How many of them a suite accepts, in a batch.
pub fn accepted_by(suite: &dyn SignatureSuite, signed: &[Signed]) -> usize {
    let claims: Vec<_> = signed.iter().map(Signed::claim).collect();
    suite.verify_batch(&claims).iter().filter(|verdict| verdict.is_ok()).count()
}

/// Whether number `at` is one of those that are drawn with that many chances in 10,000; the same each time.
pub fn drawn(at: usize, chances: u32) -> bool {
    let [first, second, third, fourth, ..] = *blake3::hash(&at.to_le_bytes()).as_bytes();
    u32::from_le_bytes([first, second, third, fourth]) % 10_000 < chances
}

/// Time that the processor spent on this process, all threads together.
pub struct ProcessorTime;

pub fn on_the_processor() -> Criterion<ProcessorTime> {
    Criterion::default().with_measurement(ProcessorTime).configure_from_args()
}

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    }

    fn end(&self, start: Duration) -> Duration {
        self.start().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
