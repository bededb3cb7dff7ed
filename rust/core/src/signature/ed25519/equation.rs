//! The equation of Ed25519, for one claim and for many at once, over points that have been found already.
//!
//! Of claims `(A, R, S, k)` it asks whether `[8]Σ z([S]B - R - [k]A)` is zero, for coefficients `z` of 128 bits that
//! nobody could foresee. All good claims give zero. A set with a bad one gives zero for one choice of coefficients in
//! 2^128 at most, whatever the rest of it is.
//!
//! Most sets that fail have one bad claim, which a second sum finds: with each claim taken as often as its position in
//! the set says, it is the first sum as often as the position of the bad one says. This is so of a set with more bad
//! ones for one choice in 2^128 at most for each position. A set with more is halved; the sums of its halves make its
//! own, so that one more is enough. The sets that may be asked about and the positions in them are fixed before the
//! coefficients are drawn, and are fewer than 2^13 in a chunk: one in 2^115 chunks that hide a bad claim is accepted.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity as _, IsIdentity as _, VartimeMultiscalarMul as _};

/// Where at most this many claims fail in both halves, bad ones are so dense that each is judged alone.
const DENSE_MAX: usize = 16;
/// Up to this many claims cost less alone than any further sum.
const ALONE_MAX: usize = 4;
/// Above this many claims that fail, more than one of them is bad too often.
const ONLY_MAX: usize = 64;

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

impl Weighted<'_> {
    /// The claim taken so many times.
    fn times(&self, count: u64) -> Self {
        let count = Scalar::from(count);
        Self { claimed: self.claimed, z: count * self.z, s: count * self.s, k: count * self.k }
    }
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
        match Coefficients::new() {
            Some(mut coefficients) if self.claims.len() > 1 => {
                let weighted: Vec<_> = self.claims.iter().map(|claimed| coefficients.weigh(claimed)).collect();
                let mut bad = Vec::new();
                self.find_bad(&weighted, &self.sum(&weighted), &mut bad);
                bad
            }
            // A batch without unpredictable coefficients could be deceived; single checks need none.
            _ => self.bad_alone(),
        }
    }

    /// The same, found one by one: less work where many are bad.
    pub(super) fn bad_alone(&self) -> Vec<(usize, usize)> {
        self.claims.iter().filter(|claimed| !self.holds(claimed)).map(Claimed::named).collect()
    }

    /// Finds the bad ones among claims with that sum.
    fn find_bad(&self, weighted: &[Weighted<'_>], sum: &EdwardsPoint, bad: &mut Vec<(usize, usize)>) {
        if is_zero(sum) {
            return;
        }
        if weighted.len() <= ALONE_MAX {
            return self.find_alone(weighted, bad);
        }
        if weighted.len() <= ONLY_MAX
            && let Some(only) = self.only_bad(weighted, sum)
        {
            return bad.push(only);
        }
        let (left, right) = weighted.split_at(weighted.len() / 2);
        let left_sum = self.sum(left);
        let right_sum = sum - left_sum;
        if weighted.len() <= DENSE_MAX && !is_zero(&left_sum) && !is_zero(&right_sum) {
            self.find_alone(weighted, bad);
        } else {
            self.find_bad(left, &left_sum, bad);
            self.find_bad(right, &right_sum, bad);
        }
    }

    /// Judges each claim of a set with a bad one alone: the last is bad where no other is, because no multiple of what
    /// is zero is anything else.
    fn find_alone(&self, weighted: &[Weighted<'_>], bad: &mut Vec<(usize, usize)>) {
        let Some((last, others)) = weighted.split_last() else { return };
        let before = bad.len();
        bad.extend(others.iter().map(|one| one.claimed).filter(|one| !self.holds(one)).map(Claimed::named));
        if bad.len() == before || !self.holds(last.claimed) {
            bad.push(last.claimed.named());
        }
    }

    /// The bad one of a set with that sum, which is not zero, if there is just one.
    fn only_bad(&self, weighted: &[Weighted<'_>], sum: &EdwardsPoint) -> Option<(usize, usize)> {
        let placed: Vec<_> = (1_u64..).zip(weighted).map(|(position, one)| one.times(position)).collect();
        let placed_sum = self.sum(&placed).mul_by_cofactor();
        let step = sum.mul_by_cofactor();
        let mut multiple = EdwardsPoint::identity();
        for one in weighted {
            multiple += step;
            if multiple == placed_sum {
                return Some(one.claimed.named());
            }
        }
        None
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
