//! The inner IP packet with a word from demux to demux: UDP, [`PORT`] at both ends.

use std::net::IpAddr;

use causeway_gateway::checksum::checksum;
use causeway_steering::headers::{IPV4, IPV6, UDP, protocol};

use super::{LONGEST, PORT};

/// Each worker that carries it takes one off, and so does each router.
const TTL: u8 = 64;
/// "Don't fragment": it fits every tunnel, and RFC 6864 section 4.1 then asks for no identification.
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// An IPv4 and an IPv6 address.
    #[error(
        "{from} and {to} are of different families: `peering.demux` must be of a family that this demux has an address of"
    )]
    Families {
        /// The demux.
        from: IpAddr,
        /// The peer's demux.
        to: IpAddr,
    },
    /// No message is so long.
    #[error("a message of {got} octets is longer than {LONGEST}")]
    TooLong {
        /// Its length.
        got: usize,
    },
}

/// A packet that was taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who says it.
    pub from: IpAddr,
    /// To whom.
    pub to: IpAddr,
    /// The sealed word.
    pub payload: &'a [u8],
}

/// The IP packet that carries `payload` from demux to demux, with both checksums.
///
/// # Errors
/// [`PacketError`].
pub fn to_peer(from: IpAddr, to: IpAddr, payload: &[u8]) -> Result<Vec<u8>, PacketError> {
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
    // RFC 768 and RFC 8200 section 8.1: addresses, length and protocol count too.
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
        // A zero would say that there is none.
        0 => 0xffff,
        sum => sum,
    };
    packet[header + 6..header + UDP].copy_from_slice(&sum.to_be_bytes());
    Ok(packet)
}

/// Takes a packet apart that a tunnel brought. `None` if it is none from demux to demux: not UDP, other
/// ports, cut short, a fragment. Its checksums are not looked at: the tunnel's ICV and the word's
/// tag hold more than they do.
pub fn parse(packet: &[u8]) -> Option<Packet<'_>> {
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
