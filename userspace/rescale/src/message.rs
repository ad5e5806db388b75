//! The messages between a demux, its gateways and the peer's demux. Their encoding and transport are
//! not part of this crate.
//!
//! A demux exchanges messages with the gateways of its VPC over UDP. A message to the peer's demux
//! goes through a gateway pair: a worker seals it like any packet of the peering. So the SA's order
//! puts a [`Marker`] behind every packet that the worker received before.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::buckets::BucketSet;
use crate::change::Ordinal;

/// The UDP port of all these messages, in both directions. Status and metrics use 9464.
pub const PORT: u16 = 9465;
/// Octets of the longest IPv4 packet with such a message: a [`Request::Hold`] of a peering whose name has 63 octets. On a NIC
/// with a smaller MTU the kernel fragments it. Messages between demuxes are shorter than 576 octets, so they fit every tunnel.
pub const LONGEST_PACKET: usize = 664;

/// A request from a demux to a gateway of its VPC. It is resent until the reply arrives, so a gateway
/// may receive it more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToGateway {
    /// Identifies the request in its reply. Unique within the demux's process.
    pub id: u64,
    /// The peering's name in the VPC's configuration.
    pub peering: String,
    pub request: Request,
}

/// A demux's request to a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Send the marker through the tunnel on every worker, behind all packets that reached the gateway
    /// before.
    Mark {
        /// The address of this demux.
        from: IpAddr,
        /// The address of the peer's demux.
        to: IpAddr,
        /// The marker. The gateway fills in `worker` and `workers`.
        marker: Marker,
    },
    /// Send a message to the peer's demux through the tunnel, on any worker.
    SendToPeer {
        /// The address of this demux.
        from: IpAddr,
        /// The address of the peer's demux.
        to: IpAddr,
        message: PeerMessage,
    },
    /// Hold the packets of these buckets until the release or until the time limit. A second hold
    /// with the same id is a resent request and changes nothing.
    Hold {
        buckets: BucketSet,
        limit_ms: u32,
        /// The action on the held packets at the time limit.
        hold_timeout_action: HoldTimeoutAction,
    },
    /// Release the packets of the hold with this id, in order.
    Release {
        /// The id of the hold's request.
        hold: u64,
    },
    /// Drop all further packets from the peer through this tunnel.
    Fence,
    /// Open packets from the peer again.
    Lift,
    /// End all holds and fences of an earlier demux process. A demux sends this at its start.
    Reset,
}

/// The action on held packets when a hold times out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldTimeoutAction {
    /// The packets are dropped, which keeps the order.
    Drop,
    /// The packets are sent, which loses none.
    Send,
}

/// A gateway's reply to a demux.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromGateway {
    /// The id of the request.
    pub id: u64,
    /// A number that differs for each start of the gateway's process.
    pub boot: u64,
    pub reply: Reply,
}

/// The content of a gateway's reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Every worker has sealed the marker, or a worker has sealed the peer message.
    Sealed,
    /// Every worker holds the packets of the buckets.
    Held,
    /// Every worker has released its held packets.
    Released {
        /// Packets that were held in total.
        packets: u64,
        /// Held packets that were dropped, because a hold was full or timed out.
        dropped: u64,
    },
    /// The gateway drops every packet from the tunnel, and all packets opened before have left.
    Fenced,
    /// Packets are opened again.
    Lifted,
    /// All holds and fences have ended.
    ResetDone,
    /// The gateway does not have the peering, or its tunnel cannot send.
    Refused { why: String },
}

/// A message from demux to demux, through a gateway pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// A marker, which the receiver must echo.
    Marker(Marker),
    /// The echo of a marker.
    Echo {
        /// The marker as it was received.
        marker: Marker,
        /// The table of the demux that sends the echo.
        table: TableId,
    },
    /// The request to fence the receiver's gateway of a pair, because the sender's gateway is dead.
    Fence { id: u64, pair: Ordinal },
    /// The answer to `Fence` with the same id.
    Fenced {
        id: u64,
        pair: Ordinal,
        /// The gateway did not confirm the fence in time.
        silent: bool,
    },
    /// The request to lift the fence, because the sender's gateway is back.
    Lift { id: u64, pair: Ordinal },
    /// The answer to `Lift` with the same id.
    Lifted { id: u64, pair: Ordinal },
}

/// A message that goes through a gateway pair behind all earlier packets. Its echo proves that those
/// packets have crossed the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marker {
    /// Unique within the demux's process.
    pub id: u64,
    /// The pair through which the marker goes.
    pub pair: Ordinal,
    /// The index of the worker that sealed this marker.
    pub worker: u16,
    /// The number of workers, each of which seals one marker.
    pub workers: u16,
    /// The sender's table.
    pub table: TableId,
}

/// Identifies the table by which a demux steers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableId {
    /// The number of changes that led to the table.
    pub epoch: u64,
    /// A digest of the table's contents, the same on every host.
    pub digest: u64,
    /// The digest of the table before; the table's own digest at epoch 0.
    pub before: u64,
}
