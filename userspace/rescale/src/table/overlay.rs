//! Who stands in for the dead.

use std::collections::BTreeSet;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::Table;
use crate::Ordinal;

/// Each bucket of a dead pair by weighted rendezvous: every live pair draws a number for the bucket,
/// and the smallest wins. What the others' deaths do does not enter into it.
pub(super) fn without(table: &Table, dead: &BTreeSet<Ordinal>) -> Vec<Ordinal> {
    let live: Vec<(Ordinal, u8)> = table
        .members
        .iter()
        .filter(|member| !dead.contains(&member.ordinal))
        .filter_map(|member| Some((member.ordinal, member.weight?.get())))
        .collect();
    let stand_in = |bucket: u32| {
        let draws = live
            .iter()
            .map(|&(ordinal, weight)| (draw(bucket, ordinal, weight), ordinal));
        draws.min().map(|(_, ordinal)| ordinal)
    };
    (0..)
        .zip(&table.buckets)
        .map(|(bucket, &ordinal)| match dead.contains(&ordinal) {
            true => stand_in(bucket).unwrap_or(ordinal),
            false => ordinal,
        })
        .collect()
}

/// The least of as many draws as the weight: who draws more often wins as much more often.
fn draw(bucket: u32, ordinal: Ordinal, weight: u8) -> u64 {
    let one = |turn: u8| {
        // No key: the draw is no secret, and both VPCs must come to the same.
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        hasher.write(&bucket.to_be_bytes());
        hasher.write(&ordinal.0.to_be_bytes());
        hasher.write(&[turn]);
        hasher.finish()
    };
    (0..weight).map(one).min().unwrap_or(u64::MAX)
}
