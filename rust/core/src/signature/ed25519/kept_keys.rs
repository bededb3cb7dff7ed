//! The points of keys that were seen, so that each is found once, and which keys made bad claims lately.
//!
//! Verdicts do not depend on what is kept here, only the time they take. So nobody ever waits for it: whoever comes
//! while another one writes finds nothing, and what he learnt is forgotten. There is one for the whole process.

use std::collections::HashMap;
use std::sync::{LazyLock, RwLock};

use curve25519_dalek::edwards::EdwardsPoint;

/// Keys kept, in 8 MB at most. When there would be more all are forgotten: those in use are back after one batch, and
/// whoever sends ever new keys pays for each of them about what it cost before.
const KEPT_MAX: usize = 16_384;

/// Good claims in a row after which a key is no longer on watch: fewer, and a key with one bad claim in a hundred
/// would come and go.
const WATCHED_CLAIMS: usize = 1_024;

static KEPT: LazyLock<RwLock<KeptKeys>> = LazyLock::new(RwLock::default);

#[derive(Default)]
struct KeptKeys(HashMap<[u8; 32], Kept>);

struct Kept {
    point: EdwardsPoint,
    /// Good claims that are still asked for; zero where the key is not on watch.
    watched: usize,
}

/// A key that was seen in claims.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    /// Its bytes.
    pub(super) key: &'a [u8],
    /// Its point.
    pub(super) point: EdwardsPoint,
    /// Claims by it that were good.
    pub(super) good: usize,
    /// Claims by it that had the form of a signature and were not.
    pub(super) bad: usize,
}

/// For each of the keys its point, where it is kept.
pub(super) fn points(keys: &[&[u8]]) -> Vec<Option<EdwardsPoint>> {
    let Ok(kept) = KEPT.try_read() else { return vec![None; keys.len()] };
    keys.iter().map(|&key| kept.0.get(key).map(|kept| kept.point)).collect()
}

/// For each of the keys whether it is on watch.
pub(super) fn on_watch<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<bool> {
    let Ok(kept) = KEPT.try_read() else { return vec![false; keys.len()] };
    keys.map(|key| kept.is_watched(key)).collect()
}

/// Keeps the points of keys, and how their claims fared.
pub(super) fn learn<'a>(seen: impl IntoIterator<Item = &'a Seen<'a>>) {
    let mut seen = seen.into_iter().peekable();
    if seen.peek().is_some()
        && let Ok(mut kept) = KEPT.try_write()
    {
        seen.for_each(|seen| kept.learn(seen));
    }
}

impl KeptKeys {
    fn is_watched(&self, key: &[u8]) -> bool {
        self.0.get(key).is_some_and(|kept| kept.watched > 0)
    }

    fn learn(&mut self, seen: &Seen<'_>) {
        let Ok(key) = seen.key.try_into() else { return };
        if self.0.len() >= KEPT_MAX && !self.0.contains_key(&key) {
            self.0.clear();
        }
        let kept = self.0.entry(key).or_insert(Kept { point: seen.point, watched: 0 });
        kept.watched = if seen.bad > 0 { WATCHED_CLAIMS } else { kept.watched.saturating_sub(seen.good) };
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;

    use super::*;

    fn seen(key: &[u8], good: usize, bad: usize) -> Seen<'_> {
        Seen { key, point: ED25519_BASEPOINT_POINT, good, bad }
    }

    #[test]
    fn a_key_is_on_watch_from_a_bad_claim_until_a_thousand_good_ones() {
        let mut kept = KeptKeys::default();
        let key = [1; 32];
        kept.learn(&seen(&key, 5, 0));
        assert!(!kept.is_watched(&key));
        kept.learn(&seen(&key, 5_000, 1));
        assert!(kept.is_watched(&key));
        kept.learn(&seen(&key, WATCHED_CLAIMS - 1, 0));
        assert!(kept.is_watched(&key));
        kept.learn(&seen(&key, 1, 0));
        assert!(!kept.is_watched(&key) && !kept.is_watched(&[2; 32]) && !kept.is_watched(&[]));
    }

    #[test]
    fn one_key_too_many_empties_what_is_kept_and_an_old_one_does_not() {
        let mut kept = KeptKeys::default();
        let key = |number: usize| <[u8; 32]>::from(blake3::hash(&number.to_le_bytes()));
        (0..KEPT_MAX).for_each(|number| kept.learn(&seen(&key(number), 1, 0)));
        kept.learn(&seen(&key(7), 1, 1));
        assert_eq!(kept.0.len(), KEPT_MAX);
        assert!(kept.is_watched(&key(7)));
        kept.learn(&seen(&key(KEPT_MAX), 1, 0));
        assert_eq!(kept.0.len(), 1);
        assert!(!kept.is_watched(&key(7)) && kept.0.contains_key(&key(KEPT_MAX)));
    }
}
