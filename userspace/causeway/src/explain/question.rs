//! What is asked, and how tables answer it.

use causeway_steering::headers::Ethernet;
use causeway_steering::maps::{Destination, Gateway, Host};
use causeway_steering::{Address, Bucket, Headers, Tables};
use serde::{Deserialize, Serialize};

use super::asked::Look;
use super::names::Names;
use super::packet::Packet;
use super::story::{Story, tell};

/// A packet whose way is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Question {
    /// The packet.
    pub packet: Packet,
    /// The receive queue on which it comes.
    pub queue: u32,
    /// Whether it is asked what the peer's demux does, by the same table.
    pub at_peer: bool,
}

impl Question {
    /// Answers by tables.
    pub fn answer<T: Look>(&self, tables: &T, names: &Names) -> Story {
        let nic = tables.host().unwrap_or_default().mac;
        let [a, b, c] = nic.map(u16::to_be_bytes);
        let frame = self.packet.frame([a[0], a[1], b[0], b[1], c[0], c[1]]);
        let l3 = Ethernet::parse(&frame[..]).map(|ethernet| ethernet.l3);
        match l3.map(|l3| Headers::parse(&frame[..], l3)) {
            Some(Ok(headers)) if self.at_peer => {
                let source = headers.source;
                tell(&frame, &AtPeer { tables, source }, names)
            }
            _ => tell(&frame, tables, names),
        }
    }
}

/// The tables as the peer has them: what comes from one of its prefixes belongs to the peering.
struct AtPeer<'a, T> {
    tables: &'a T,
    source: Address,
}

impl<T: Look> Look for AtPeer<'_, T> {
    fn entry(&self, peering: u32, bucket: u32) -> Option<Bucket> {
        self.tables.entry(peering, bucket)
    }

    fn now(&self) -> u32 {
        self.tables.now()
    }
}

impl<T: Tables> Tables for AtPeer<'_, T> {
    fn host(&self) -> Option<Host> {
        self.tables.host()
    }

    fn worker_of(&self, spi: u32) -> Option<u32> {
        self.tables.worker_of(spi)
    }

    fn destination(&self, _: Address) -> Option<Destination> {
        self.tables.destination(self.source)
    }

    fn gateway_of(&self, peering: u32, bucket: u32, host: &Host) -> Option<u32> {
        self.tables.gateway_of(peering, bucket, host)
    }

    fn gateway(&self, index: u32) -> Option<Gateway> {
        self.tables.gateway(index)
    }

    fn queue(&self) -> u32 {
        self.tables.queue()
    }
}
