//! Where opened packets go on to: the next hop of the last of them, and the Ethernet header towards it.

use std::net::IpAddr;

use causeway_device::Device;
use causeway_routes::Lookup;
use causeway_steering::Address;
use causeway_steering::headers::ETHERNET;

use crate::deliver::ethernet;
use crate::worker::Worker;

/// The last next hop under the snapshot in force, of which only one whose MAC address is known stands here, and the
/// destinations that share it: one host on the link, or all behind a router.
///
/// The header stands here and is asked for where it is written: it would otherwise travel through memory, written and
/// read in different pieces.
pub(crate) struct Onward {
    /// As numbers; with the first beyond the last there are none. An IPv4 address is the number of its IPv4-mapped one, which
    /// no range of IPv6 routes holds.
    first: u128,
    last: u128,
    /// One of them.
    destination: Option<Address>,
    pub(crate) header: [u8; ETHERNET],
}

impl Onward {
    /// Nobody's.
    pub(crate) fn none() -> Self {
        Self {
            first: 1,
            last: 0,
            destination: None,
            header: [0; ETHERNET],
        }
    }

    /// A destination of the last packet's next hop.
    pub(crate) fn destination(&self) -> Option<IpAddr> {
        self.destination.map(Into::into)
    }
}

impl<D: Device> Worker<D> {
    /// Makes `onward` that of `destination`, or gives its next hop if that cannot be.
    #[inline(always)]
    pub(crate) fn go_on(&mut self, destination: Address) -> Result<(), Lookup> {
        let number = destination.bits();
        if self.onward.first <= number && number <= self.onward.last {
            return Ok(());
        }
        self.turn(destination)
    }

    #[inline(never)]
    fn turn(&mut self, destination: Address) -> Result<(), Lookup> {
        let (first, last, hop) = self.routes.lookup_around(destination.into());
        let Lookup::Ready(mac) = hop else {
            return Err(hop);
        };
        self.onward = Onward {
            first: Address::from(first).bits(),
            last: Address::from(last).bits(),
            destination: Some(destination),
            header: ethernet(self.mac, mac, !destination.is_ipv4()),
        };
        Ok(())
    }
}
