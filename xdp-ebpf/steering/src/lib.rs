//! Steering: the verdict on each packet, as one implementation for kernel and host.
//!
//! The XDP program, the workers, the tests and the tools share this parser, this hash and this
//! verdict. The crate is `no_std`, allocates nothing and has no state. The verdict reads all tables
//! through [`Tables`]: the kernel program implements it over BPF maps, the host over memory.
//!
//! The modules, in the order in which a packet passes through them:
//!
//! - [`bytes`]: bounds-checked reads.
//! - [`headers`]: Ethernet and IP headers, with [`address`] for both families.
//! - [`inbound`]: classifies a packet for this host as ESP, IKE or other.
//! - [`flow`]: the key of the packet's flow; [`hash`]: the flow's bucket.
//! - [`bucket`]: the bucket's gateway.
//! - [`verdict`]: the decision; [`reason`]: why a packet is dropped or punted.
//! - [`maps`]: the value types of the BPF maps; [`limits`]: the sizes of the tables.

#![warn(missing_docs)]
#![cfg_attr(not(test), no_std)]

pub mod address;
pub mod bucket;
pub mod bytes;
pub mod flow;
pub mod hash;
pub mod headers;
pub mod inbound;
mod ipv6;
pub mod limits;
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
pub use limits::{
    BUCKETS, MAX_ADDRESSES, MAX_GATEWAYS, MAX_PEERINGS, MAX_PREFIXES, MAX_QUEUES, MAX_SAS,
    MAX_WORKERS,
};
pub use reason::{DropReason, PuntReason};
pub use verdict::{Tables, Verdict, decide};
