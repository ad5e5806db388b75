//! Which buckets change hands.

use super::{Member, Move, shares};
use crate::Ordinal;

/// The fewest moves from `buckets` to what the members' weights are worth.
///
/// A member that has too many gives those that it has too many of, spread over its buckets; they
/// are dealt to those that have too few, to whoever lacks most of what it lacked.
pub(super) fn between(buckets: &[Ordinal], members: &[Member]) -> Vec<Move> {
    let place = |ordinal: Ordinal| members.iter().position(|m| m.ordinal == ordinal);
    let mut held = vec![0_usize; members.len()];
    for &ordinal in buckets {
        if let Some(at) = place(ordinal) {
            held[at] += 1;
        }
    }
    let targets = shares::targets(members, &held);
    let mut lack: Vec<usize> = targets
        .iter()
        .zip(&held)
        .map(|(target, held)| target.saturating_sub(*held))
        .collect();
    let wanted = lack.clone();
    // Of a giver's buckets every one is passed with a debt that grows by what it gives of all; it
    // gives when the debt is a whole bucket.
    let mut debt = vec![0_usize; members.len()];
    let mut moves = Vec::new();
    for (bucket, &from) in (0..).zip(buckets) {
        let gives = match place(from) {
            None => true,
            Some(at) => {
                debt[at] += held[at].saturating_sub(targets[at]);
                let gives = debt[at] >= held[at];
                if gives {
                    debt[at] -= held[at];
                }
                gives
            }
        };
        if gives && let Some(at) = neediest(&lack, &wanted) {
            lack[at] -= 1;
            let to = members[at].ordinal;
            moves.push(Move { bucket, from, to });
        }
    }
    moves
}

/// The place with the largest part of its want left; the first of equals.
fn neediest(lack: &[usize], wanted: &[usize]) -> Option<usize> {
    let places = (0..lack.len()).filter(|&at| lack[at] > 0);
    // Fractions compared crosswise.
    places.reduce(
        |best, at| match lack[at] * wanted[best] > lack[best] * wanted[at] {
            true => at,
            false => best,
        },
    )
}
