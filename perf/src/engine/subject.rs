//! The measured passes: ESP or the bare AEAD over all frames.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_esp::{
    Available, BackendChoice, Cipher, Encapsulation, Ends, InboundConfig, InboundSa, Key,
    OpenBurst, OpenError, Opened, OutboundConfig, OutboundSa, Outer, SealBurst, SealError,
    Sequence, Spi, ToOpen, ToSeal, prefetch, prefetch_write,
};

use super::bare::{Bare, ICV_LEN};
use super::figures::Direction;
use super::workload::Frames;
use crate::machine::thread_time;

/// Bytes from the outer IP header to the ESP header, over UDP.
const ESP_AT: usize = 20 + 8;
/// Bytes from the outer IP header to the ciphertext.
const CIPHERTEXT_AT: usize = ESP_AT + 8 + 8;
/// The default replay window, in packets.
const WINDOW: u32 = 4096;

/// A subject of the measurement, in both directions.
pub enum Subject {
    /// The SAs of both ends of a tunnel.
    Esp(Box<OutboundSa>, Box<InboundSa>),
    /// The AEAD alone, over as many bytes as ESP passes to it, at the same places of the frames.
    Bare(Bare),
}

impl Subject {
    pub fn esp(cipher: Cipher, choice: BackendChoice) -> Result<Subject> {
        let spi = Spi::new(4097).context("an SPI")?;
        let key = || Key::new(cipher, &vec![0x5a; cipher.key_len()]);
        let ends = Ends::V4 {
            source: Ipv4Addr::new(10, 1, 0, 101),
            destination: Ipv4Addr::new(10, 2, 0, 101),
        };
        let outer = Outer::new(ends, Encapsulation::Udp { source_port: 4500 }, 64);
        let mut sequence = Sequence::new(1);
        sequence.reserve_until(u64::MAX);
        Ok(Subject::Esp(
            Box::new(OutboundSa::new(OutboundConfig {
                backend: choice,
                ..OutboundConfig::new(spi, key()?, outer, sequence)
            })),
            Box::new(InboundSa::new(InboundConfig {
                backend: choice,
                ..InboundConfig::new(spi, key()?, WINDOW)
            })?),
        ))
    }

    pub fn bare(cipher: Cipher, backend: Available) -> Result<Subject> {
        Ok(Subject::Bare(Bare::new(cipher, backend)?))
    }

    /// Seals every plaintext frame, or opens every sealed frame, and returns the CPU time.
    ///
    /// # Errors
    /// A packet was refused.
    pub fn pass(&mut self, direction: Direction, frames: &mut Frames) -> Result<Duration> {
        let start = thread_time()?;
        let refused = match (self, direction) {
            (Subject::Esp(sa, _), Direction::Seal) => seal_all(sa, frames),
            (Subject::Esp(_, sa), Direction::Open) => open_all(sa, frames),
            (Subject::Bare(key), Direction::Seal) => encrypt_all(key, frames),
            (Subject::Bare(key), Direction::Open) => decrypt_all(key, frames),
        };
        let time = thread_time()?.saturating_sub(start);
        ensure!(refused == 0, "{refused} packets were refused");
        Ok(time)
    }
}

/// All frames as one burst, and the count of refused packets.
struct Pass<'a> {
    frames: &'a mut Frames,
    refused: usize,
}

impl SealBurst for Pass<'_> {
    #[inline]
    fn packet(&mut self, n: usize) -> ToSeal<'_> {
        ToSeal {
            len: self.frames.plain.lens[n],
            frame: self.frames.plain.packet(n),
            out: self.frames.sealed.packet(n),
        }
    }

    #[inline]
    fn sealed(&mut self, n: usize, result: Result<usize, SealError>) {
        match result {
            Ok(len) => self.frames.sealed.lens[n] = len,
            Err(_) => self.refused += 1,
        }
    }
}

impl OpenBurst for Pass<'_> {
    #[inline]
    fn packet(&mut self, n: usize) -> ToOpen<'_> {
        let len = self.frames.sealed.lens[n];
        let sealed = &self.frames.sealed.packet(n)[..len];
        ToOpen {
            esp: &sealed[ESP_AT..],
            outer_tos: sealed[1],
            out: self.frames.opened.packet(n),
        }
    }

    #[inline]
    fn fetch(&mut self, n: usize) {
        if n < self.frames.count() {
            let ToOpen { esp, out, .. } = OpenBurst::packet(self, n);
            prefetch(esp);
            prefetch_write(out);
        }
    }

    #[inline]
    fn opened(&mut self, n: usize, result: Result<Opened, OpenError>) {
        match result {
            Ok(Opened::Packet { len }) => self.frames.opened.lens[n] = len,
            Ok(Opened::Dummy) | Err(_) => self.refused += 1,
        }
    }
}

#[inline(never)]
fn seal_all(sa: &mut OutboundSa, frames: &mut Frames) -> usize {
    let (count, refused) = (frames.count(), 0);
    let mut pass = Pass { frames, refused };
    sa.seal_burst(count, &mut pass);
    pass.refused
}

#[inline(never)]
fn open_all(sa: &mut InboundSa, frames: &mut Frames) -> usize {
    let (count, refused) = (frames.count(), 0);
    let mut pass = Pass { frames, refused };
    sa.open_burst(0..count, &mut pass);
    pass.refused
}

#[inline(never)]
fn encrypt_all(key: &Bare, frames: &mut Frames) -> usize {
    let mut refused = 0;
    for n in 0..frames.count() {
        // Pad length, next header and padding to 4 bytes.
        let len = (frames.plain.lens[n] + 2).next_multiple_of(4);
        let input = &frames.plain.packet(n)[..len];
        let output = &mut frames.sealed.packet(n)[CIPHERTEXT_AT..];
        refused += usize::from(!key.seal(nonce(n), &aad(n), input, output));
        frames.sealed.lens[n] = CIPHERTEXT_AT + len + ICV_LEN;
    }
    refused
}

#[inline(never)]
fn decrypt_all(key: &Bare, frames: &mut Frames) -> usize {
    let mut refused = 0;
    for n in 0..frames.count() {
        let len = frames.sealed.lens[n];
        let input = &frames.sealed.packet(n)[CIPHERTEXT_AT..len];
        let plaintext_len = input.len() - ICV_LEN;
        let output = &mut frames.opened.packet(n)[..plaintext_len];
        refused += usize::from(!key.open(nonce(n), &aad(n), input, output));
        frames.opened.lens[n] = plaintext_len;
    }
    refused
}

fn nonce(n: usize) -> [u8; 12] {
    let mut nonce = [0x5a; 12];
    nonce[4..].copy_from_slice(&n.to_be_bytes());
    nonce
}

fn aad(n: usize) -> [u8; 12] {
    let mut aad = [0; 12];
    aad[4..].copy_from_slice(&n.to_be_bytes());
    aad
}
