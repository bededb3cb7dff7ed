//! A table of one point, with which any multiple of the point takes 32 additions and a few doublings.
//!
//! This is the comb of Lim and Lee ("More Flexible Exponentiation with Precomputation", 1994) with the digits of
//! Hamburg ("Fast and compact elliptic-curve cryptography", 2012): a number is written in 256 digits that are each 1 or
//! -1, in eight rows of 32. A column of eight digits names one of 128 points or the negative of one, and none of them
//! is left out. Additions and doublings are those of the crate `primeorder`, whose formulas hold for any two points,
//! equal, opposite or at infinity. Numbers and points are public, so which entries are read, and how long it takes, may
//! show them.

use std::array::from_fn;

use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::{BatchNormalize as _, Group as _, PrimeField as _};
use sm2::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};

/// Digits of a column.
const ROWS: usize = 8;
/// Digits of a row.
const COLUMNS: usize = 32;
/// Tables of neighbouring columns: twice as many take twice the memory and half the doublings.
const BLOCKS: usize = 2;
/// Columns of a block, each of which but one takes a doubling.
const WIDTH: usize = COLUMNS / BLOCKS;
/// Points of a block; the topmost digit is the sign.
const POINTS: usize = 1 << (ROWS - 1);

/// The points that the columns of each block name, one block after the other.
pub(super) struct Comb(Vec<AffinePoint>);

impl Comb {
    /// The table of a point, in some 18 KiB.
    pub(super) fn new(point: &AffinePoint) -> Self {
        let mut power = ProjectivePoint::from(point);
        // What a digit 1 stands for, of each row and block in the order of their places.
        let powers: [ProjectivePoint; ROWS * BLOCKS] = from_fn(|_| {
            let this = power;
            (0..WIDTH).for_each(|_| power = power.double());
            this
        });
        let points: [_; BLOCKS] = from_fn(|block| block_of(&from_fn(|row| powers[row * BLOCKS + block])));
        Self(ProjectivePoint::batch_normalize(points.as_flattened()))
    }
}

/// What each column stands for whose topmost digit is 1; bit `i` of its place says whether digit `i` is 1 too.
fn block_of(rows: &[ProjectivePoint; ROWS]) -> [ProjectivePoint; POINTS] {
    let [lower @ .., topmost] = rows;
    let mut points = [lower.iter().fold(*topmost, |sum, row| sum - row); POINTS];
    for (row, power) in lower.iter().enumerate() {
        let twice = power.double();
        for place in 0..1 << row {
            points[place + (1 << row)] = points[place] + twice;
        }
    }
    points
}

/// The sum of such multiples, which share their doublings.
pub(super) fn sum<const TERMS: usize>(terms: [(&Comb, &Scalar); TERMS]) -> ProjectivePoint {
    let terms = terms.map(|(comb, factor)| (comb, rows(factor)));
    let mut sum = ProjectivePoint::IDENTITY;
    for column in (0..WIDTH).rev() {
        sum = sum.double();
        for (comb, rows) in &terms {
            for (block, points) in comb.0.chunks_exact(POINTS).enumerate() {
                let at = block * WIDTH + column;
                let digits = rows.iter().rev().fold(0, |digits, row| (digits << 1) | ((row >> at) & 1));
                if digits >= POINTS {
                    sum += &points[digits - POINTS];
                } else {
                    sum -= &points[POINTS - 1 - digits];
                }
            }
        }
    }
    sum
}

/// The digits of a number, row by row; a bit that is set stands for 1, and one that is not for -1.
fn rows(factor: &Scalar) -> [usize; ROWS] {
    // Digits whose bits are those of b have the value 2b - (2^256 - 1), which is to be the number modulo the order.
    let bits = (*factor + Scalar::reduce(&FieldBytes::from([0xff; 32]))) * Scalar::TWO_INV;
    let bytes: [u8; 4 * ROWS] = bits.to_repr().into();
    from_fn(|row| {
        let end = bytes.len() - 4 * row;
        bytes[end - 4..end].iter().fold(0, |row, &byte| (row << 8) | usize::from(byte))
    })
}
