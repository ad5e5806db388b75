//! Packets of capture files.

use std::io::Cursor;
use std::path::Path;

use causeway::explain::capture::{Capture, CaptureError, CapturedPacket};
use causeway_api::packet::Packet;
use proptest::prelude::*;

type ByteOrder = fn(u32) -> [u8; 4];

/// A pcap file with these packets: link type, then octets and length on the wire.
pub fn pcap(octets_of: ByteOrder, link: u32, packets: &[(&[u8], u32)]) -> Vec<u8> {
    let mut file: Vec<u8> = octets_of(0xa1b2_c3d4).to_vec();
    // The version is two numbers of 16 bits.
    let version = match octets_of(1)[0] {
        0 => [0, 2, 0, 4],
        _ => [2, 0, 4, 0],
    };
    file.extend(version);
    for value in [0, 0, 65535, link] {
        file.extend(octets_of(value));
    }
    for (octets, length) in packets {
        for value in [1, 2, octets.len() as u32, *length] {
            file.extend(octets_of(value));
        }
        file.extend(*octets);
    }
    file
}

/// A pcapng file with an interface of each link type, and packets of them.
fn pcapng(links: &[u16], packets: &[(u32, &[u8])]) -> Vec<u8> {
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = (12 + body.len() as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    }
    let mut file = block(
        0x0a0d_0d0a,
        &[&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat(),
    );
    for link in links {
        let [low, high] = link.to_le_bytes();
        file.extend(block(1, &[low, high, 0, 0, 0, 0, 4, 0]));
    }
    for (interface, octets) in packets {
        let length = octets.len() as u32;
        let header = [*interface, 0, 0, length, length]
            .map(u32::to_le_bytes)
            .concat();
        file.extend(block(6, &[&header[..], octets].concat()));
    }
    file
}

fn read(file: Vec<u8>) -> Result<Vec<CapturedPacket>, CaptureError> {
    let mut capture = Capture::read(Path::new("a.pcap"), Cursor::new(file))?;
    let mut packets = Vec::new();
    while let Some(packet) = capture.packet()? {
        packets.push(packet);
    }
    Ok(packets)
}

#[test]
fn packets_are_read_in_either_byte_order() {
    let packets: [(&[u8], u32); 3] = [(&[1; 60], 60), (&[2; 14], 20), (&[], 0)];
    for order in [u32::to_le_bytes as ByteOrder, u32::to_be_bytes] {
        let read = read(pcap(order, 1, &packets)).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].packet, Ok(Packet::Frame(vec![1; 60])));
        // Octets that the file does not have are read as zeros.
        let cut = [&[2; 14][..], &[0; 6]].concat();
        assert_eq!(read[1].packet, Ok(Packet::Frame(cut)));
        assert_eq!(
            (read[1].number, read[1].captured, read[1].length),
            (2, 14, 20)
        );
        assert_eq!(read[2].packet, Ok(Packet::Frame(Vec::new())));
    }
}

#[test]
fn each_interface_of_a_pcapng_has_its_link_type() {
    let packets: [(u32, &[u8]); 4] = [
        (1, &[0x45; 21]),
        (0, &[1; 14]),
        (2, &[1; 14]),
        (9, &[1; 14]),
    ];
    let read = read(pcapng(&[1, 101, 113], &packets)).unwrap();
    assert_eq!(read[0].packet, Ok(Packet::Ip(vec![0x45; 21])));
    assert_eq!(read[1].packet, Ok(Packet::Frame(vec![1; 14])));
    let refused = |at: usize| read[at].packet.clone().unwrap_err();
    assert!(
        refused(2).contains("link type 113, expected Ethernet"),
        "{}",
        refused(2)
    );
    assert!(refused(3).contains("interface 9"), "{}", refused(3));
}

#[test]
fn a_packet_longer_than_any_frame_is_not_explained() {
    let read = read(pcap(
        u32::to_le_bytes,
        1,
        &[(&[0; 100], 65_000), (&[7; 14], 14)],
    ))
    .unwrap();
    let reason = read[0].packet.clone().unwrap_err();
    assert!(
        reason.contains("65000 octets") && reason.contains("GRO"),
        "{reason}"
    );
    assert_eq!(read[1].packet, Ok(Packet::Frame(vec![7; 14])));
}

/// Larger than the reader's buffer.
#[test]
fn a_large_file_is_read_to_its_end() {
    let frame = [9; 1500];
    let packets: Vec<(&[u8], u32)> = (0..2000).map(|_| (&frame[..], 1500)).collect();
    let read = read(pcap(u32::to_le_bytes, 1, &packets)).unwrap();
    assert_eq!(read.len(), 2000);
    assert!(
        read.iter()
            .all(|packet| packet.packet == Ok(Packet::Frame(frame.to_vec())))
    );
    let block = vec![3; 1 << 20];
    let read = self::read(pcapng(&[1], &[(0, &block), (0, &[4; 14])])).unwrap();
    assert!(read[0].packet.is_err());
    assert_eq!(read[1].packet, Ok(Packet::Frame(vec![4; 14])));
}

#[test]
fn a_damaged_file_is_an_error_with_its_last_complete_packet() {
    let whole = pcap(u32::to_le_bytes, 1, &[(&[1; 60], 60), (&[2; 60], 60)]);
    for cut in [whole.len() - 1, whole.len() - 70] {
        let error = read(whole[..cut].to_vec()).unwrap_err();
        assert!(
            matches!(error, CaptureError::Damaged { after: 1, .. }),
            "{error}"
        );
    }
    for none in [&b""[..], b"no capture", &whole[..20]] {
        let error = read(none.to_vec()).unwrap_err();
        assert!(matches!(error, CaptureError::NotACapture(_)), "{error}");
    }
    let error = Capture::open(Path::new("/no/such.pcap")).err().unwrap();
    assert!(
        error.to_string().contains("cannot read /no/such.pcap"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_file_is_read_without_panic(
        octets in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        change in any::<u8>(),
    ) {
        for mut file in [
            octets.clone(),
            [pcap(u32::to_be_bytes, 1, &[]), octets.clone()].concat(),
            [pcapng(&[1], &[(0, &[1; 30])]), octets.clone()].concat(),
            pcapng(&[1, 101], &[(0, &octets), (1, &octets)]),
        ] {
            if let Some(octet) = file.len().checked_sub(1).and_then(|last| file.get_mut(at.index(last + 1))) {
                *octet = change;
            }
            let _ = read(file);
        }
    }
}
