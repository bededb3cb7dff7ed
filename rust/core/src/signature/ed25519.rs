//! Suite `ed25519`: Algorithm 2 of Chalkias, Garillot and Nikolaenko, "Taming the many `EdDSAs`" (2020).
//!
//! Accepted is exactly: A and R are canonical encodings of points, A is not of small order, S < L, and
//! `[8][S]B = [8]R + [8][k]A`. The multiplication by 8 is what lets a batch and a single check agree on every input;
//! the other conditions leave no second encoding of anything. The arithmetic of points and scalars is a library's.
//!
//! Many claims are queued by their keys first. So the terms of a key are joined, and the claims of somebody whose
//! signatures are bad stand together, where they cost the others little; once known, they are judged apart, and one by
//! one where many are bad.

mod equation;
mod kept_keys;

use std::sync::LazyLock;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use rayon::prelude::*;
use sha2::{Digest, Sha512};

use crate::cores::on_all_cores;

use super::{Claim, SignatureError, SignatureSuite, key_length, of_length, signature_length};
use equation::{Equation, Term};
use kept_keys::{Seen, Watch};

const PUBLIC_KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// Claims in one equation: half as many cost some 4 % more each, twice as many 2 % less, and twice as much to search.
const CHUNK_MAX: usize = 1_024;
/// Below this many claims, handing work to another core costs more than it saves.
const CHUNK_MIN: usize = 8;
/// Claims in one equation by keys on watch: if one in a hundred is bad, three of four such equations hold.
const CHUNK_WATCHED: usize = 32;

/// The suite; what it keeps of keys changes no verdict.
#[derive(Clone, Copy, Debug)]
pub struct Ed25519;

type Verdict = Result<(), SignatureError>;

impl SignatureSuite for Ed25519 {
    fn name(&self) -> &'static str {
        "ed25519"
    }

    fn public_key_bytes(&self) -> usize {
        PUBLIC_KEY_BYTES
    }

    fn check_public_key(&self, public_key: &[u8]) -> Verdict {
        key_point(public_key).map(|_| ())
    }

    fn verify(&self, claim: &Claim<'_>) -> Verdict {
        let kept = kept_keys::points(&[claim.public_key]).pop().flatten();
        let key = kept.map_or_else(|| key_point(claim.public_key), Ok)?;
        if kept.is_none() {
            kept_keys::learn([&Seen { key: claim.public_key, point: key, good: 0, bad: 0 }]);
        }
        if term(claim)?.holds(&key) { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    fn verify_batch(&self, claims: &[Claim<'_>]) -> Vec<Verdict> {
        let mut verdicts = vec![Ok(()); claims.len()];
        let queue = queued(claims);
        let judged: Vec<_> = if claims.len() < 2 * CHUNK_MIN {
            chunked(claims, &queue, CHUNK_MAX).iter().map(|chunk| judge(claims, chunk)).collect()
        } else {
            on_all_cores(|| {
                let share = claims.len().div_ceil(rayon::current_num_threads()).clamp(CHUNK_MIN, CHUNK_MAX);
                chunked(claims, &queue, share).par_iter().with_max_len(1).map(|chunk| judge(claims, chunk)).collect()
            })
        };
        for (place, error) in judged.iter().flat_map(|chunk| &chunk.failed) {
            verdicts[*place] = Err(error.clone());
        }
        kept_keys::learn(judged.iter().flat_map(|chunk| &chunk.seen));
        verdicts
    }
}

/// The point that is a key.
fn key_point(public_key: &[u8]) -> Result<EdwardsPoint, SignatureError> {
    static SMALL_ORDER: LazyLock<[[u8; 32]; 8]> = LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress().0));
    let public_key = of_length::<PUBLIC_KEY_BYTES>(public_key, key_length)?;
    if SMALL_ORDER.contains(&public_key) {
        return Err(SignatureError::PublicKeySmallOrder);
    }
    point(public_key).ok_or(SignatureError::PublicKeyEncoding)
}

/// What a claim brings to an equation, if the encodings of its signature pass; its key is judged apart.
fn term(claim: &Claim<'_>) -> Result<Term, SignatureError> {
    let signature = of_length::<SIGNATURE_BYTES>(claim.signature, signature_length)?;
    let (mut nonce, mut s) = ([0; 32], [0; 32]);
    nonce.copy_from_slice(&signature[..32]);
    s.copy_from_slice(&signature[32..]);
    let s = Option::from(Scalar::from_canonical_bytes(s)).ok_or(SignatureError::ScalarTooLarge)?;
    let hash = Sha512::new().chain_update(nonce).chain_update(claim.public_key).chain_update(claim.message).finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    Ok(Term { s, k, nonce: point(nonce).ok_or(SignatureError::NonceEncoding)? })
}

