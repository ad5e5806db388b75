//! Reads a capture file and classifies its frames. This is a reader of its own, so that the check does not depend on the
//! heuristics of a dissector.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::frame::{self, Kind};
use super::marker::Marker;
use crate::topology::vpc_of;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const LINKTYPE_ETHERNET: u32 = 1;

/// The frames of a capture by kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Census {
    /// All frames.
    pub frames: u64,
    /// ARP.
    pub arp: u64,
    /// Neighbour discovery and multicast membership reports.
    pub ndp: u64,
    /// Plain ESP.
    pub esp: u64,
    /// ESP in UDP 4500.
    pub esp_in_udp: u64,
    /// Frames that must not be on the trunk.
    pub other: u64,
    /// ESP frames of both encapsulations, by source: VPC 1 and VPC 2.
    pub by_source: [u64; 2],
    /// ESP frames of both encapsulations in IPv6.
    pub over_ipv6: u64,
    /// Occurrences of the pattern in any frame.
    pub markers: u64,
    /// Frames that were captured only in part.
    pub truncated: u64,
    /// The first bytes of up to three frames of `other`, in hexadecimal.
    pub strangers: Vec<String>,
}

/// Counts the frames of a capture file by kind, and the marker in them.
pub fn census(file: &[u8], marker: &Marker) -> Result<Census> {
    const STRANGERS: usize = 3;
    let mut census = Census::default();
    for record in records(file)? {
        let (frame, wire_length) = record?;
        census.frames += 1;
        census.truncated += u64::from(frame.len() < wire_length);
        census.markers += marker.occurrences(frame);
        let source = match frame::kind(frame) {
            Kind::Arp => {
                census.arp += 1;
                continue;
            }
            Kind::Ndp => {
                census.ndp += 1;
                continue;
            }
            Kind::Other => {
                census.other += 1;
                if census.strangers.len() < STRANGERS {
                    let start = &frame[..frame.len().min(64)];
                    census.strangers.push(crate::tool::hex(start));
                }
                continue;
            }
            Kind::Esp(source) => {
                census.esp += 1;
                source
            }
            Kind::EspInUdp(source) => {
                census.esp_in_udp += 1;
                source
            }
        };
        census.over_ipv6 += u64::from(source.is_ipv6());
        if let Some(vpc) = vpc_of(source) {
            census.by_source[usize::from(vpc) - 1] += 1;
        }
    }
    Ok(census)
}

type Record<'a> = (&'a [u8], usize);

/// The frames of a classic pcap file, each with its length on the wire.
fn records(file: &[u8]) -> Result<impl Iterator<Item = Result<Record<'_>>>> {
    let magic: [u8; 4] = *file.first_chunk().context("the capture file is empty")?;
    let integer: fn([u8; 4]) -> u32 = match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => u32::from_le_bytes,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => u32::from_be_bytes,
        other => anyhow::bail!("expected a pcap file, got one that starts with {other:02x?}"),
    };
    let at = move |bytes: &[u8], offset: usize| -> Option<u32> {
        bytes
            .get(offset..)?
            .first_chunk()
            .map(|chunk| integer(*chunk))
    };
    let link = at(file, 20).context("the capture file ends in its header")?;
    ensure!(
        link == LINKTYPE_ETHERNET,
        "expected a capture of Ethernet frames (link type {LINKTYPE_ETHERNET}), got link type {link}"
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

    use super::super::frame::tests::{frame, udp};
    use super::*;
    use crate::options::Family;

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
    fn a_census_finds_markers_in_either_byte_order() {
        let marker = Marker::random().unwrap();
        let frames = [
            frame(Family::Ipv4, 50, 1, &[1; 60]),
            frame(Family::Ipv6, 17, 2, &udp(4500, &[1; 60])),
            frame(Family::Ipv4, 17, 2, &udp(9, &marker.payload(40))),
        ];
        for word in [u32::to_le_bytes, u32::to_be_bytes] {
            let census = census(&file(&frames, word), &marker).unwrap();
            assert_eq!((census.frames, census.esp, census.esp_in_udp), (3, 1, 1));
            assert_eq!((census.other, census.markers), (1, 2));
            assert_eq!((census.by_source, census.truncated), ([1, 1], 0));
            assert_eq!(census.over_ipv6, 1);
            assert_eq!(census.strangers.len(), 1);
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let marker = Marker::random().unwrap();
        let whole = file(&[frame(Family::Ipv4, 50, 1, &[1; 60])], u32::to_le_bytes);
        assert!(census(&whole[..whole.len() - 1], &marker).is_err());
        assert!(census(&whole[..20], &marker).is_err());
        assert!(census(b"not a capture file at all", &marker).is_err());
    }

    proptest! {
        #[test]
        fn an_arbitrary_file_causes_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let marker = Marker::random().unwrap();
            let mut capture = file(&[], u32::to_le_bytes);
            capture.extend(bytes);
            let _ = census(&capture, &marker);
        }
    }
}
