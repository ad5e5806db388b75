//! Packets of a pcap or pcapng file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use thiserror::Error;

use causeway_api::packet::{MAX_FRAME, Packet};

/// The buffer's first size, and the largest block that is read.
const BUFFER: usize = 1 << 18;
const MAX_BLOCK: usize = 1 << 26;
/// Link types of IP packets without a link header: LINKTYPE_RAW (two values), LINKTYPE_IPV4 and LINKTYPE_IPV6.
const RAW_IP: [i32; 4] = [12, 101, 228, 229];

#[derive(Debug, Error)]
pub enum CaptureError {
    #[error("cannot read {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is neither a pcap nor a pcapng file", .0.display())]
    NotACapture(PathBuf),
    /// The file is damaged, or another program still writes it.
    #[error("{}: damaged or cut off after packet {after}", path.display())]
    Damaged {
        path: PathBuf,
        /// The last complete packet.
        after: usize,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedPacket {
    /// Counted from 1, as tcpdump and Wireshark do.
    pub number: usize,
    /// The packet, or the reason why it cannot be explained.
    pub packet: Result<Packet, String>,
    /// Octets in the file. The rest of the packet is read as zeros.
    pub captured: usize,
    /// Octets on the wire.
    pub length: usize,
}

/// A capture file, read packet by packet.
pub struct Capture {
    path: PathBuf,
    reader: Box<dyn PcapReaderIterator + Send>,
    /// The link type of each interface of the current section.
    links: Vec<Linktype>,
    number: usize,
    capacity: usize,
}

impl Capture {
    /// # Errors
    /// The file cannot be read, or is not a capture file.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|error| CaptureError::Io {
            path: path.to_owned(),
            error,
        })?;
        Self::read(path, file)
    }

    /// Reads from `source`; errors name it `path`.
    ///
    /// # Errors
    /// The source is not a capture file.
    pub fn read(path: &Path, source: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let reader = create_reader(BUFFER, source);
        Ok(Self {
            path: path.to_owned(),
            reader: reader.map_err(|_| CaptureError::NotACapture(path.to_owned()))?,
            links: Vec::new(),
            number: 0,
            capacity: BUFFER,
        })
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    /// The file is damaged here. The rest of it cannot be read.
    pub fn packet(&mut self) -> Result<Option<CapturedPacket>, CaptureError> {
        loop {
            let refill = match self.reader.next() {
                Ok((offset, block)) => {
                    let packet = packet_of(&block, &mut self.links, self.number + 1);
                    drop(block);
                    self.reader.consume(offset);
                    match packet {
                        Some(packet) => {
                            self.number = packet.number;
                            return Ok(Some(packet));
                        }
                        None => continue,
                    }
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) => true,
                Err(PcapError::BufferTooSmall) => {
                    self.capacity *= 2;
                    self.capacity <= MAX_BLOCK && self.reader.grow(self.capacity)
                }
                Err(_) => false,
            };
            let refilled = refill && self.reader.refill().is_ok();
            if !refilled {
                return Err(CaptureError::Damaged {
                    path: self.path.clone(),
                    after: self.number,
                });
            }
        }
    }
}

fn packet_of(
    block: &PcapBlockOwned<'_>,
    links: &mut Vec<Linktype>,
    number: usize,
) -> Option<CapturedPacket> {
    let (link, data, length) = match block {
        PcapBlockOwned::LegacyHeader(header) => {
            links.push(header.network);
            return None;
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            links.clear();
            return None;
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            links.push(interface.linktype);
            return None;
        }
        PcapBlockOwned::Legacy(block) => (0, block.data, block.origlen),
        PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
            (block.if_id as usize, block.packet_data(), block.orig_len())
        }
        PcapBlockOwned::NG(Block::SimplePacket(block)) => {
            (0, block.packet_data(), block.orig_len())
        }
        PcapBlockOwned::NG(_) => return None,
    };
    let length = data.len().max(length as usize);
    let padded = || {
        let mut octets = data.to_vec();
        octets.resize(length, 0);
        octets
    };
    let packet = match links.get(link).map(|link| link.0 & 0xffff) {
        _ if length > MAX_FRAME => Err(format!(
            "{length} octets: no frame that reaches an XDP program is longer than {MAX_FRAME}; GRO \
             merged packets, or TSO had not split this one yet"
        )),
        Some(1) => Ok(Packet::Frame(padded())),
        Some(raw) if RAW_IP.contains(&raw) => Ok(Packet::Ip(padded())),
        Some(link) => Err(format!(
            "link type {link}, expected Ethernet (1) or raw IP (101)"
        )),
        None => Err(format!("its interface {link} is not described in the file")),
    };
    Some(CapturedPacket {
        number,
        packet,
        captured: data.len(),
        length,
    })
}
