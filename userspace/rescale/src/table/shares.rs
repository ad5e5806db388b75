//! The number of buckets that each weight gets.

use causeway_steering::BUCKETS;

use super::member::Member;
use crate::change::Ordinal;

/// The number of buckets of each member, by the largest-remainder method. `held` is the current number.
/// Of equal remainders, a member with a larger surplus is rounded up first, so that rounding moves no
/// bucket; then the member that joined first.
pub(super) fn targets(members: &[Member], held: &[usize]) -> Vec<usize> {
    let weight = |member: &Member| member.weight.map_or(0, |weight| usize::from(weight.get()));
    let sum: usize = members.iter().map(weight).sum();
    let buckets = BUCKETS as usize;
    // No member has a weight. The caller has already refused such a change.
    if sum == 0 {
        return vec![0; members.len()];
    }
    let whole = |member: &Member| buckets * weight(member) / sum;
    let rest = |member: &Member| buckets * weight(member) % sum;
    let mut targets: Vec<usize> = members.iter().map(whole).collect();
    let left = buckets - targets.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..members.len()).collect();
    // The sort is stable, so equals stay in the order in which they joined.
    order.sort_by_key(|&at| {
        let surplus = held[at].saturating_sub(targets[at]);
        (
            std::cmp::Reverse(rest(&members[at])),
            std::cmp::Reverse(surplus),
        )
    });
    for &at in order.iter().take(left) {
        targets[at] += 1;
    }
    targets
}

/// The first table: each bucket goes to the member that lags most behind its share, so that equal weights
/// alternate.
pub(super) fn deal(members: &[Member]) -> Vec<Ordinal> {
    let mut left = targets(members, &vec![0; members.len()]);
    let whole = left.clone();
    (0..BUCKETS as u64)
        .map(|dealt| {
            // The share due by now minus the buckets dealt so far, in 1/BUCKETS of a bucket.
            let lag = |at: usize| {
                let due = (dealt + 1) * whole[at] as u64;
                due as i64 - ((whole[at] - left[at]) as i64 * i64::from(BUCKETS))
            };
            let most = (0..members.len())
                .filter(|&at| left[at] > 0)
                .max_by_key(|&at| (lag(at), std::cmp::Reverse(at)));
            let at = most.unwrap_or(0);
            left[at] = left[at].saturating_sub(1);
            members[at].ordinal
        })
        .collect()
}
