//! The equation of Ed25519, for one claim and for many at once, over points that have been found already.
//!
//! Of claims `(A, R, S, k)` it asks whether `[8]Σ z([S]B - R - [k]A)` is zero, for coefficients `z` of 128 bits that
//! nobody could foresee. All good claims give zero. A set with a bad one gives zero for one choice of coefficients in
//! 2^128 at most, whatever the rest of it is. The sums of the two halves of a set make the sum of the set, so finding
//! the bad ones costs one half of each set that fails. The sets that may be asked about are fixed before the
//! coefficients are drawn, and are fewer than 2^11 in a chunk: one in 2^117 chunks that hide a bad claim is accepted.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};

/// Where at most this many claims fail in both halves, bad ones are so dense that each is judged alone.
const DENSE_MAX: usize = 16;

/// What a claim brings to an equation.
pub(super) struct Term {
    /// The second half of the signature.
    pub(super) s: Scalar,
    /// The hash of R, A and the message.
    pub(super) k: Scalar,
    /// The first half of the signature, R.
    pub(super) nonce: EdwardsPoint,
}

impl Term {
    /// Whether the equation holds for this claim by `key` alone.
    pub(super) fn holds(&self, key: &EdwardsPoint) -> bool {
        let nonce = EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.k, &-key, &self.s);
        is_zero(&(nonce - self.nonce))
    }
}

/// Claims that are judged together.
pub(super) struct Equation {
    keys: Vec<EdwardsPoint>,
    claims: Vec<Claimed>,
}

struct Claimed {
    /// Position among the keys.
    key: usize,
    /// What the caller knows the claim by.
    place: usize,
    term: Term,
}

/// A claim with its coefficient.
struct Weighted<'a> {
    claimed: &'a Claimed,
    z: Scalar,
    /// `z · S` and `z · k`.
    s: Scalar,
    k: Scalar,
}

impl Equation {
    pub(super) fn with_capacity(keys: usize, claims: usize) -> Self {
        Self { keys: Vec::with_capacity(keys), claims: Vec::with_capacity(claims) }
    }

    /// Makes a key the one that claims are added for, until the next one.
    pub(super) fn add_key(&mut self, point: EdwardsPoint) {
        self.keys.push(point);
    }

    /// Adds a claim by the last key.
    pub(super) fn add(&mut self, place: usize, term: Term) {
        self.claims.push(Claimed { key: self.keys.len() - 1, place, term });
    }

    /// The claims for which the equation does not hold, each by the position of its key and its place.
    pub(super) fn bad(&self) -> Vec<(usize, usize)> {
        let mut bad = Vec::new();
        match Coefficients::new() {
            Some(mut coefficients) if self.claims.len() > 1 => {
                let weighted: Vec<_> = self.claims.iter().map(|claimed| coefficients.weigh(claimed)).collect();
                self.find_bad(&weighted, &self.sum(&weighted), &mut bad);
            }
            // A batch without unpredictable coefficients could be deceived; single checks need none.
            _ => bad.extend(self.claims.iter().filter(|claimed| !self.holds(claimed)).map(Claimed::named)),
        }
        bad
    }

    /// Finds the bad ones among claims with that sum.
    fn find_bad(&self, weighted: &[Weighted<'_>], sum: &EdwardsPoint, bad: &mut Vec<(usize, usize)>) {
        if is_zero(sum) {
            return;
        }
        if let [one] = weighted {
            // No multiple of what is zero is anything else, so this verdict is certain.
            bad.push(one.claimed.named());
            return;
        }
        let (left, right) = weighted.split_at(weighted.len() / 2);
        let left_sum = self.sum(left);
        let right_sum = sum - left_sum;
        if weighted.len() <= DENSE_MAX && !is_zero(&left_sum) && !is_zero(&right_sum) {
            let claimed = weighted.iter().map(|one| one.claimed);
            bad.extend(claimed.filter(|claimed| !self.holds(claimed)).map(Claimed::named));
        } else {
            self.find_bad(left, &left_sum, bad);
            self.find_bad(right, &right_sum, bad);
        }
    }

    /// The sum over some claims, with the sign that needs the fewest negations, and one term for each key.
    fn sum(&self, weighted: &[Weighted<'_>]) -> EdwardsPoint {
        let mut scalars = Vec::with_capacity(2 * weighted.len() + 1);
        let mut points = Vec::with_capacity(2 * weighted.len() + 1);
        let mut base = Scalar::ZERO;
        for run in weighted.chunk_by(|one, next| one.claimed.key == next.claimed.key) {
            scalars.push(run.iter().map(|one| one.k).sum());
            points.push(self.keys[run[0].claimed.key]);
            for one in run {
                scalars.push(one.z);
                points.push(one.claimed.term.nonce);
                base -= one.s;
            }
        }
        scalars.push(base);
        points.push(ED25519_BASEPOINT_POINT);
        EdwardsPoint::vartime_multiscalar_mul(&scalars, &points)
    }

    fn holds(&self, claimed: &Claimed) -> bool {
        claimed.term.holds(&self.keys[claimed.key])
    }
}

impl Claimed {
    fn named(&self) -> (usize, usize) {
        (self.key, self.place)
    }
}

/// Whether a point is zero but for a part of small order.
fn is_zero(point: &EdwardsPoint) -> bool {
    point.mul_by_cofactor().is_identity()
}

/// Unpredictable coefficients: the output of BLAKE3 for a seed from the operating system.
struct Coefficients(blake3::OutputReader);

impl Coefficients {
    /// `None` where the system gives no randomness.
    fn new() -> Option<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).ok()?;
        Some(Self(blake3::Hasher::new_keyed(&seed).finalize_xof()))
    }

    fn weigh<'a>(&mut self, claimed: &'a Claimed) -> Weighted<'a> {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        let z = Scalar::from(u128::from_le_bytes(bytes));
        Weighted { claimed, z, s: z * claimed.term.s, k: z * claimed.term.k }
    }
}
