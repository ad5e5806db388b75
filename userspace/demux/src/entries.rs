//! Access to the map of bucket entries.

use aya::maps::{Array, MapData};
use causeway_steering::{BUCKETS, Bucket};

use crate::error::{ProgramError, in_map};

pub(crate) const MAP: &str = "BUCKETS";

/// The map of bucket entries, opened for writing.
pub(crate) type Entries<'a> = Array<&'a mut MapData, u64>;

pub(crate) fn read(
    entries: &Entries<'_>,
    peering: u32,
    bucket: u32,
) -> Result<Bucket, ProgramError> {
    let entry = entries.get(&(peering * BUCKETS + bucket), 0);
    entry.map(Bucket::from).map_err(in_map(MAP))
}

pub(crate) fn write(
    entries: &mut Entries<'_>,
    peering: u32,
    bucket: u32,
    entry: Bucket,
) -> Result<(), ProgramError> {
    entries
        .set(peering * BUCKETS + bucket, u64::from(entry), 0)
        .map_err(in_map(MAP))
}
