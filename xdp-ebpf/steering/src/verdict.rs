//! The verdict on a packet: one pure function of the packet and the tables.

use crate::address::Address;
use crate::bytes::Bytes;
use crate::flow::FlowKey;
use crate::headers::{
    self, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Headers, Malformed,
};
use crate::inbound::Inbound;
use crate::maps::{Destination, Gateway, Host};
use crate::reason::{DropReason, PuntReason};

/// The tables on which the verdict depends.
pub trait Tables {
    /// The host's own parameters; `None` before the tables are filled.
    fn host(&self) -> Option<Host>;
    /// The index of the worker that holds the inbound SA with this SPI.
    fn worker_of(&self, spi: u32) -> Option<u32>;
    /// The owner of the longest prefix that covers `address`, a source or a destination.
    fn destination(&self, address: Address) -> Option<Destination>;
    /// The index of the gateway that carries a packet in a bucket of a peering. A moving bucket may
    /// change its gateway at this packet: see [`Bucket::route`](crate::Bucket::route).
    fn gateway_of(&self, peering: u32, bucket: u32, host: &Host) -> Option<u32>;
    /// The entry of the gateway with this index.
    fn gateway(&self, index: u32) -> Option<Gateway>;
    /// The receive queue on which the packet arrived.
    fn queue(&self) -> u32;
}

/// The destination that the XDP program chooses for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The packet goes to the kernel's network stack.
    Punt(PuntReason),
    /// The packet is dropped.
    Drop(DropReason),
    /// The packet is ESP and goes to the worker that holds its SA.
    Open {
        /// The worker's index on this host.
        worker: u32,
    },
    /// The packet is plaintext and goes to a worker of a local gateway.
    Local {
        /// The gateway's index on this host.
        gateway: u32,
        /// The worker's index on this host.
        worker: u32,
    },
    /// The packet is plaintext and goes to a gateway on another host of the subnet.
    Remote {
        /// The gateway's index on this host.
        gateway: u32,
        /// The gateway's MAC address, as words in host order.
        mac: [u16; 3],
    },
}

/// The verdict on `packet`, an Ethernet frame as the NIC received it.
#[inline(always)]
pub fn decide<B: Bytes + ?Sized, T: Tables>(packet: &B, tables: &T) -> Verdict {
    let Some(host) = tables.host() else {
        return Verdict::Punt(PuntReason::NotReady);
    };
    let Some(ethernet) = Ethernet::parse(packet) else {
        return Verdict::Drop(DropReason::EthernetTruncated);
    };
    // A bridge floods frames for MAC addresses that it has not learned yet. Steering such a copy
    // would duplicate the packet.
    if ethernet.destination != host.mac {
        return Verdict::Punt(match ethernet.ethertype {
            ETHERTYPE_ARP => PuntReason::Arp,
            _ => PuntReason::OtherMac,
        });
    }
    // `steer` is inlined once per family, so that the compiler knows the family in each copy.
    match ethernet.ethertype {
        ETHERTYPE_IPV4 => match Headers::ipv4(packet, ethernet.l3) {
            Ok(headers) => steer(packet, &headers, &host, tables),
            Err(Malformed) => Verdict::Drop(DropReason::Ipv4Malformed),
        },
        ETHERTYPE_IPV6 => match Headers::ipv6(packet, ethernet.l3) {
            Ok(headers) if is_on_link(&headers) => Verdict::Punt(PuntReason::LinkScope),
            Ok(headers) => steer(packet, &headers, &host, tables),
            Err(Malformed) => Verdict::Drop(DropReason::Ipv6Malformed),
        },
        ETHERTYPE_ARP => Verdict::Punt(PuntReason::Arp),
        ethertype if headers::is_tag(ethertype) => Verdict::Punt(PuntReason::VlanStack),
        _ => Verdict::Punt(PuntReason::NotIp),
    }
}

/// Whether an IPv6 packet is valid on this link only. Neighbour discovery with other addresses is for this host, which its
/// destination shows, or a packet like any other.
#[inline(always)]
fn is_on_link(headers: &Headers) -> bool {
    let link_local = |address: Address| address.high >> 54 == 0xfe80 >> 6;
    let (source, destination) = (headers.source, headers.destination);
    destination.high >> 56 == 0xff || link_local(destination) || link_local(source)
}

#[inline(always)]
fn steer<B: Bytes + ?Sized, T: Tables>(
    packet: &B,
    headers: &Headers,
    host: &Host,
    tables: &T,
) -> Verdict {
    let peering = match tables.destination(headers.destination) {
        Some(Destination::Own) => return to_host(packet, headers, tables),
        Some(Destination::Peering(peering)) => peering,
        Some(Destination::Gateway) | None => return Verdict::Punt(PuntReason::NoPeering),
    };
    // Before the hash: a sealed packet that is steered again returns to a gateway, which seals it again, without end.
    if is_esp(packet, headers)
        && matches!(
            tables.destination(headers.source),
            Some(Destination::Own | Destination::Gateway)
        )
    {
        return Verdict::Drop(DropReason::OwnEsp);
    }
    let bucket = host.hash.bucket(&FlowKey::of(packet, headers));
    let Some(index) = tables.gateway_of(peering, bucket, host) else {
        return Verdict::Drop(DropReason::NoGateway);
    };
    let Some(gateway) = tables.gateway(index) else {
        return Verdict::Drop(DropReason::NoGateway);
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
        Gateway::UNRESOLVED => Verdict::Drop(DropReason::GatewayUnresolved),
        _ => Verdict::Drop(DropReason::NoGateway),
    }
}

/// Whether a packet is ESP, directly in IP or in UDP, whole or not.
#[inline(always)]
fn is_esp<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> bool {
    matches!(
        Inbound::of(packet, headers),
        Inbound::Esp { .. } | Inbound::EspFragment | Inbound::EspTruncated
    )
}

#[inline(always)]
fn to_host<B: Bytes + ?Sized, T: Tables>(packet: &B, headers: &Headers, tables: &T) -> Verdict {
    match Inbound::of(packet, headers) {
        Inbound::Esp { spi, .. } => match tables.worker_of(spi) {
            Some(worker) => Verdict::Open { worker },
            None => Verdict::Punt(PuntReason::UnknownSpi),
        },
        Inbound::EspFragment => Verdict::Drop(DropReason::EspFragment),
        Inbound::EspTruncated => Verdict::Drop(DropReason::EspTruncated),
        Inbound::Keepalive => Verdict::Drop(DropReason::Keepalive),
        Inbound::Ike => Verdict::Punt(PuntReason::Ike),
        Inbound::Other => Verdict::Punt(PuntReason::OwnAddress),
    }
}
