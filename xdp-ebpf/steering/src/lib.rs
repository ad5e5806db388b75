//! Steering: which way a packet goes, decided once for kernel and host.
//!
//! The XDP program, the workers, the tests and the tools share this parser, this hash and this
//! verdict. It is `no_std`, allocates nothing and has no state of its own: what it knows of the
//! world stands behind [`Tables`], which the kernel program answers from BPF maps and the host
//! from memory.
//!
//! In the order in which a packet meets them: [`bytes`] (bounds-checked reads), [`headers`]
//! (what the packet is, its ends as [`address`]), [`inbound`] (what it carries for this host),
//! [`flow`] (what it belongs to), [`hash`] (its bucket), [`bucket`] (the bucket's gateway),
//! [`verdict`] (where it goes), [`reason`] (by what name it ends), [`maps`] (the tables' types).
#![cfg_attr(not(test), no_std)]

pub mod address;
pub mod bucket;
pub mod bytes;
pub mod flow;
pub mod hash;
pub mod headers;
pub mod inbound;
mod ipv6;
pub mod maps;
pub mod reason;
pub mod verdict;

pub use address::Address;
pub use bucket::Bucket;
pub use bytes::Bytes;
pub use flow::FlowKey;
pub use hash::SteerHash;
pub use headers::{Headers, Malformed};
pub use inbound::Inbound;
pub use reason::{Drop, Punt};
pub use verdict::{Tables, Verdict, decide};

/// Buckets of a peering's table: a power of two, so that a hash is reduced by a mask, and many
/// times the gateways of the largest cluster, so that shares stay within 2 % of even.
pub const BUCKETS: u32 = 4096;
/// Peerings of one host.
pub const MAX_PEERINGS: u32 = 16;
/// Gateways known to one host, local and remote.
pub const MAX_GATEWAYS: u32 = 64;
/// Workers of one host. The XSKMAP's index is `queue * MAX_WORKERS + worker`.
pub const MAX_WORKERS: u32 = 64;
/// Receive queues of one NIC.
pub const MAX_QUEUES: u32 = 64;
/// Inbound SAs of one host.
pub const MAX_SAS: u32 = 65_536;
/// Prefixes of all peers of one host.
pub const MAX_PREFIXES: u32 = 4096;
/// Addresses of one NIC.
pub const MAX_ADDRESSES: u32 = 64;
