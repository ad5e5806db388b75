//! How two tables are told apart.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::Table;
use crate::message::TableId;

/// SipHash-1-3 under a fixed key over what both VPCs have in common: epoch, pairs, weights and buckets.
/// A hash by its name, since the peer may run another build. Against a mishap, not against malice:
/// markers are authenticated.
pub(super) fn of(table: &Table) -> TableId {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(&table.epoch.to_be_bytes());
    for member in &table.members {
        hasher.write(&member.ordinal.0.to_be_bytes());
        hasher.write(&[member.weight.map_or(0, |weight| weight.get())]);
    }
    for bucket in &table.buckets {
        hasher.write(&bucket.0.to_be_bytes());
    }
    let digest = hasher.finish();
    TableId {
        epoch: table.epoch,
        digest,
        before: if table.epoch == 0 {
            digest
        } else {
            table.before
        },
    }
}
