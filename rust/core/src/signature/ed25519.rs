//! Suite `ed25519`: Algorithm 2 of Chalkias, Garillot and Nikolaenko, "Taming the many `EdDSAs`" (2020).
//!
//! Accepted is exactly: A and R are canonical encodings of points, A is not of small order, S < L, and
//! `[8][S]B = [8]R + [8][k]A`. The multiplication by 8 is what lets a batch and a single check agree on every input;
//! the other conditions leave no second encoding of anything. The curve work is that of a library whose rule is
//! ZIP 215 (the same equation, laxer encodings); the encodings are judged here, before it sees them.

use std::sync::LazyLock;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use rayon::prelude::*;

use super::{Claim, SignatureError, SignatureSuite, key_length, of_length, signature_length};

const PUBLIC_KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// Claims in one batch equation: more gain little, and cost more when one of them is bad.
const CHUNK_MAX: usize = 1_024;
/// Below this many claims, handing work to another core costs more than it saves.
const CHUNK_MIN: usize = 8;
/// Fewer claims make no batch.
const BATCH_MIN: usize = 2;
/// A failed batch is halved down to this many claims, which are then judged one by one.
const SINGLY_MAX: usize = 16;

/// The suite; it has no state.
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
        let public_key = key_bytes(public_key)?;
        CompressedEdwardsY(public_key).decompress().map(|_| ()).ok_or(SignatureError::PublicKeyEncoding)
    }

    fn verify(&self, claim: &Claim<'_>) -> Verdict {
        Checked::new(0, claim)?.verify_singly()
    }

    fn verify_batch(&self, claims: &[Claim<'_>]) -> Vec<Verdict> {
        if claims.len() < 2 * CHUNK_MIN {
            return judge(claims);
        }
        let share = claims.len().div_ceil(rayon::current_num_threads());
        claims.par_chunks(share.clamp(CHUNK_MIN, CHUNK_MAX)).flat_map_iter(judge).collect()
    }
}

/// A claim whose encodings have passed; what is left is to find the points and solve the equation.
struct Checked {
    /// Position among the claims of its chunk.
    position: usize,
    public_key: [u8; 32],
    nonce: [u8; 32],
    item: batch::Item,
}

impl Checked {
    fn new(position: usize, claim: &Claim<'_>) -> Result<Self, SignatureError> {
        let public_key = key_bytes(claim.public_key)?;
        let signature = of_length::<SIGNATURE_BYTES>(claim.signature, signature_length)?;
        let signature = Signature::from_bytes(&signature);
        let nonce = *signature.r_bytes();
        if !is_canonical(&nonce) {
            return Err(SignatureError::NonceEncoding);
        }
        if Scalar::from_canonical_bytes(*signature.s_bytes()).is_none().into() {
            return Err(SignatureError::ScalarTooLarge);
        }
        let item = batch::Item::from((VerificationKeyBytes::from(public_key), signature, claim.message));
        Ok(Self { position, public_key, nonce, item })
    }

    fn verify_singly(&self) -> Verdict {
        self.item.clone().verify_single().map_err(|_| {
            let is_point = |bytes| CompressedEdwardsY(bytes).decompress().is_some();
            if !is_point(self.public_key) {
                SignatureError::PublicKeyEncoding
            } else if !is_point(self.nonce) {
                SignatureError::NonceEncoding
            } else {
                SignatureError::Mismatch
            }
        })
    }
}

/// The key's bytes, if a point with this encoding may be a key; whether there is such a point is not yet asked.
fn key_bytes(public_key: &[u8]) -> Result<[u8; 32], SignatureError> {
    static SMALL_ORDER: LazyLock<[[u8; 32]; 8]> = LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress().0));
    let public_key = of_length::<PUBLIC_KEY_BYTES>(public_key, key_length)?;
    if !is_canonical(&public_key) {
        Err(SignatureError::PublicKeyEncoding)
    } else if SMALL_ORDER.contains(&public_key) {
        Err(SignatureError::PublicKeySmallOrder)
    } else {
        Ok(public_key)
    }
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

/// The verdicts on one chunk, on one core.
fn judge(claims: &[Claim<'_>]) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(claims.len());
    let mut checked = Vec::with_capacity(claims.len());
    for (position, claim) in claims.iter().enumerate() {
        verdicts.push(Checked::new(position, claim).map(|passed| checked.push(passed)));
    }
    match Coefficients::new() {
        Some(mut random) => settle(&checked, &mut random, &mut verdicts),
        // A batch without unpredictable coefficients could be deceived; single checks need none.
        None => settle_singly(&checked, &mut verdicts),
    }
    verdicts
}

/// Judges `checked`; each verdict that is not touched stays `Ok`.
fn settle(checked: &[Checked], random: &mut Coefficients, verdicts: &mut [Verdict]) {
    if checked.len() < BATCH_MIN {
        settle_singly(checked, verdicts);
    } else if !holds_together(checked, random) {
        find_bad(checked, random, verdicts);
    }
}

/// Finds the bad ones among claims that do not hold together, by halving as long as they are in one half. Where they
/// are in both, single checks follow at once: so many bad claims cost about twice what single checks cost, never more.
fn find_bad(checked: &[Checked], random: &mut Coefficients, verdicts: &mut [Verdict]) {
    if checked.len() <= SINGLY_MAX {
        return settle_singly(checked, verdicts);
    }
    let (left, right) = checked.split_at(checked.len() / 2);
    match (holds_together(left, random), holds_together(right, random)) {
        (true, false) => find_bad(right, random, verdicts),
        (false, true) => find_bad(left, random, verdicts),
        _ => settle_singly(checked, verdicts),
    }
}

/// Whether one equation over all of `checked` holds, which it does for a bad claim with probability 2^-128.
fn holds_together(checked: &[Checked], random: &mut Coefficients) -> bool {
    let mut equation = batch::Verifier::new();
    for claim in checked {
        equation.queue(claim.item.clone());
    }
    equation.verify(random).is_ok()
}

fn settle_singly(checked: &[Checked], verdicts: &mut [Verdict]) {
    for claim in checked {
        verdicts[claim.position] = claim.verify_singly();
    }
}

/// Unpredictable coefficients for batch equations: the output of BLAKE3 for a seed from the operating system.
struct Coefficients(blake3::OutputReader);

impl Coefficients {
    /// `None` where the system gives no randomness.
    fn new() -> Option<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).ok()?;
        Some(Self(blake3::Hasher::new_keyed(&seed).finalize_xof()))
    }

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
