//! The sizes of the tables, which the host and the kernel program must agree on.

/// Buckets of a peering's table. A power of two, so that a mask reduces the hash. Many times the
/// gateways of the largest cluster, so that shares stay within 2 % of even.
pub const BUCKETS: u32 = 4096;
/// The most peerings of one host.
pub const MAX_PEERINGS: u32 = 16;
/// The most gateways in one host's tables, local and remote.
pub const MAX_GATEWAYS: u32 = 64;
/// The most workers of one host. The XSKMAP's index is `queue * MAX_WORKERS + worker`.
pub const MAX_WORKERS: u32 = 64;
/// The most receive queues of one NIC.
pub const MAX_QUEUES: u32 = 64;
/// The most inbound SAs of one host.
pub const MAX_SAS: u32 = 65_536;
/// The most prefixes of all peers of one host.
pub const MAX_PREFIXES: u32 = 4096;
/// The most addresses of one NIC.
pub const MAX_ADDRESSES: u32 = 64;
