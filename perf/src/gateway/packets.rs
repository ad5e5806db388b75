//! The packets that are offered, from their Ethernet header on.

use std::net::Ipv4Addr;

use anyhow::Result;
use causeway_esp::{OutboundSa, TAIL_ROOM};

use super::kernel::{Kernel, LONGEST};
use crate::engine::workload::Workload;

/// Plaintext packets in turn: a multiple of IMIX's twelve, each a flow of its own.
pub const PLAIN: u32 = 252;
const ETHERNET: usize = 14;
const HEADERS: usize = 20 + 8;

/// Where packets come from and go to.
#[derive(Clone, Copy)]
pub struct Ends {
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
}

/// Readies a workload's plaintext packets.
pub fn put_plain(kernel: &mut Kernel, workload: Workload, ends: Ends) -> Result<()> {
    let mut packet = [0x5a; LONGEST];
    ethernet(&mut packet, ends);
    for n in 0..PLAIN {
        let length = inner(&mut packet[ETHERNET..], workload, n, ends);
        kernel.put(n, &packet[..ETHERNET + length])?;
    }
    Ok(())
}

/// Readies `count` sealed packets of a workload, each with the next sequence number.
pub fn put_sealed(
    kernel: &mut Kernel,
    workload: Workload,
    ends: Ends,
    sa: &mut OutboundSa,
    count: u32,
) -> Result<()> {
    let mut plain = [0x5a; LONGEST + TAIL_ROOM];
    let mut packet = [0; LONGEST];
    ethernet(&mut packet, ends);
    for n in 0..count {
        let length = inner(&mut plain, workload, n, ends);
        let length = sa.seal(&mut plain, length, &mut packet[ETHERNET..])?;
        kernel.put(n, &packet[..ETHERNET + length])?;
    }
    Ok(())
}

fn ethernet(room: &mut [u8], ends: Ends) {
    room[..6].copy_from_slice(&ends.destination_mac);
    room[6..12].copy_from_slice(&ends.source_mac);
    room[12..ETHERNET].copy_from_slice(&[0x08, 0]);
}

/// Writes the headers of the n-th inner packet, and tells its length. What they carry stays as it is.
fn inner(room: &mut [u8], workload: Workload, n: u32, ends: Ends) -> usize {
    let length = workload.len(n as usize);
    let port = 1024 + (n % PLAIN) as u16;
    let mut headers = [0; HEADERS];
    headers[..10].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17]);
    headers[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    headers[12..16].copy_from_slice(&ends.source.octets());
    headers[16..20].copy_from_slice(&ends.destination.octets());
    let sum = checksum(&headers[..20]);
    headers[10..12].copy_from_slice(&sum.to_be_bytes());
    headers[20..22].copy_from_slice(&port.to_be_bytes());
    headers[22..24].copy_from_slice(&4789_u16.to_be_bytes());
    headers[24..26].copy_from_slice(&((length - 20) as u16).to_be_bytes());
    room[..HEADERS].copy_from_slice(&headers);
    length
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2);
    let words = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_packet_is_ipv4_with_a_right_checksum() {
        let ends = Ends {
            source_mac: [2; 6],
            destination_mac: [4; 6],
            source: Ipv4Addr::new(10, 1, 0, 10),
            destination: Ipv4Addr::new(10, 2, 0, 10),
        };
        let mut room = [0; 64];
        assert_eq!(inner(&mut room, Workload::Size(64), 3, ends), 64);
        assert_eq!(checksum(&room[..20]), 0);
        assert_eq!(room[20..22], 1027_u16.to_be_bytes());
    }
}
