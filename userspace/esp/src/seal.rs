//! Sealing: an inner IP packet in one frame becomes an outer one in another.

use std::fmt;
use std::mem;
use std::time::Duration;

use crate::aead::{Aead, BackendChoice, ICV_LEN, IV_LEN, Way};
use crate::inner::{self, Family, Inner};
use crate::key::Key;
use crate::lifetime::{Expired, Ledger, Lifetime, Stage, Usage};
use crate::outer::{Outer, Template};
use crate::sequence::{Nonce, Sequence, SequenceError};
use crate::spi::Spi;

/// Length of SPI and sequence number (RFC 4303 section 2), in bytes.
pub(crate) const ESP_LEN: usize = 8;
/// Length of pad length and next header, in bytes.
pub(crate) const TRAILER_LEN: usize = 2;
/// Next header of a dummy packet (RFC 4303 section 2.6).
pub(crate) const NEXT_DUMMY: u8 = 59;

/// Room in bytes that [`OutboundSa::seal`] may write to behind the inner packet, or behind what
/// [`Tfc::PadTo`] makes of it: up to 3 bytes of padding, pad length and next header.
pub const TAIL_ROOM: usize = 3 + TRAILER_LEN;

/// What an outbound SA is made of.
#[derive(Debug)]
pub struct OutboundConfig {
    /// The peer's name for the SA.
    pub spi: Spi,
    /// Cipher and key. No other SA may have it.
    pub key: Key,
    /// The outer header.
    pub outer: Outer,
    /// Where its numbers start.
    pub sequence: Sequence,
    /// Whether numbers have 64 bits (RFC 4303 section 2.2.1) or 32. The peer must have the same.
    pub esn: bool,
    /// How lengths are hidden.
    pub tfc: Tfc,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// The AEAD's implementation.
    pub backend: BackendChoice,
}

impl OutboundConfig {
    /// With ESN, lengths as they are, no limit, and the fastest backend.
    pub fn new(spi: Spi, key: Key, outer: Outer, sequence: Sequence) -> OutboundConfig {
        OutboundConfig {
            spi,
            key,
            outer,
            sequence,
            esn: true,
            tfc: Tfc::Off,
            lifetime: Lifetime::default(),
            backend: BackendChoice::Auto,
        }
    }
}

/// Traffic flow confidentiality: whether the lengths of inner packets are hidden (RFC 4303 section
/// 2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tfc {
    /// They show.
    #[default]
    Off,
    /// Shorter packets are filled up with zeros to so many bytes; longer ones stay as they are.
    PadTo(usize),
}

/// A packet that waits for its cipher: it has its number, its headers and its trailer.
pub(crate) struct Prepared {
    nonce: Nonce,
    plaintext_len: usize,
}

/// The sending end of a tunnel-mode SA.
// In this order, so that what a packet takes of it lies together: with many SAs each line is a wait for memory.
#[repr(C)]
pub struct OutboundSa {
    aead: Aead,
    spi: Spi,
    sequence: Sequence,
    /// Bytes to which shorter payloads are filled up; 0 where none are.
    pad_to: usize,
    ledger: Ledger,
    template: Template,
    lifetime: Lifetime,
    tfc: Tfc,
}

impl OutboundSa {
    /// How many of its bytes, from the first on, a packet takes.
    pub const HOT: usize = mem::offset_of!(OutboundSa, lifetime);

    /// An SA that has sent whatever the sequence says it has.
    pub fn new(config: OutboundConfig) -> OutboundSa {
        let sequence = match config.esn {
            true => config.sequence,
            false => config.sequence.without_esn(),
        };
        let mut sa = OutboundSa {
            spi: config.spi,
            aead: Aead::new(&config.key, config.esn, config.backend, Way::Seal),
            sequence,
            template: Template::new(&config.outer),
            pad_to: 0,
            tfc: config.tfc,
            ledger: Ledger::new(&config.lifetime),
            lifetime: config.lifetime,
        };
        sa.bound_padding(usize::MAX);
        sa
    }

    /// Never pads an inner packet to more than `max_inner` bytes, whatever the SA's [`Tfc`] says: the
    /// tunnel carries no more.
    pub fn bound_padding(&mut self, max_inner: usize) {
        self.pad_to = match self.tfc {
            Tfc::Off => 0,
            Tfc::PadTo(len) => len.min(max_inner),
        };
    }

