//! The answer to a query, from the tables of this host or of the peer.

use causeway_api::explain::{Query, Trace};
use causeway_steering::headers::Ethernet;
use causeway_steering::maps::{Destination, Gateway, Host};
use causeway_steering::{Address, Bucket, Headers, Tables};

use super::names::Names;
use super::recorder::BucketEntries;
use super::trace::trace;

/// Answers a query from `tables`.
pub fn answer<T: BucketEntries>(query: &Query, tables: &T, names: &Names) -> Trace {
    let nic = tables.host().unwrap_or_default().mac;
    let [a, b, c] = nic.map(u16::to_be_bytes);
    let frame = query.packet.frame([a[0], a[1], b[0], b[1], c[0], c[1]]);
    let l3 = Ethernet::parse(&frame[..]).map(|ethernet| ethernet.l3);
    match l3.map(|l3| Headers::parse(&frame[..], l3)) {
        Some(Ok(headers)) if query.at_peer => {
            let source = headers.source;
            trace(&frame, &AtPeer { tables, source }, names)
        }
        _ => trace(&frame, tables, names),
    }
}

/// The tables as the peer has them: the source address, not the destination, selects the peering.
struct AtPeer<'a, T> {
    tables: &'a T,
    source: Address,
}

impl<T: BucketEntries> BucketEntries for AtPeer<'_, T> {
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
