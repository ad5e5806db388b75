//! What demux, gateways and the peer's demux say to each other. How it is sealed and carried is the
//! binary's business.
//!
//! A demux speaks to the gateways of its own VPC over UDP; to the peer's demux through a gateway
//! pair, whose worker seals the message like any packet of the peering. So a [`Marker`] stands in
//! its SA's order behind every packet that the worker had before it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{BucketSet, Ordinal};

/// The UDP port of all of these messages, both ways. Beside 9464, where status and metrics are served.
pub const PORT: u16 = 9465;
/// Octets of the longest IP packet with one of them in it: what the smallest MTU that a role accepts
/// takes whole (576 inner octets through an IPv4 tunnel).
pub const LONGEST_PACKET: usize = 641;

/// From a demux to a gateway of its VPC. Told again until answered: each may be heard twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToGateway {
    /// Names the request in its answer. Unique within the demux's process.
    pub id: u64,
    /// The peering, by its name in the VPC's configuration.
    pub peering: String,
    /// What is asked.
    pub request: Request,
}

/// What a demux asks of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Send the marker through the tunnel on every worker, each behind all that had reached the
    /// gateway before; each worker's carries its number.
    Mark {
        /// The demux's address.
        from: IpAddr,
        /// The peer's demux.
        to: IpAddr,
        /// The marker; its `worker` and `workers` are the gateway's to fill.
        marker: Marker,
    },
    /// Send a word to the peer's demux through the tunnel, on any worker.
    Carry {
        /// The demux's address.
        from: IpAddr,
        /// The peer's demux.
        to: IpAddr,
        /// The word.
        word: PeerWord,
    },
    /// Keep the packets of these buckets back, until released or until the limit. A second hold of
    /// one id is the first one.
    Hold {
        /// The buckets.
        buckets: BucketSet,
        /// How long at most, in milliseconds.
        limit_ms: u32,
        /// What happens to the packets at the limit.
        at_limit: AtLimit,
    },
    /// Let the packets go, in their order, that the hold with this id keeps.
    Release {
        /// The hold's id.
        hold: u64,
    },
    /// Open nothing more that comes from the peer through this tunnel.
    Fence,
    /// Open again.
    Lift,
    /// Release what a demux that is gone has left behind, holds and fences. Said at a demux's start.
    Reset,
}

/// What happens to held packets whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtLimit {
    /// They are dropped, and so order is kept.
    Drop,
    /// They are sent, and so nothing is lost.
    Send,
}

/// A gateway's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromGateway {
    /// The request's id.
    pub id: u64,
    /// The gateway process's own number, another after each start.
    pub boot: u64,
    /// What it says.
    pub reply: Reply,
}

/// What a gateway answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Every worker has sealed the marker, or the word is sealed; from then on the tunnel has it.
    Sealed,
    /// Every worker keeps the buckets back.
    Held,
    /// The packets are on their way.
    Released {
        /// How many packets it kept, in all.
        packets: u64,
        /// How many were dropped for lack of room or time.
        dropped: u64,
    },
    /// Nothing that its tunnel brings is opened any more, and all that was opened has left.
    Fenced,
    /// Packets are opened again.
    Lifted,
    /// All that was kept is let go.
    ResetDone,
    /// It has no such peering, or its tunnel cannot carry.
    Refused {
        /// Why.
        why: String,
    },
}

/// From demux to demux, through a gateway pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerWord {
    /// It has come through.
    Marker(Marker),
    /// A marker has come through: itself, and the table of the demux that received it.
    Echo {
        /// The marker as it came.
        marker: Marker,
        /// The answering demux's table.
        table: TableId,
    },
    /// Fence your gateway of this pair: mine is dead.
    Fence {
        /// Names the request.
        id: u64,
        /// The pair.
        pair: Ordinal,
    },
    /// It is fenced; or `silent`: it does not answer either, for as long as a fence may take.
    Fenced {
        /// The request's.
        id: u64,
        /// The pair.
        pair: Ordinal,
        /// Whether the gateway did not answer.
        silent: bool,
    },
    /// My gateway of this pair is back: lift the fence.
    Lift {
        /// Names the request.
        id: u64,
        /// The pair.
        pair: Ordinal,
    },
    /// It is lifted.
    Lifted {
        /// The request's.
        id: u64,
        /// The pair.
        pair: Ordinal,
    },
}

/// What passes through a gateway pair to tell that everything before it has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marker {
    /// Unique within the demux's process.
    pub id: u64,
    /// The pair through which it passes.
    pub pair: Ordinal,
    /// The worker that sealed it, from 0.
    pub worker: u16,
    /// How many workers sealed one each.
    pub workers: u16,
    /// The sender's table.
    pub table: TableId,
}

/// Which table a demux steers by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableId {
    /// How many changes it has seen.
    pub epoch: u64,
    /// A digest of what it says, the same on every host.
    pub digest: u64,
    /// The digest of the epoch before; its own at epoch 0.
    pub before: u64,
}
