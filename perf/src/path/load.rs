//! The configuration of the worker, and its packets: plaintext to seal, or packets sealed with new sequence numbers to open.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use causeway_esp::{
    Cipher, Encapsulation, Ends, InboundConfig, InboundSa, Key, OutboundConfig, OutboundSa, Outer,
    Sequence, Spi,
};
use causeway_gateway::{Tunnel, WorkerConfig};
use causeway_routes::{Route, Snapshot};
use ipnet::{IpNet, Ipv4Net};

use super::points::{Order, Point};
use super::ring::Frame;
use crate::engine::figures::Direction;

/// Header lengths in bytes.
pub const ETHERNET: usize = 14;
const IPV4: usize = 20;
const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 1, 101];
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 101);
const MTU: usize = 1500;
/// The default replay window, in packets.
const WINDOW: u32 = 4096;
const TTL: u8 = 64;

/// The address of a tunnel's peer gateway.
pub fn peer(tunnel: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(172, 16, 0, 1).to_bits() + tunnel as u32)
}

/// The first address of a tunnel's /24 prefix.
fn far(tunnel: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(11, 0, 0, 0).to_bits() + ((tunnel as u32) << 8))
}

fn key(cipher: Cipher, tunnel: usize) -> Result<Key> {
    let mut material = vec![0x5a; cipher.key_len()];
    material[..4].copy_from_slice(&(tunnel as u32).to_be_bytes());
    Ok(Key::new(cipher, &material)?)
}

fn spi(tunnel: usize) -> Result<Spi> {
    Spi::new(0x1000 + tunnel as u32).context("SPI 0 is reserved")
}

/// The outbound SA of a tunnel, at either end.
fn outbound(
    cipher: Cipher,
    tunnel: usize,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> Result<OutboundSa> {
    let ends = Ends::V4 {
        source,
        destination,
    };
    let outer = Outer::new(ends, Encapsulation::Udp { source_port: 4500 }, 64);
    let mut sequence = Sequence::new(1);
    sequence.reserve_until(u64::MAX);
    let config = OutboundConfig::new(spi(tunnel)?, key(cipher, tunnel)?, outer, sequence);
    Ok(OutboundSa::new(config))
}

/// The inbound SA that matches [`outbound`].
pub fn inbound(cipher: Cipher, tunnel: usize) -> Result<InboundSa> {
    let config = InboundConfig::new(spi(tunnel)?, key(cipher, tunnel)?, WINDOW);
    Ok(InboundSa::new(config)?)
}

/// The configuration of a worker whose packets all go to one router.
pub fn config(point: Point) -> Result<WorkerConfig> {
    let net = |address, length| Ok::<_, anyhow::Error>(IpNet::V4(Ipv4Net::new(address, length)?));
    let tunnels = (0..point.sas).map(|tunnel| {
        let peer = peer(tunnel);
        Ok(Tunnel {
            peer: peer.into(),
            peer_prefixes: vec![net(far(tunnel), 24)?],
            clamp_mss: true,
            path_mtu_age: Duration::from_secs(600),
            dummy_interval: None,
            demuxes: None,
            outbound: outbound(point.cipher, tunnel, GATEWAY, peer)?.into(),
            inbound: inbound(point.cipher, tunnel)?.into(),
        })
    });
    let router = [10, 1, 0, 1].into();
    let route = Route {
        prefix: net([0, 0, 0, 0].into(), 0)?,
        gateway: Some(router),
        metric: 0,
    };
    Ok(WorkerConfig {
        mac: GATEWAY_MAC,
        address: GATEWAY.into(),
        nic_addresses: vec![GATEWAY.into()],
        mtu: MTU,
        own_prefixes: vec![net([10, 1, 0, 0].into(), 16)?],
        tunnels: tunnels.collect::<Result<_>>()?,
        routes: Snapshot::new([route], [(router, ROUTER_MAC)]).into(),
        burst: point.batch,
        hold_packets: 64,
        spin: true,
    })
}

/// Generates packets without end.
pub struct Load {
    point: Point,
    count: usize,
    /// The peers' outbound SAs by tunnel; empty if packets arrive in plaintext.
    sas: Vec<OutboundSa>,
    inner: Vec<u8>,
}

impl Load {
    pub fn new(point: Point) -> Result<Load> {
        let sas = match point.direction {
            Direction::Seal => 0,
            Direction::Open => point.sas,
        };
        let sas = (0..sas).map(|tunnel| outbound(point.cipher, tunnel, peer(tunnel), GATEWAY));
        Ok(Load {
            point,
            count: 0,
            sas: sas.collect::<Result<_>>()?,
            inner: vec![0xee; 2048],
        })
    }

    /// Writes the next packet into `frame`. Returns the inner packet and its tunnel.
    pub fn fill<'a>(&'a mut self, frame: &'a mut Frame) -> Result<(&'a [u8], usize)> {
        let Point {
            order,
            batch,
            flows,
            ..
        } = self.point;
        let n = self.count;
        self.count += 1;
        let tunnel = match order {
            Order::Bursts => n / batch,
            Order::Turns => n,
        } % self.point.sas;
        let len = self.point.workload.len(n);
        frame.room[..6].copy_from_slice(&GATEWAY_MAC);
        frame.room[6..12].copy_from_slice(&ROUTER_MAC);
        frame.room[12..ETHERNET].copy_from_slice(&[8, 0]);
        let (near, far) = flow(n % flows, tunnel);
        let packet = &mut frame.room[ETHERNET..];
        match self.point.direction {
            Direction::Seal => {
                write(packet, near, far, n, len);
                frame.len = (ETHERNET + len) as u32;
                Ok((&frame.room[ETHERNET..][..len], tunnel))
            }
            Direction::Open => {
                write(&mut self.inner, far, near, n, len);
                let sealed = self.sas[tunnel].seal(&mut self.inner, len, packet)?;
                frame.len = (ETHERNET + sealed) as u32;
                Ok((&self.inner[..len], tunnel))
            }
        }
    }
}

