//! The packets of the load, Ethernet header included.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use causeway_esp::{OutboundSa, TAIL_ROOM};
use etherparse::{EtherType, Ethernet2Header, Ipv4Header, PacketBuilder, UdpHeader};

use super::kernel::{Kernel, LONGEST};
use crate::engine::workload::Workload;

/// Number of distinct plaintext packets: a multiple of IMIX's twelve, each of another flow.
pub const PLAIN: u32 = 252;
const HEADERS: usize = Ipv4Header::MIN_LEN + UdpHeader::LEN;

/// Source and destination of the packets.
#[derive(Clone, Copy)]
pub struct Ends {
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
}

/// Prepares the plaintext packets of a workload.
pub fn put_plain(kernel: &mut Kernel, workload: Workload, ends: Ends) -> Result<()> {
    for n in 0..PLAIN {
        put(kernel, n, ends, &inner(workload, n, ends)?)?;
    }
    Ok(())
}

/// Prepares `count` sealed packets of a workload, each with the next sequence number.
pub fn put_sealed(
    kernel: &mut Kernel,
    workload: Workload,
    ends: Ends,
    sa: &mut OutboundSa,
    count: u32,
) -> Result<()> {
    let mut sealed = [0; LONGEST];
    for n in 0..count {
        let mut plain = inner(workload, n, ends)?;
        let length = plain.len();
        plain.resize(length + TAIL_ROOM, 0);
        let length = sa.seal(&mut plain, length, &mut sealed)?;
        put(kernel, n, ends, &sealed[..length])?;
    }
    Ok(())
}

fn put(kernel: &mut Kernel, n: u32, ends: Ends, packet: &[u8]) -> Result<()> {
    let ethernet = Ethernet2Header {
        source: ends.source_mac,
        destination: ends.destination_mac,
        ether_type: EtherType::IPV4,
    };
    let frame = [&ethernet.to_bytes(), packet].concat();
    ensure!(
        frame.len() <= LONGEST,
        "expected a frame of at most {LONGEST} bytes, got {}",
        frame.len()
    );
    kernel.put(n, &frame)
}

/// Inner packet `n` of a workload.
fn inner(workload: Workload, n: u32, ends: Ends) -> Result<Vec<u8>> {
    let (source, destination) = (ends.source.octets(), ends.destination.octets());
    let port = 1024 + (n % PLAIN) as u16;
    let builder = PacketBuilder::ipv4(source, destination, 64).udp(port, 4789);
    let mut packet = Vec::new();
    let payload = vec![0x5a; workload.len(n as usize) - HEADERS];
    builder.write(&mut packet, &payload)?;
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_packet_has_the_size_of_the_workload_and_the_port_of_its_flow() {
        let ends = Ends {
            source_mac: [2; 6],
            destination_mac: [4; 6],
            source: Ipv4Addr::new(10, 1, 0, 10),
            destination: Ipv4Addr::new(10, 2, 0, 10),
        };
        let packet = inner(Workload::Size(64), 3, ends).unwrap();
        assert_eq!(packet.len(), 64);
        assert_eq!(packet[2..4], 64_u16.to_be_bytes());
        assert_eq!(packet[20..22], 1027_u16.to_be_bytes());
    }
}
