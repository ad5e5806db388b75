//! Next hops of finished packets, and a cache of the last one.

use std::net::IpAddr;

use causeway_routes::{Lookup, Snapshot};
use causeway_steering::Address;

use crate::ethernet;

/// The route of a finished packet.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) destination: IpAddr,
    pub(crate) hop: Lookup,
    /// The tunnel that the packet was received from, if it was opened.
    pub(crate) opened_from: Option<usize>,
}

impl Route {
    /// The route of a packet that the gateway sends itself, sealed or originated.
    pub(crate) fn own(destination: IpAddr, hop: Lookup) -> Self {
        Self {
            destination,
            hop,
            opened_from: None,
        }
    }
}

/// The last next hop with a known MAC address under the current snapshot, and the range of destinations that share it:
/// one host on the link, or all hosts behind a router.
///
/// The Ethernet header is kept here and read from here where it is written. As a return value it would pass through
/// memory, stored and loaded in pieces of different size.
pub(crate) struct NextHopCache {
    /// The range of destinations as numbers; `first > last` if the cache is empty. An IPv4 address has the number of its
    /// IPv4-mapped IPv6 address, which no range of IPv6 routes contains.
    first: u128,
    last: u128,
    /// One destination in the range.
    destination: Option<Address>,
    pub(crate) header: ethernet::Header,
}

impl NextHopCache {
    pub(crate) fn empty() -> Self {
        Self {
            first: 1,
            last: 0,
            destination: None,
            header: Default::default(),
        }
    }

    /// A destination of the cached next hop.
    pub(crate) fn destination(&self) -> Option<IpAddr> {
        self.destination.map(Into::into)
    }

    /// Makes the cache hold the next hop of `destination`. Returns the next hop if it has no known MAC address.
    #[inline(always)]
    pub(crate) fn lookup(
        &mut self,
        destination: Address,
        routes: &Snapshot,
        mac: [u8; 6],
    ) -> Result<(), Lookup> {
        let number = destination.bits();
        if self.first <= number && number <= self.last {
            return Ok(());
        }
        self.refill(destination, routes, mac)
    }

    #[inline(never)]
    fn refill(
        &mut self,
        destination: Address,
        routes: &Snapshot,
        mac: [u8; 6],
    ) -> Result<(), Lookup> {
        let (first, last, hop) = routes.lookup_range(destination.into());
        let Lookup::Ready(to) = hop else {
            return Err(hop);
        };
        *self = Self {
            first: Address::from(first).bits(),
            last: Address::from(last).bits(),
            destination: Some(destination),
            header: ethernet::header(mac, to, !destination.is_ipv4()),
        };
        Ok(())
    }
}
