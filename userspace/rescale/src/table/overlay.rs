//! The pairs that replace dead pairs.

use std::collections::BTreeSet;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::member::Member;
use crate::change::Ordinal;

/// Assigns each bucket of a dead pair by weighted rendezvous hashing: every live pair draws a number for
/// the bucket, and the smallest number wins. The result does not depend on the order of deaths.
pub(super) fn without(
    members: &[Member],
    buckets: &[Ordinal],
    dead: &BTreeSet<Ordinal>,
) -> Vec<Ordinal> {
    let live: Vec<(Ordinal, u8)> = members
        .iter()
        .filter(|member| !dead.contains(&member.ordinal))
        .filter_map(|member| Some((member.ordinal, member.weight?.get())))
        .collect();
    let replacement = |bucket: u32| {
        let draws = live
            .iter()
            .map(|&(ordinal, weight)| (draw(bucket, ordinal, weight), ordinal));
        draws.min().map(|(_, ordinal)| ordinal)
    };
    (0..)
        .zip(buckets)
        .map(|(bucket, &ordinal)| match dead.contains(&ordinal) {
            true => replacement(bucket).unwrap_or(ordinal),
            false => ordinal,
        })
        .collect()
}

/// The smallest of `weight` draws, so that a pair wins in proportion to its weight.
fn draw(bucket: u32, ordinal: Ordinal, weight: u8) -> u64 {
    let one = |turn: u8| {
        // No secret key, because both VPCs must get the same result.
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        hasher.write(&bucket.to_be_bytes());
        hasher.write(&ordinal.0.to_be_bytes());
        hasher.write(&[turn]);
        hasher.finish()
    };
    (0..weight).map(one).min().unwrap_or(u64::MAX)
}
