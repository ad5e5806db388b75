//! Where a packet goes: one pure function over the packet and the tables.

use crate::address::Address;
use crate::bytes::Bytes;
use crate::flow::{self, FlowKey};
use crate::headers::{
    self, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Headers, Malformed,
};
use crate::inbound::Inbound;
use crate::maps::{Destination, Gateway, Host};
use crate::reason::{Drop, Punt};

/// What the verdict depends on besides the packet.
pub trait Tables {
    /// The host's own facts; `None` before the tables are filled.
    fn host(&self) -> Option<Host>;
    /// The worker that holds the inbound SA with this SPI.
    fn worker_of(&self, spi: u32) -> Option<u32>;
    /// What the longest prefix that covers `address` stands for.
    fn destination(&self, address: Address) -> Option<Destination>;
    /// The index of the gateway that carries a packet in a bucket of a peering. A bucket that moves
    /// may go over with this packet: see [`Bucket::route`](crate::Bucket::route).
    fn gateway_of(&self, peering: u32, bucket: u32, host: &Host) -> Option<u32>;
    /// The gateway at an index.
    fn gateway(&self, index: u32) -> Option<Gateway>;
    /// The receive queue on which the packet came.
    fn queue(&self) -> u32;
}

/// The end of a packet's way through the XDP program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the kernel's own stack.
    Punt(Punt),
    /// Nowhere.
    Drop(Drop),
    /// ESP, to the worker that holds its SA.
    Open {
        /// The worker's index on this host.
        worker: u32,
    },
    /// Plaintext, to a worker of a local gateway.
    Local {
        /// The gateway's index on this host.
        gateway: u32,
        /// The worker's index on this host.
        worker: u32,
    },
    /// Plaintext, to another host of the subnet.
    Remote {
        /// The gateway's index on this host.
        gateway: u32,
        /// Its MAC address, as words in host order.
        mac: [u16; 3],
    },
}

/// Decides where `packet`, an Ethernet frame as the NIC received it, goes.
#[inline(always)]
pub fn decide<B: Bytes + ?Sized, T: Tables>(packet: &B, tables: &T) -> Verdict {
    let Some(host) = tables.host() else {
        return Verdict::Punt(Punt::NotReady);
    };
    let Some(ethernet) = Ethernet::parse(packet) else {
        return Verdict::Drop(Drop::EthernetTruncated);
    };
    // A bridge floods frames for MAC addresses that it does not know yet. To steer a copy of
    // one would duplicate it.
    if ethernet.destination != host.mac {
        return Verdict::Punt(match ethernet.ethertype {
            ETHERTYPE_ARP => Punt::Arp,
            _ => Punt::OtherMac,
        });
    }
    // Each family has its own copy of the rest, in which the compiler knows the family.
    match ethernet.ethertype {
        ETHERTYPE_IPV4 => match Headers::ipv4(packet, ethernet.l3) {
            Ok(headers) => steer(packet, &headers, &host, tables),
            Err(Malformed) => Verdict::Drop(Drop::Ipv4Malformed),
        },
        ETHERTYPE_IPV6 => match Headers::ipv6(packet, ethernet.l3) {
            Ok(headers) => match on_link(packet, &headers) {
                Some(reason) => Verdict::Punt(reason),
                None => steer(packet, &headers, &host, tables),
            },
            Err(Malformed) => Verdict::Drop(Drop::Ipv6Malformed),
        },
        ETHERTYPE_ARP => Verdict::Punt(Punt::Arp),
        ethertype if headers::is_tag(ethertype) => Verdict::Punt(Punt::VlanStack),
        _ => Verdict::Punt(Punt::NotIp),
    }
}

/// Why a packet of IPv6 concerns this link alone, if it does.
#[inline(always)]
fn on_link<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Option<Punt> {
    let link_local = |address: Address| address.high >> 54 == 0xfe80 >> 6;
    let (source, destination) = (headers.source, headers.destination);
    if destination.high >> 56 == 0xff || link_local(destination) || link_local(source) {
        return Some(Punt::LinkScope);
    }
    match flow::icmp_type(packet, headers, headers.l3 + headers.total) {
        // Listener queries, reports and done; router and neighbour messages, redirect.
        Some(130..=137 | 143) => Some(Punt::NeighbourDiscovery),
        _ => None,
    }
}

#[inline(always)]
fn steer<B: Bytes + ?Sized, T: Tables>(
    packet: &B,
    headers: &Headers,
    host: &Host,
    tables: &T,
) -> Verdict {
    let peering = match tables.destination(headers.destination) {
        Some(Destination::Own) => return own(packet, headers, tables),
        Some(Destination::Peering(peering)) => peering,
        None => return Verdict::Punt(Punt::NoPeering),
    };
    let bucket = host.hash.bucket(&FlowKey::of(packet, headers));
    let Some(index) = tables.gateway_of(peering, bucket, host) else {
        return Verdict::Drop(Drop::NoGateway);
    };
    let Some(gateway) = tables.gateway(index) else {
        return Verdict::Drop(Drop::NoGateway);
    };
    match gateway.kind {
        Gateway::REMOTE => Verdict::Remote {
            gateway: index,
            mac: gateway.mac,
        },
        Gateway::LOCAL if gateway.workers != 0 => Verdict::Local {
            gateway: index,
            worker: gateway.first_worker as u32 + tables.queue() % gateway.workers as u32,
        },
        Gateway::UNRESOLVED => Verdict::Drop(Drop::GatewayUnresolved),
        _ => Verdict::Drop(Drop::NoGateway),
    }
}

#[inline(always)]
fn own<B: Bytes + ?Sized, T: Tables>(packet: &B, headers: &Headers, tables: &T) -> Verdict {
    match Inbound::of(packet, headers) {
        Inbound::Esp { spi, .. } => match tables.worker_of(spi) {
            Some(worker) => Verdict::Open { worker },
            None => Verdict::Punt(Punt::UnknownSpi),
        },
        Inbound::EspFragment => Verdict::Drop(Drop::EspFragment),
        Inbound::EspTruncated => Verdict::Drop(Drop::EspTruncated),
        Inbound::Keepalive => Verdict::Drop(Drop::Keepalive),
        Inbound::Ike => Verdict::Punt(Punt::Ike),
        Inbound::Other => Verdict::Punt(Punt::OwnAddress),
    }
}