    /// Encrypts the IP packet at the start of `frame` and writes the whole outer packet, from
    /// its IP header on, to the start of `out`. Returns the length of the outer packet.
    ///
    /// `inner_len` is how many bytes of `frame` came from outside; what the inner header does not
    /// count among them (Ethernet padding) is left behind. Up to [`TAIL_ROOM`] bytes behind the
    /// packet, or behind its [`Tfc`] padding, are overwritten. The inner TTL is the caller's to decrement.
    ///
    /// # Errors
    /// [`SealError`]; no sequence number is used up by a packet that is refused.
    // Padding and trailer go behind the packet in the source frame, because the AEAD wants its
    // input in one piece. The other way is to copy the packet first and encrypt it in place.
    // Measured against that, AES-128-GCM built generically, on a busy machine: with frames that
    // stay in the cache 6-7 % faster at 1408 B and even to 5 % faster at 64-512 B; walking through
    // 4 MiB of frames 5-19 % faster at 1408 B, but 7-13 % slower at 256-512 B. With
    // ChaCha20-Poly1305 the difference drowns in the cipher.
    #[inline]
    pub fn seal(
        &mut self,
        frame: &mut [u8],
        inner_len: usize,
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let prepared = self.prepare(frame, inner_len, out)?;
        self.finish(prepared, frame, out)
    }

    /// All of [`OutboundSa::seal`] but the cipher: what is refused is refused here, the number is issued, and
    /// everything but the ciphertext is written.
    // Inlined, as `encapsulate` is: what they return would travel through memory in pieces and be read back across them.
    #[inline(always)]
    pub(crate) fn prepare(
        &mut self,
        frame: &mut [u8],
        inner_len: usize,
        out: &mut [u8],
    ) -> Result<Prepared, SealError> {
        let came = frame.get(..inner_len).ok_or(SealError::NoTailRoom)?;
        let Some(inner) = inner::parse(came) else {
            return Err(SealError::NotIp);
        };
        let Inner { family, tos, .. } = inner;
        if inner.len != inner_len {
            return self.prepare_part(frame, inner.len, family, tos, inner.dont_fragment, out);
        }
        // With the length that came, which equals the one in the header: the CPU gets on with the
        // cipher, and with the next packet, while this one's header is still on its way to the cache.
        self.encapsulate(
            frame,
            inner_len,
            family.next_header(),
            tos,
            inner.dont_fragment,
            out,
        )
    }

    /// Prepares a packet that is shorter than what came. Takes its header's fields one by one: behind
    /// a reference they would have to be in memory on the usual way too.
    #[cold]
    #[inline(never)]
    fn prepare_part(
        &mut self,
        frame: &mut [u8],
        len: usize,
        family: Family,
        tos: u8,
        dont_fragment: bool,
        out: &mut [u8],
    ) -> Result<Prepared, SealError> {
        self.encapsulate(frame, len, family.next_header(), tos, dont_fragment, out)
    }

    /// Makes a dummy packet (RFC 4303 section 2.6), which the peer drops silently. The first
    /// `len` bytes of `frame` are its payload, whatever they are; the rest is as with
    /// [`OutboundSa::seal`].
    ///
    /// # Errors
    /// [`SealError`], as for [`OutboundSa::seal`].
    pub fn seal_dummy(
        &mut self,
        frame: &mut [u8],
        len: usize,
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let prepared = self.encapsulate(frame, len, NEXT_DUMMY, 0, false, out)?;
        self.finish(prepared, frame, out)
    }

    #[inline(always)]
    fn encapsulate(
        &mut self,
        frame: &mut [u8],
        len: usize,
        next_header: u8,
        tos: u8,
        dont_fragment: bool,
        out: &mut [u8],
    ) -> Result<Prepared, SealError> {
        // Everything that can be refused is refused before a number is issued.
        let packet_len = len;
        let len = packet_len.max(self.pad_to);
        let total_len = self.sealed_len(len);
        let outer_len = u16::try_from(total_len).map_err(|_| SealError::TooBig)?;
        let out = out.get_mut(..total_len).ok_or(SealError::OutputTooSmall)?;
        let padding = padding(len);
        let plaintext = frame
            .get_mut(..len + padding + TRAILER_LEN)
            .ok_or(SealError::NoTailRoom)?;
        self.ledger.admit(plaintext.len())?;
        let nonce = self.sequence.issue()?;

        // Zeros, not what the frame held before.
        if packet_len < len {
            plaintext[packet_len..len].fill(0);
        }
        // Each arm is a copy of fixed length: a store or two instead of a call.
        let trailer = &mut plaintext[len..];
        match padding {
            0 => trailer.copy_from_slice(&[0, next_header]),
            1 => trailer.copy_from_slice(&[1, 1, next_header]),
            2 => trailer.copy_from_slice(&[1, 2, 2, next_header]),
            _ => trailer.copy_from_slice(&[1, 2, 3, 3, next_header]),
        }

        self.ledger.add(plaintext.len());
        let number = nonce.number();
        let (header, esp) = out.split_at_mut(self.template.len());
        let esp_header = esp
            .first_chunk_mut::<{ ESP_LEN + IV_LEN }>()
            .ok_or(SealError::OutputTooSmall)?;
        esp_header[..4].copy_from_slice(&self.spi.get().to_be_bytes());
        esp_header[4..8].copy_from_slice(&(number as u32).to_be_bytes());
        esp_header[8..].copy_from_slice(&nonce.iv());
        // Without DF, fragments of two packets must not share an identification; the number's
        // low half repeats as late as 16 bits allow.
        self.template
            .write(header, outer_len, number as u16, tos, dont_fragment);
        Ok(Prepared {
            nonce,
            plaintext_len: plaintext.len(),
        })
    }

