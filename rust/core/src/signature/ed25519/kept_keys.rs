//! The points of keys that were seen, so that each is found once, and which keys made bad claims lately.

use std::sync::LazyLock;

use curve25519_dalek::edwards::EdwardsPoint;

use super::super::kept_keys::{KeptKeys, Ring};

/// Keys kept, in 6 MB at most.
const KEPT_MAX: usize = 16_384;

/// Good claims in a row after which a key is no longer on watch: fewer, and a key with one bad claim in a hundred
/// would come and go.
const WATCHED_CLAIMS: usize = 1_024;

/// One bad claim in so many is often: four in an equation of 32 cost more to find than all of them judged alone.
const OFTEN: usize = 8;

static KEPT: LazyLock<KeptKeys<[u8; 32], Kept>> = LazyLock::new(|| KeptKeys::new(KEPT_MAX));

struct Kept {
    point: EdwardsPoint,
    /// Good claims that are still asked for; zero where the key is not on watch.
    watched: usize,
    /// Whether many claims were bad when it was last seen on watch.
    often_bad: bool,
}

/// What is expected of the claims of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Watch {
    /// That they are good.
    #[default]
    Off,
    /// That some are bad.
    Some,
    /// That many are bad.
    Many,
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
    let Some(kept) = KEPT.try_read() else { return vec![None; keys.len()] };
    keys.iter().map(|&key| kept.get(key.try_into().ok()?).map(|kept| kept.point)).collect()
}

/// For each of the keys what is expected of its claims.
pub(super) fn watches<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Watch> {
    let Some(kept) = KEPT.try_read() else { return vec![Watch::Off; keys.len()] };
    keys.map(|key| watch(&kept, key)).collect()
}

/// Keeps the points of keys, and how their claims fared.
pub(super) fn learn<'a>(seen: impl IntoIterator<Item = &'a Seen<'a>>) {
    let mut seen = seen.into_iter().peekable();
    if seen.peek().is_some()
        && let Some(mut kept) = KEPT.try_write()
    {
        seen.for_each(|seen| learn_one(&mut kept, seen));
    }
}

fn watch(kept: &Ring<[u8; 32], Kept>, key: &[u8]) -> Watch {
    match key.try_into().ok().and_then(|key| kept.get(key)) {
        Some(kept) if kept.watched > 0 && kept.often_bad => Watch::Many,
        Some(kept) if kept.watched > 0 => Watch::Some,
        _ => Watch::Off,
    }
}

fn learn_one(kept: &mut Ring<[u8; 32], Kept>, seen: &Seen<'_>) {
    let Ok(key) = seen.key.try_into() else { return };
    let Some(kept) = kept.get_or_insert(key, Kept { point: seen.point, watched: 0, often_bad: false }) else { return };
    kept.watched = if seen.bad > 0 { WATCHED_CLAIMS } else { kept.watched.saturating_sub(seen.good) };
    kept.often_bad = seen.bad * OFTEN > seen.good + seen.bad;
}

#[cfg(test)]
mod tests {
    // A failed expectation is how a test reports.
    #![allow(clippy::unwrap_used)]

    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;

    use super::*;

    fn seen(key: &[u8], good: usize, bad: usize) -> Seen<'_> {
        Seen { key, point: ED25519_BASEPOINT_POINT, good, bad }
    }

    #[test]
    fn a_key_is_on_watch_from_a_bad_claim_until_a_thousand_good_ones() {
        let kept = KeptKeys::new(2);
        let mut kept = kept.try_write().unwrap();
        let key = [1; 32];
        learn_one(&mut kept, &seen(&key, 5, 0));
        assert_eq!(watch(&kept, &key), Watch::Off);
        learn_one(&mut kept, &seen(&key, 5_000, 1));
        assert_eq!(watch(&kept, &key), Watch::Some);
        learn_one(&mut kept, &seen(&key, WATCHED_CLAIMS - 1, 0));
        assert_eq!(watch(&kept, &key), Watch::Some);
        learn_one(&mut kept, &seen(&key, 1, 0));
        assert_eq!([key, [2; 32]].map(|key| watch(&kept, &key)), [Watch::Off; 2]);
        assert_eq!(watch(&kept, &[]), Watch::Off);
    }

    #[test]
    fn a_key_is_expected_to_be_often_bad_while_it_is() {
        let kept = KeptKeys::new(1);
        let mut kept = kept.try_write().unwrap();
        let key = [1; 32];
        for (good, bad, expected) in
            [(70, 10, Watch::Some), (69, 10, Watch::Many), (0, 1, Watch::Many), (1, 0, Watch::Some)]
        {
            learn_one(&mut kept, &seen(&key, good, bad));
            assert_eq!(watch(&kept, &key), expected, "{good} good, {bad} bad");
        }
        learn_one(&mut kept, &seen(&key, 0, 1));
        learn_one(&mut kept, &seen(&key, WATCHED_CLAIMS, 0));
        assert_eq!(watch(&kept, &key), Watch::Off);
    }
}
