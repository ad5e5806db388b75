//! Reads what tcpdump wrote and tells what the frames are. The reader is our
//! own, so that the check does not rest on a dissector's guess.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::marker::Marker;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const LINKTYPE_ETHERNET: u32 = 1;
const ETHERNET_HEADER: usize = 14;
/// RFC 3948.
const ESP_IN_UDP_PORT: u16 = 4500;

/// What a frame is, as far as the trunk is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Address resolution between the routers.
    Arp,
    /// IP protocol 50.
    Esp,
    /// UDP to port 4500 with a non-zero SPI.
    EspInUdp,
    /// Anything else, fragments included.
    Other,
}

/// What a capture holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Census {
    /// All frames.
    pub frames: u64,
    /// ARP frames, which the trunk may carry.
    pub arp: u64,
    /// Plain ESP.
    pub esp: u64,
    /// ESP in UDP 4500.
    pub esp_in_udp: u64,
    /// Everything that should not be there.
    pub other: u64,
    /// Frames of ESP, either way, by source VPC: 10.1/16 and 10.2/16.
    pub by_source: [u64; 2],
    /// Occurrences of the marker in any frame.
    pub markers: u64,
    /// Frames that the capture cut short.
    pub truncated: u64,
    /// The start of the first frames in `other`, in hexadecimal.
    pub strangers: Vec<String>,
}

/// Counts the frames of a capture file by kind, and the marker in them.
pub fn census(file: &[u8], marker: &Marker) -> Result<Census> {
    const STRANGERS: usize = 3;
    let mut census = Census::default();
    for record in records(file)? {
        let (frame, wire_length) = record?;
        let kind = kind(frame);
        census.frames += 1;
        census.truncated += u64::from(frame.len() < wire_length);
        census.markers += marker.occurrences(frame);
        match kind {
            Kind::Arp => census.arp += 1,
            Kind::Esp => census.esp += 1,
            Kind::EspInUdp => census.esp_in_udp += 1,
            Kind::Other => {
                census.other += 1;
                if census.strangers.len() < STRANGERS {
                    let start = &frame[..frame.len().min(64)];
                    census.strangers.push(crate::tool::hex(start));
                }
            }
        }
        if matches!(kind, Kind::Esp | Kind::EspInUdp) {
            match frame.get(ETHERNET_HEADER + 12..ETHERNET_HEADER + 14) {
                Some([10, 1]) => census.by_source[0] += 1,
                Some([10, 2]) => census.by_source[1] += 1,
                _ => {}
            }
        }
    }
    Ok(census)
}

/// Tells what a frame is. Too short to tell counts as other.
pub fn kind(frame: &[u8]) -> Kind {
    let Some((ethernet, packet)) = frame.split_at_checked(ETHERNET_HEADER) else {
        return Kind::Other;
    };
    match [ethernet[12], ethernet[13]] {
        [0x08, 0x06] => Kind::Arp,
        [0x08, 0x00] => ipv4_kind(packet).unwrap_or(Kind::Other),
        _ => Kind::Other,
    }
}

fn ipv4_kind(packet: &[u8]) -> Option<Kind> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]);
    let more_or_offset = fragment & 0x3fff;
    if packet[0] >> 4 != 4 || header < 20 || more_or_offset != 0 {
        return None;
    }
    let payload = packet.get(header..)?;
    match packet.get(9)? {
        50 => has_spi(payload).then_some(Kind::Esp),
        17 => {
            let port = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
            (port == ESP_IN_UDP_PORT && has_spi(payload.get(8..)?)).then_some(Kind::EspInUdp)
        }
        _ => None,
    }
}

/// The SPI is never 0 on the wire (RFC 4303 section 2.1); in UDP 4500 four
/// zero octets mean IKE (RFC 3948 section 2.2).
fn has_spi(esp: &[u8]) -> bool {
    esp.first_chunk().is_some_and(|spi| *spi != [0; 4])
}

type Record<'a> = (&'a [u8], usize);

