//! The buckets that a change moves.

use super::member::Member;
use super::shares;
use crate::change::Ordinal;

/// A bucket that moves to another pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub bucket: u32,
    pub from: Ordinal,
    pub to: Ordinal,
}

/// The fewest moves from `buckets` to shares that match the members' weights.
///
/// A member with too many buckets gives away the surplus, spread evenly over its buckets. Each of these
/// goes to the member with the largest remaining fraction of its initial deficit.
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
    // Error diffusion: each bucket of a giver adds the giver's surplus to a debt. When the debt reaches
    // the number of the giver's buckets, the current bucket moves.
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

/// The member with the largest remaining fraction of its initial deficit; the first of equals.
fn neediest(lack: &[usize], wanted: &[usize]) -> Option<usize> {
    let places = (0..lack.len()).filter(|&at| lack[at] > 0);
    // Compares the fractions by cross-multiplication.
    places.reduce(
        |best, at| match lack[at] * wanted[best] > lack[best] * wanted[at] {
            true => at,
            false => best,
        },
    )
}
