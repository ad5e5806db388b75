//! The frames and the packets in them.

use std::fmt;

use anyhow::{Result, ensure};

/// Frames of a ring unless asked otherwise: 32 MiB, and 1 MiB of cache lines touched even by
/// packets of 64 bytes.
pub const FRAMES: usize = 8192;
/// Bytes of a frame.
pub const FRAME_LEN: usize = 4096;
/// Where a packet starts in its frame: behind the headroom of XDP and the Ethernet header.
pub const PACKET_AT: usize = 256 + 14;

const IMIX: [usize; 12] = [64, 576, 64, 64, 576, 64, 1408, 64, 576, 64, 64, 576];

/// Which inner packets are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// All of one size in bytes, IP header included.
    Size(usize),
    /// 7 of 64 bytes, 4 of 576 and 1 of 1408 in turn: 347 bytes on average.
    Imix,
}

impl Workload {
    /// Everything that is measured.
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

    /// Length of the n-th packet in bytes.
    pub fn len(self, n: usize) -> usize {
        match self {
            Workload::Size(len) => len,
            Workload::Imix => IMIX[n % IMIX.len()],
        }
    }

    /// Inner bytes of a packet on average.
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

/// Three rings of frames: plaintext, sealed, opened again.
pub struct Frames {
    pub plain: Ring,
    pub sealed: Ring,
    pub opened: Ring,
}

impl Frames {
    /// Rings of `count` frames without packets, all of their memory touched.
    pub fn new(count: usize) -> Frames {
        Frames {
            plain: Ring::new(count),
            sealed: Ring::new(count),
            opened: Ring::new(count),
        }
    }

    /// Frames of a ring.
    pub fn count(&self) -> usize {
        self.plain.lens.len()
    }

    /// Writes the packets of a workload.
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

    /// Asks whether what was opened is what was sealed.
    pub fn check(&mut self) -> Result<()> {
        for n in 0..self.count() {
            let len = self.plain.lens[n];
            ensure!(
                self.opened.lens[n] >= len
                    && self.opened.packet(n)[..len] == self.plain.packet(n)[..len],
                "packet {n} did not come back as it was"
            );
        }
        Ok(())
    }
}

/// A ring of frames with the length of the packet in each.
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

    /// The frame from where its packet starts to its end.
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
