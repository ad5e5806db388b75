//! The inner IP packet that carries a peer message from demux to demux: UDP, [`PORT`] at both ends.

use std::net::IpAddr;

use causeway_gateway::checksum::checksum;
use causeway_steering::headers::{IPV4, IPV6, UDP, protocol};

use super::{LONGEST, PORT};

/// Each worker and each router on the path decrements it.
const TTL: u8 = 64;
/// "Don't fragment". The packet fits every tunnel, and RFC 6864 section 4.1 then requires no identification.
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

/// Why a packet cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    #[error(
        "{from} and {to} are of different families: set `peering.demux` to an address of a family that this demux has"
    )]
    Families { from: IpAddr, to: IpAddr },
    #[error("a message of {got} octets is longer than {LONGEST}")]
    TooLong { got: usize },
}

/// The addresses and the payload of a parsed packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub from: IpAddr,
    pub to: IpAddr,
    /// The encoded peer message with its tag.
    pub payload: &'a [u8],
}

/// Builds the IP packet that carries `payload` from demux to demux, with both checksums.
///
/// # Errors
/// [`PacketError`].
pub fn build_packet(from: IpAddr, to: IpAddr, payload: &[u8]) -> Result<Vec<u8>, PacketError> {
    if payload.len() > LONGEST {
        return Err(PacketError::TooLong { got: payload.len() });
    }
    let datagram = UDP + payload.len();
    let length = (datagram as u16).to_be_bytes();
    let (mut packet, addresses) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = ((IPV4 + datagram) as u16).to_be_bytes();
            let mut header = vec![0x45, 0];
            header.extend(total);
            header.extend([0, 0]);
            header.extend(DONT_FRAGMENT);
            header.extend([TTL, protocol::UDP, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = checksum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            (header, 12)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(length);
            header.extend([protocol::UDP, TTL]);
            header.extend(from.octets());
            header.extend(to.octets());
            (header, 8)
        }
        _ => return Err(PacketError::Families { from, to }),
    };
    // RFC 768 and RFC 8200 section 8.1: the checksum includes addresses, length and protocol.
    let mut sum = packet[addresses..].to_vec();
    let header = packet.len();
    for port in [PORT; 2] {
        packet.extend(port.to_be_bytes());
    }
    packet.extend(length);
    packet.extend([0, 0]);
    packet.extend(payload);
    sum.extend(length);
    sum.extend([0, protocol::UDP]);
    sum.extend(&packet[header..]);
    let sum = match checksum(&sum) {
        // Zero would mean that the packet has no checksum.
        0 => 0xffff,
        sum => sum,
    };
    packet[header + 6..header + UDP].copy_from_slice(&sum.to_be_bytes());
    Ok(packet)
}

/// Parses a packet that arrived through a tunnel. `None` if it carries no peer message: not UDP, other ports, truncated, or
/// a fragment. The checksums are not verified: the tunnel's ICV and the message's tag are stronger.
pub fn parse_packet(packet: &[u8]) -> Option<Packet<'_>> {
    let (from, to, datagram): (IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let header: &[u8; IPV4] = packet.first_chunk()?;
            let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
            if header[0] != 0x45 || header[9] != protocol::UDP || fragment != 0 {
                return None;
            }
            let (head, to) = header.split_last_chunk::<4>()?;
            let (_, from) = head.split_last_chunk::<4>()?;
            let datagram = packet.get(IPV4..total)?;
            ((*from).into(), (*to).into(), datagram)
        }
        6 => {
            let header: &[u8; IPV6] = packet.first_chunk()?;
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            if header[6] != protocol::UDP {
                return None;
            }
            let (head, to) = header.split_last_chunk::<16>()?;
            let (_, from) = head.split_last_chunk::<16>()?;
            let datagram = packet.get(IPV6..IPV6 + length)?;
            ((*from).into(), (*to).into(), datagram)
        }
        _ => return None,
    };
    let (header, payload) = datagram.split_first_chunk::<UDP>()?;
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let whole = usize::from(field(4)) == datagram.len();
    (field(0) == PORT && field(2) == PORT && whole).then_some(Packet { from, to, payload })
}
