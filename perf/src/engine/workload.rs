//! Frames and the packets in them.

use std::fmt;

use anyhow::{Result, ensure};

/// Default number of frames of a ring: 32 MiB. Even packets of 64 bytes touch 1 MiB of cache lines.
pub const FRAMES: usize = 8192;
/// Length of a frame in bytes.
pub const FRAME_LEN: usize = 4096;
/// Offset of the IP packet in its frame: after the headroom of XDP and the Ethernet header.
pub const PACKET_AT: usize = 256 + 14;

const IMIX: [usize; 12] = [64, 576, 64, 64, 576, 64, 1408, 64, 576, 64, 64, 576];

/// The sizes of the inner packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// One size in bytes, IP header included.
    Size(usize),
    /// 7 of 64 bytes, 4 of 576 and 1 of 1408 in turn: 347 bytes on average.
    Imix,
}

impl Workload {
    /// The workloads of `perf engine`.
    pub const ALL: [Workload; 8] = [
        Workload::Size(64),
        Workload::Size(128),
        Workload::Size(256),
        Workload::Size(512),
        Workload::Size(1024),
        Workload::Size(1408),
        Workload::Size(2048),
        Workload::Imix,
    ];

    /// Length of packet `n` in bytes.
    pub fn len(self, n: usize) -> usize {
        match self {
            Workload::Size(len) => len,
            Workload::Imix => IMIX[n % IMIX.len()],
        }
    }

    /// Average length of a packet in bytes.
    pub fn mean_len(self) -> f64 {
        let lens = (0..IMIX.len()).map(|n| self.len(n));
        lens.sum::<usize>() as f64 / IMIX.len() as f64
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Workload::Size(len) => write!(f, "{len}"),
            Workload::Imix => f.write_str("imix"),
        }
    }
}

/// Three rings of frames: plaintext, sealed, and opened again.
pub struct Frames {
    pub plain: Ring,
    pub sealed: Ring,
    pub opened: Ring,
}

impl Frames {
    /// Rings of `count` empty frames. All memory is touched, so that no page fault is measured.
    pub fn new(count: usize) -> Frames {
        Frames {
            plain: Ring::new(count),
            sealed: Ring::new(count),
            opened: Ring::new(count),
        }
    }

    /// Number of frames of a ring.
    pub fn count(&self) -> usize {
        self.plain.lens.len()
    }

    /// Writes the packets of a workload into the plaintext ring.
    pub fn fill(&mut self, workload: Workload) {
        for n in 0..self.count() {
            let len = workload.len(n);
            let packet = self.plain.packet(n);
            packet.fill(n as u8);
            packet[..12].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 63, 17, 0, 0]);
            packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            self.plain.lens[n] = len;
        }
    }

    /// Checks that the opened packets equal the plaintext packets.
    pub fn check(&mut self) -> Result<()> {
        for n in 0..self.count() {
            let len = self.plain.lens[n];
            ensure!(
                self.opened.lens[n] >= len
                    && self.opened.packet(n)[..len] == self.plain.packet(n)[..len],
                "packet {n} differs after sealing and opening"
            );
        }
        Ok(())
    }
}

/// A ring of frames with the packet length of each.
pub struct Ring {
    memory: Vec<u8>,
    pub lens: Vec<usize>,
}

impl Ring {
    fn new(count: usize) -> Ring {
        Ring {
            memory: vec![0xee; count * FRAME_LEN],
            lens: vec![0; count],
        }
    }

    /// Frame `n` from the start of its packet to the end of the frame.
    #[inline]
    pub fn packet(&mut self, n: usize) -> &mut [u8] {
        &mut self.memory[n * FRAME_LEN + PACKET_AT..(n + 1) * FRAME_LEN]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imix_is_seven_to_four_to_one() {
        let count = |len| (0..12).filter(|&n| Workload::Imix.len(n) == len).count();
        assert_eq!((count(64), count(576), count(1408)), (7, 4, 1));
    }
}