    /// Encrypts a packet that this SA has prepared, in the same frames.
    #[inline]
    pub(crate) fn finish(
        &self,
        prepared: Prepared,
        frame: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let Prepared {
            nonce,
            plaintext_len,
        } = prepared;
        let plaintext = frame.get(..plaintext_len).ok_or(SealError::NoTailRoom)?;
        let at = self.template.len() + ESP_LEN + IV_LEN;
        let (ciphertext, rest) = out
            .get_mut(at..)
            .and_then(|sealed| sealed.split_at_mut_checked(plaintext_len))
            .ok_or(SealError::OutputTooSmall)?;
        let icv = rest
            .first_chunk_mut::<ICV_LEN>()
            .ok_or(SealError::OutputTooSmall)?;
        self.aead
            .seal(nonce, self.spi, plaintext, ciphertext, icv)
            .map_err(|_| SealError::TooBig)?;
        Ok(at + plaintext_len + ICV_LEN)
    }

    /// Fetches ahead what every packet takes of the key. The SA itself should be in the cache by then.
    #[inline]
    pub fn fetch(&self) {
        self.aead.fetch();
    }

    /// What sealing adds to an inner packet of this length with its [`Tfc`] padding, in bytes: over
    /// IPv4 54 to 57, in UDP 62 to 65; over IPv6 20 more.
    pub fn overhead(&self, inner_len: usize) -> usize {
        self.sealed_len(inner_len.max(self.pad_to)) - inner_len
    }

    /// Length of the outer packet around a payload.
    #[inline]
    fn sealed_len(&self, payload_len: usize) -> usize {
        let fixed = self.template.len() + ESP_LEN + IV_LEN + TRAILER_LEN + ICV_LEN;
        payload_len.saturating_add(fixed + padding(payload_len))
    }

    /// The longest inner packet whose outer packet fits into `outer_mtu` bytes: the MTU of the
    /// tunnel. For 1500 over IPv4 1446, in UDP 1438; over IPv6 1426 and 1418.
    pub fn max_inner(&self, outer_mtu: usize) -> usize {
        let fixed = self.template.len() + ESP_LEN + IV_LEN + ICV_LEN;
        let padded = outer_mtu.saturating_sub(fixed) & !3;
        padded.saturating_sub(TRAILER_LEN)
    }

    /// The SPI that this SA writes.
    pub fn spi(&self) -> Spi {
        self.spi
    }

    /// The SA's counter.
    pub fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// Allows sequence numbers below `ceiling`; see [`Sequence::reserve_until`].
    pub fn reserve_until(&mut self, ceiling: u64) {
        self.sequence.reserve_until(ceiling);
    }

    /// What this SA has sealed.
    pub fn usage(&self) -> Usage {
        self.ledger.usage()
    }

    /// The limits of this SA.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Where this SA stands in its life at `age` since it was installed. Once it has been told an age
    /// past its hard limit, it seals nothing more.
    pub fn stage(&mut self, age: Duration) -> Stage {
        self.ledger.stage(&self.lifetime, age)
    }

    /// How many packets this SA can still send, reserved or not.
    pub fn sequence_remaining(&self) -> u64 {
        self.sequence.remaining()
    }
}

impl fmt::Debug for OutboundSa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundSa({})", self.spi)
    }
}

/// Bytes of padding that make payload and trailer end on a 4-byte boundary (RFC 4303 section 2.4).
fn padding(len: usize) -> usize {
    len.wrapping_add(TRAILER_LEN).wrapping_neg() & 3
}

/// Why a packet was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The inner packet is not a well-formed, whole IP packet.
    #[error("the inner packet is not a whole IP packet")]
    NotIp,
    /// The outer packet would be longer than 65535 bytes.
    #[error("the outer packet would be longer than 65535 bytes")]
    TooBig,
    /// The frame has no room for padding and trailer behind the inner packet.
    #[error("the frame has no room for padding and trailer behind the inner packet")]
    NoTailRoom,
    /// A hard limit of the SA's [`Lifetime`] is reached.
    #[error("a hard limit of the SA's lifetime is reached: it needs a new key")]
    Expired,
    /// The outer packet does not fit into the output.
    #[error("the outer packet does not fit into the output frame")]
    OutputTooSmall,
    /// The next sequence number is not reserved yet.
    #[error("the next sequence number is not reserved yet")]
    NotReserved,
    /// All sequence numbers of the SA are used (RFC 4303 section 3.3.3).
    #[error("all sequence numbers of the SA are used: it needs a new key")]
    Exhausted,
}

impl From<Expired> for SealError {
    fn from(Expired: Expired) -> SealError {
        SealError::Expired
    }
}

impl From<SequenceError> for SealError {
    fn from(error: SequenceError) -> SealError {
        match error {
            SequenceError::NotReserved => SealError::NotReserved,
            SequenceError::Exhausted => SealError::Exhausted,
        }
    }
}
