//! The query of `causeway explain`, a packet, and the trace of its path.

mod text;

use std::net::IpAddr;

use causeway_rescale::Table;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::packet::Packet;
use crate::status::{self, PeerTable};
pub use text::{PROTOCOLS, protocol_name};

/// A packet to explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Query {
    /// The packet.
    pub packet: Packet,
    /// The receive queue of the packet.
    pub queue: u32,
    /// Whether to explain the verdict of the peer's demux, with the same table.
    pub at_peer: bool,
}

/// The verdict for a packet, and the steps to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Trace {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The verdict of the XDP program.
    pub end: End,
    /// The metric that counts this verdict.
    pub counter: String,
}

/// One step: a parsed header or a lookup. Its name is in `step`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "step",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Step {
    /// The Ethernet header.
    Ethernet {
        /// The length of the frame.
        octets: usize,
        /// The destination MAC address.
        destination: String,
        /// The MAC address of the NIC.
        nic: String,
        /// The VLANs of the tags, the outermost first.
        vlans: Vec<u16>,
        /// The EtherType behind the tags.
        ethertype: u16,
    },
    /// The IP header, with the extension headers of IPv6.
    Ip {
        /// The IP version, 4 or 6.
        version: u8,
        /// The source address.
        source: IpAddr,
        /// The destination address.
        destination: IpAddr,
        /// The protocol of the payload.
        protocol: u8,
        /// The length of all headers, in octets.
        header_octets: usize,
        /// The length of the packet, in octets.
        octets: usize,
        /// Whether the packet is a fragment.
        fragment: bool,
    },
    /// The lookup of the destination by the longest prefix.
    Destination {
        /// The destination address.
        address: IpAddr,
        /// Whether the address belongs to the NIC.
        own: bool,
        /// The name of the peering.
        peering: Option<String>,
        /// The matching prefix of the peering.
        #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
        prefix: Option<IpNet>,
    },
    /// ESP for this host.
    Esp {
        /// The SPI.
        spi: u32,
        /// Whether ESP is encapsulated in UDP.
        in_udp: bool,
        /// The number of the worker with this SA.
        worker: Option<u32>,
    },
    /// The flow of the packet. Both directions have the same two ends, in ascending order.
    Flow {
        /// The lower end.
        low: FlowEnd,
        /// The higher end.
        high: FlowEnd,
        /// The protocol number.
        protocol: u8,
        /// Whether the flow is the one of the packet in an ICMP error.
        quoted: bool,
    },
    /// The hash and the bucket of the flow.
    Bucket {
        /// The keyed hash, in hex digits.
        hash: String,
        /// The number of the bucket.
        bucket: u32,
        /// The number of all buckets.
        buckets: u32,
    },
    /// The entry of the bucket in the table of the peering.
    Entry {
        /// The state of the table.
        table: Option<TableState>,
        /// The gateway of the bucket.
        gateway: Option<String>,
        /// The move of the bucket, if one is in progress.
        moves: Option<BucketMove>,
    },
    /// The gateway of the packet.
    Gateway {
        /// The name of the gateway.
        gateway: String,
        /// The place of the gateway.
        place: Place,
    },
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct FlowEnd {
    /// The address.
    pub address: IpAddr,
    /// The port; for an ICMP echo its identifier; 0 if the protocol has neither.
    pub port: u16,
}

/// The move of a bucket to another gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct BucketMove {
    /// The new gateway.
    pub to: String,
    /// The time since the last packet of the bucket, in nanoseconds.
    pub quiet_ns: u64,
    /// The idle time after which the bucket moves, in nanoseconds.
    pub pause_ns: u64,
    /// Whether this packet moves the bucket.
    pub now: bool,
}

/// The place of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Place {
    /// Workers of this host.
    Local {
        /// The number of its first worker.
        first_worker: u16,
        /// The number of its workers.
        workers: u16,
        /// The receive queue of the packet, which selects the worker.
        queue: u32,
    },
    /// Another host of the subnet.
    Remote {
        /// The address of the host.
        address: Option<IpAddr>,
        /// The MAC address of the host; `null` if the tables are those of a configuration.
        mac: Option<String>,
    },
    /// Another host of the subnet, whose MAC address is not known yet.
    Unresolved {
        /// The address of the host.
        address: Option<IpAddr>,
    },
    /// The tables do not have the gateway.
    Absent,
}

/// The verdict for the packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum End {
    /// Left to the kernel (punt).
    Kernel {
        /// The name of the reason.
        reason: String,
        /// The meaning of the reason.
        because: String,
    },
    /// Dropped.
    Dropped {
        /// The name of the reason.
        reason: String,
        /// The meaning of the reason.
        because: String,
    },
    /// Redirected to a worker that opens it.
    Opened {
        /// The number of the worker on the host.
        worker: u32,
    },
    /// Redirected to a worker of a local gateway, which seals it.
    Sealed {
        /// The number of the worker on the host.
        worker: u32,
        /// The gateway of the worker.
        gateway: String,
    },
    /// Redirected to another host.
    Sent {
        /// The gateway on that host.
        gateway: String,
        /// The MAC address of the host; `null` if the tables are those of a configuration.
        mac: Option<String>,
    },
}

/// The state of a peering's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct TableState {
    /// The number of changes of the table.
    pub epoch: u64,
    /// The digest of the table, 16 hex digits.
    pub digest: String,
    /// The epoch after the change in progress.
    pub changing_to: Option<u64>,
    /// The peer's table compared with this one; `null` if the tables are those of a configuration.
    pub peer: Option<PeerTable>,
}

impl From<status::Table> for TableState {
    fn from(table: status::Table) -> Self {
        Self {
            epoch: table.epoch,
            digest: table.digest,
            changing_to: table.changing_to,
            peer: Some(table.peer),
        }
    }
}

impl From<&Table> for TableState {
    fn from(table: &Table) -> Self {
        let id = table.id();
        Self {
            epoch: id.epoch,
            digest: format!("{:016x}", id.digest),
            changing_to: None,
            peer: None,
        }
    }
}