/// The point of which these bytes are the canonical encoding.
fn point(bytes: [u8; 32]) -> Option<EdwardsPoint> {
    if is_canonical(&bytes) { CompressedEdwardsY(bytes).decompress() } else { None }
}

/// Whether 32 bytes encode a coordinate `y < p`, and not `x = -0`, which only y = 1 and y = p - 1 could have.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    let negative = last & 0x80 != 0;
    match last & 0x7f {
        // p = 2^255 - 19, so its bytes are ed, thirty times ff, 7f; p - 1 starts with ec.
        0x7f if middle.iter().all(|&byte| byte == 0xff) => *first < 0xec || (*first == 0xec && !negative),
        0x00 if *first == 1 && middle.iter().all(|&byte| byte == 0) => !negative,
        _ => true,
    }
}

/// The places of all claims, those of one key one after the other. Keys that were made to begin alike may be mixed,
/// which costs whoever made them a term for each claim.
fn queued(claims: &[Claim<'_>]) -> Vec<usize> {
    let start = |claim: &Claim<'_>| claim.public_key.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let mut queue: Vec<_> = claims.iter().enumerate().map(|(place, claim)| (start(claim), place)).collect();
    queue.sort_unstable();
    queue.into_iter().map(|(_, place)| place).collect()
}

/// Claims that one core judges together.
#[derive(Default)]
struct Chunk<'a> {
    /// For each key the places of its claims.
    runs: Vec<&'a [usize]>,
    claims: usize,
    /// What is expected of these keys.
    watch: Watch,
}

/// The queue in chunks of at most `size` claims; those of keys on watch stand apart, in chunks of their own size.
fn chunked<'a>(claims: &[Claim<'_>], queue: &'a [usize], size: usize) -> Vec<Chunk<'a>> {
    let runs: Vec<_> = queue.chunk_by(|&one, &next| claims[one].public_key == claims[next].public_key).collect();
    let watches = kept_keys::watches(runs.iter().map(|run| claims[run[0]].public_key));
    let mut full = Vec::new();
    // What is being filled: a chunk of keys of each kind.
    let empty = |watch| Chunk { watch, ..Chunk::default() };
    let mut open = [Watch::Off, Watch::Some, Watch::Many].map(empty);
    for (mut run, watch) in runs.into_iter().zip(watches) {
        let size = if watch == Watch::Off { size } else { size.min(CHUNK_WATCHED) };
        let chunk = &mut open[watch as usize];
        while !run.is_empty() {
            let (now, later) = run.split_at(run.len().min(size - chunk.claims));
            chunk.runs.push(now);
            chunk.claims += now.len();
            if chunk.claims == size {
                full.push(std::mem::replace(chunk, empty(watch)));
            }
            run = later;
        }
    }
    full.extend(open.into_iter().filter(|chunk| chunk.claims > 0));
    full
}

/// What became of a chunk.
struct Judged<'a> {
    /// The places of the claims that are not accepted, and why.
    failed: Vec<(usize, SignatureError)>,
    /// The keys about which something is to be learnt.
    seen: Vec<Seen<'a>>,
}

/// The verdicts on one chunk, on one core.
fn judge<'a>(claims: &[Claim<'a>], chunk: &Chunk<'_>) -> Judged<'a> {
    let keys: Vec<_> = chunk.runs.iter().map(|run| claims[run[0]].public_key).collect();
    let mut equation = Equation::with_capacity(keys.len(), chunk.claims);
    let (mut failed, mut seen, mut is_new) = (Vec::new(), Vec::new(), Vec::new());
    for ((run, kept), key) in chunk.runs.iter().zip(kept_keys::points(&keys)).zip(keys) {
        let point = match kept.map_or_else(|| key_point(key), Ok) {
            Ok(point) => point,
            Err(error) => {
                failed.extend(run.iter().map(|&place| (place, error.clone())));
                continue;
            }
        };
        equation.add_key(point);
        let mut good = 0;
        for &place in *run {
            match term(&claims[place]) {
                Ok(term) => {
                    equation.add(place, term);
                    good += 1;
                }
                Err(error) => failed.push((place, error)),
            }
        }
        seen.push(Seen { key, point, good, bad: 0 });
        is_new.push(kept.is_none());
    }
    let bad = if chunk.watch == Watch::Many { equation.bad_alone() } else { equation.bad() };
    for (key, place) in bad {
        failed.push((place, SignatureError::Mismatch));
        seen[key].good -= 1;
        seen[key].bad += 1;
    }
    let mut is_new = is_new.into_iter();
    seen.retain(|seen| is_new.next() == Some(true) || chunk.watch != Watch::Off || seen.bad > 0);
    Judged { failed, seen }
}
