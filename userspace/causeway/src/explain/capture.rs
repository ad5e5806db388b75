//! Packets of a pcap or pcapng file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use thiserror::Error;

use super::packet::{LONGEST, Packet};

/// Octets read at a time, and what a block may grow to.
const BUFFER: usize = 1 << 18;
const LONGEST_BLOCK: usize = 1 << 26;
/// IP without a link's header: of either version, and LINKTYPE_IPV4 and LINKTYPE_IPV6.
const RAW: [i32; 4] = [12, 101, 228, 229];

/// Why a file is not read.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// It is something else.
    #[error("{} is neither a pcap nor a pcapng file", .0.display())]
    NoCapture(PathBuf),
    /// It is damaged, or still being written.
    #[error("{}: behind packet {after} it is damaged or cut off", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The last packet that is whole.
        after: usize,
    },
}

/// A packet of a file, from 1 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Its place, as other tools count.
    pub number: usize,
    /// Itself, or why it cannot be explained.
    pub packet: Result<Packet, String>,
    /// How many octets of it the file has; what lies behind is taken as zeros.
    pub captured: usize,
    /// How many it had.
    pub length: usize,
}

/// A file that is read packet by packet.
pub struct Capture {
    path: PathBuf,
    reader: Box<dyn PcapReaderIterator + Send>,
    /// The link type of each interface of the section.
    links: Vec<Linktype>,
    number: usize,
    capacity: usize,
}

impl Capture {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read, or does not begin as a capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|error| CaptureError::Io {
            path: path.to_owned(),
            error,
        })?;
        Self::read(path, file)
    }

    /// Reads what a source has; `path` is its name in errors.
    ///
    /// # Errors
    /// It does not begin as a capture.
    pub fn read(path: &Path, source: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let reader = create_reader(BUFFER, source);
        Ok(Self {
            path: path.to_owned(),
            reader: reader.map_err(|_| CaptureError::NoCapture(path.to_owned()))?,
            links: Vec::new(),
            number: 0,
            capacity: BUFFER,
        })
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    /// The file is damaged here; what comes behind cannot be read either.
    pub fn packet(&mut self) -> Result<Option<Captured>, CaptureError> {
        loop {
            let short = match self.reader.next() {
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
                    self.capacity <= LONGEST_BLOCK && self.reader.grow(self.capacity)
                }
                Err(_) => false,
            };
            let refilled = short && self.reader.refill().is_ok();
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
) -> Option<Captured> {
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
    let whole = || {
        let mut octets = data.to_vec();
        octets.resize(length, 0);
        octets
    };
    let packet = match links.get(link).map(|link| link.0 & 0xffff) {
        _ if length > LONGEST => Err(format!(
            "{length} octets, and no frame that reaches an XDP program is longer than {LONGEST}: \
             the capture has what GRO made of several, or what TSO had not cut yet"
        )),
        Some(1) => Ok(Packet::Frame(whole())),
        Some(raw) if RAW.contains(&raw) => Ok(Packet::Ip(whole())),
        Some(link) => Err(format!(
            "link type {link}, expected Ethernet (1) or raw IP (101)"
        )),
        None => Err(format!(
            "of interface {link}, which the file does not describe"
        )),
    };
    Some(Captured {
        number,
        packet,
        captured: data.len(),
        length,
    })
}
