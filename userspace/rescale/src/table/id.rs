//! The digest of a table.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::member::Member;
use crate::change::Ordinal;
use crate::message::TableId;

/// SipHash-1-3 with a fixed key over the contents that both VPCs share: epoch, pairs, weights and
/// buckets. The algorithm is fixed, because the peer may run another build. The digest detects mistakes,
/// not attacks: markers are authenticated.
pub(super) fn of(epoch: u64, before: u64, members: &[Member], buckets: &[Ordinal]) -> TableId {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(&epoch.to_be_bytes());
    for member in members {
        hasher.write(&member.ordinal.0.to_be_bytes());
        hasher.write(&[member.weight.map_or(0, |weight| weight.get())]);
    }
    for bucket in buckets {
        hasher.write(&bucket.0.to_be_bytes());
    }
    let digest = hasher.finish();
    TableId {
        epoch,
        digest,
        before: if epoch == 0 { digest } else { before },
    }
}