/// A host and its port.
type End = (Ipv4Addr, u16);

/// The endpoints of a flow: one on this side, one in the tunnel's prefix.
fn flow(flow: usize, tunnel: usize) -> (End, End) {
    let (host, rest) = (flow % 254, flow / 254);
    let (net, port) = (rest % 254, rest / 254);
    let near = Ipv4Addr::new(10, 1, 1 + net as u8, 1 + host as u8);
    let far = far(tunnel).to_bits() + 1 + host as u32;
    ((near, 1024 + port as u16), (Ipv4Addr::from_bits(far), 443))
}

/// Writes the IPv4 and UDP headers. The rest of the packet is the payload.
fn write(packet: &mut [u8], source: End, destination: End, n: usize, len: usize) {
    packet[..4].copy_from_slice(&[0x45, 0, (len >> 8) as u8, len as u8]);
    packet[4..6].copy_from_slice(&(n as u16).to_be_bytes());
    packet[6..12].copy_from_slice(&[0x40, 0, TTL, 17, 0, 0]);
    packet[12..16].copy_from_slice(&source.0.octets());
    packet[16..20].copy_from_slice(&destination.0.octets());
    packet[20..22].copy_from_slice(&source.1.to_be_bytes());
    packet[22..24].copy_from_slice(&destination.1.to_be_bytes());
    packet[24..26].copy_from_slice(&((len - IPV4) as u16).to_be_bytes());
    packet[26..28].fill(0);
    checksum(packet);
}

fn checksum(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let words = packet[..IPV4].chunks_exact(2);
    let sum: u32 = words.map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!sum as u16).to_be_bytes());
}

/// Changes a plaintext packet as the sealing gateway does: its TTL decreases by one.
pub fn forwarded(packet: &mut [u8]) {
    packet[8] -= 1;
    checksum(packet);
}

/// The lower 16 bits of the number that [`Load::fill`] gave a packet.
pub fn number(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[4], packet[5]])
}