/// The frames of a classic pcap file, each with its length on the wire.
fn records(file: &[u8]) -> Result<impl Iterator<Item = Result<Record<'_>>>> {
    let magic: [u8; 4] = *file.first_chunk().context("the capture file is empty")?;
    let word: fn([u8; 4]) -> u32 = match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => u32::from_le_bytes,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => u32::from_be_bytes,
        other => anyhow::bail!("expected a pcap file, its first bytes are {other:02x?}"),
    };
    let at = move |bytes: &[u8], offset: usize| -> Option<u32> {
        bytes.get(offset..)?.first_chunk().map(|chunk| word(*chunk))
    };
    let link = at(file, 20).context("the capture file ends in its header")?;
    ensure!(
        link == LINKTYPE_ETHERNET,
        "expected a capture of Ethernet frames, got link type {link}"
    );
    let mut rest = &file[FILE_HEADER..];
    Ok(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let lengths = at(rest, 8).zip(at(rest, 12));
        let record = lengths.and_then(|(captured, wire)| {
            let end = RECORD_HEADER.checked_add(captured as usize)?;
            let frame = rest.get(RECORD_HEADER..end)?;
            rest = &rest[end..];
            Some((frame, wire as usize))
        });
        if record.is_none() {
            rest = &[];
        }
        Some(record.context("the capture file ends in the middle of a frame"))
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(protocol: u8, source: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([10, source, 0, 101, 10, 3 - source, 0, 101]);
        frame.extend(payload);
        frame
    }

    fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x11, 0x94];
        datagram.extend(port.to_be_bytes());
        datagram.extend([0; 4]);
        datagram.extend(payload);
        datagram
    }

    fn file(frames: &[Vec<u8>], word: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let mut file = Vec::new();
        for value in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 65535, 1] {
            file.extend(word(value));
        }
        for frame in frames {
            let length = frame.len() as u32;
            for value in [1, 2, length, length] {
                file.extend(word(value));
            }
            file.extend(frame);
        }
        file
    }

    #[test]
    fn frames_are_told_apart() {
        let spi = [0, 0, 0x10, 1, 9, 9];
        assert_eq!(kind(&frame(50, 1, &spi)), Kind::Esp);
        assert_eq!(kind(&frame(17, 1, &udp(4500, &spi))), Kind::EspInUdp);
        assert_eq!(kind(&frame(17, 1, &udp(4500, &[0; 8]))), Kind::Other, "IKE");
        assert_eq!(kind(&frame(17, 1, &udp(4501, &spi))), Kind::Other);
        assert_eq!(kind(&frame(6, 1, &spi)), Kind::Other);
        assert_eq!(kind(&frame(50, 1, &[0; 4])), Kind::Other, "SPI 0");
        let mut fragment = frame(50, 1, &spi);
        fragment[21] = 9;
        assert_eq!(kind(&fragment), Kind::Other);
        let mut arp = vec![0; 42];
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        assert_eq!(kind(&arp), Kind::Arp);
    }

    #[test]
    fn a_census_finds_markers_in_either_byte_order() {
        let marker = Marker::random().unwrap();
        let frames = [
            frame(50, 1, &[1; 60]),
            frame(17, 2, &udp(4500, &[1; 60])),
            frame(17, 2, &udp(9, &marker.payload(40))),
        ];
        for word in [u32::to_le_bytes, u32::to_be_bytes] {
            let census = census(&file(&frames, word), &marker).unwrap();
            assert_eq!((census.frames, census.esp, census.esp_in_udp), (3, 1, 1));
            assert_eq!((census.other, census.markers), (1, 2));
            assert_eq!((census.by_source, census.truncated), ([1, 1], 0));
            assert_eq!(census.strangers.len(), 1);
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let marker = Marker::random().unwrap();
        let whole = file(&[frame(50, 1, &[1; 60])], u32::to_le_bytes);
        assert!(census(&whole[..whole.len() - 1], &marker).is_err());
        assert!(census(&whole[..20], &marker).is_err());
        assert!(census(b"not a capture file at all", &marker).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = kind(&bytes);
            let marker = Marker::random().unwrap();
            let mut capture = file(&[], u32::to_le_bytes);
            capture.extend(bytes);
            let _ = census(&capture, &marker);
        }
    }
}
