//! Opening: an ESP packet in one frame becomes its inner packet in another.

use std::fmt;
use std::mem;
use std::time::Duration;

use crate::aead::{Aead, Authentic, BackendChoice, Direction, InvalidIcv};
use crate::ecn;
use crate::inner::{self, Family};
use crate::key::Key;
use crate::lifetime::{Lifetime, LifetimeState, LifetimeTracker, LimitReached, Usage};
use crate::spi::Spi;
use crate::window::{Candidate, ReplayError, ReplayWindow, WindowError};
use crate::wire::{ESP_LEN, ICV_LEN, IV_LEN, NEXT_DUMMY, TRAILER_LEN};

/// The parameters of an inbound SA.
#[derive(Debug)]
pub struct InboundConfig {
    /// The SPI that this gateway chose for the SA.
    pub spi: Spi,
    /// Cipher and key. No other SA may use the same key.
    pub key: Key,
    /// Width of the replay window in packets, 64 to 16384.
    pub window: u32,
    /// True for sequence numbers of 64 bits (RFC 4303 section 2.2.1), false for 32. The peer must use the
    /// same.
    pub esn: bool,
    /// The limits of the SA.
    pub lifetime: Lifetime,
    /// The AEAD implementation.
    pub backend: BackendChoice,
}

impl InboundConfig {
    /// A configuration with ESN, no lifetime limit, and the fastest backend.
    pub fn new(spi: Spi, key: Key, window: u32) -> InboundConfig {
        InboundConfig {
            spi,
            key,
            window,
            esn: true,
            lifetime: Lifetime::default(),
            backend: BackendChoice::Auto,
        }
    }
}

/// The receiving end of a tunnel-mode SA.
// Fields that a packet reads are adjacent, as in `OutboundSa`.
#[repr(C)]
pub struct InboundSa {
    aead: Aead,
    spi: Spi,
    window: ReplayWindow,
    tracker: LifetimeTracker,
    lifetime: Lifetime,
}

/// The content of an authentic packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// An inner packet, at the start of the output.
    Packet {
        /// Length of the inner packet in bytes.
        len: usize,
    },
    /// A dummy packet (RFC 4303 section 2.6), to be dropped without an error. The output is meaningless.
    Dummy,
}

impl InboundSa {
    /// The length in bytes of the leading part of this struct that every packet reads.
    pub const HOT: usize = mem::offset_of!(InboundSa, lifetime);

    /// Creates an SA that has received no packet.
    ///
    /// # Errors
    /// [`WindowError`] if the window is narrower than 64 packets or wider than 16384.
    pub fn new(config: InboundConfig) -> Result<InboundSa, WindowError> {
        Ok(InboundSa {
            spi: config.spi,
            aead: Aead::new(&config.key, config.esn, config.backend, Direction::Open),
            window: ReplayWindow::new(config.window, config.esn)?,
            tracker: LifetimeTracker::new(&config.lifetime),
            lifetime: config.lifetime,
        })
    }

    /// Verifies and decrypts an ESP packet and writes the inner packet to the start of `out`.
    ///
    /// `esp` starts at the ESP header. `out` has room for the ciphertext, `esp.len() - 32` bytes.
    /// `outer_tos` is the TOS byte of the outer header.
    ///
    /// # Errors
    /// [`OpenError`], in the order of the checks. Up to and including [`OpenError::BadIcv`] the packet is not
    /// authentic: no byte of it is written to `out`, which is unchanged or zeroed, and the SA is unchanged.
    /// The later errors are caused by the peer that holds the key.
    ///
    /// # Timing
    /// Until the ICV is verified, the duration depends only on cleartext: lengths, SPI, sequence number, IV,
    /// and the numbers received before.
    #[inline]
    pub fn open(&mut self, esp: &[u8], outer_tos: u8, out: &mut [u8]) -> Result<Opened, OpenError> {
        self.authenticate(esp, out)?;
        InboundSa::inspect(esp.len(), outer_tos, out)
    }

    /// The first half of [`InboundSa::open`]: window check, authentication, advance. Only this half changes
    /// the SA.
    #[inline(always)]
    pub(crate) fn authenticate(&mut self, esp: &[u8], out: &mut [u8]) -> Result<(), OpenError> {
        let packet = Packet::split(esp).ok_or(OpenError::TooShort)?;
        let plaintext = out
            .get_mut(..packet.ciphertext.len())
            .ok_or(OpenError::OutputTooSmall)?;

        // The ICV covers the SPI, so a packet with another SPI cannot be authentic.
        if packet.spi != self.spi.get() {
            return Err(OpenError::BadIcv);
        }
        self.tracker.admit(packet.ciphertext.len())?;
        let candidate = self.window.check(packet.low)?;
        let authentic = match self.decrypt(candidate, &packet, plaintext) {
            Ok(authentic) => authentic,
            Err(_) => self.resynchronise(&packet, plaintext)?,
        };
        self.window.advance(authentic);
        self.tracker.add(packet.ciphertext.len());
        Ok(())
    }

    /// The second half of [`InboundSa::open`]: checks the plaintext in `out` of an authentic packet of `esp_len`
    /// bytes.
    #[inline]
    pub(crate) fn inspect(
        esp_len: usize,
        outer_tos: u8,
        out: &mut [u8],
    ) -> Result<Opened, OpenError> {
        let plaintext = esp_len
            .checked_sub(FRAMING_LEN)
            .and_then(|len| out.get_mut(..len))
            .ok_or(OpenError::OutputTooSmall)?;
        let (payload, next_header) = strip_trailer(plaintext)?;
        const IPV4: u8 = Family::V4.next_header();
        const IPV6: u8 = Family::V6.next_header();
        match next_header {
            IPV4 | IPV6 => {}
            NEXT_DUMMY => return Ok(Opened::Dummy),
            _ => return Err(OpenError::NextHeader),
        }
        // Traffic flow confidentiality padding (RFC 4303 section 2.7) follows the inner packet and is
        // ignored.
        let Some(inner) = inner::parse(payload) else {
            return Err(OpenError::InnerMalformed);
        };
        if inner.family.next_header() != next_header {
            return Err(OpenError::InnerMalformed);
        }
        let tos = ecn::decapsulate(inner.tos, outer_tos).ok_or(OpenError::EcnCeOverNotEct)?;
        if tos != inner.tos {
            inner::set_tos(payload, tos);
        }
        Ok(Opened::Packet { len: inner.len })
    }

    /// Prefetches the replay window and the part of the key that every packet reads. The SA itself should be
    /// in the cache already.
    #[inline]
    pub fn fetch(&self) {
        self.aead.fetch();
        self.window.fetch();
    }

    /// The authentic packets of this SA, including those that a later check refused.
    pub fn usage(&self) -> Usage {
        self.tracker.usage()
    }

    /// The limits that this SA was configured with.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The state of this SA's lifetime at `age`, the time since it was installed. After a call with an age
    /// past the hard limit, the SA opens no more packets.
    pub fn lifetime_state(&mut self, age: Duration) -> LifetimeState {
        self.tracker.state(&self.lifetime, age)
    }

    /// The SPI of the packets that this SA opens.
    pub fn spi(&self) -> Spi {
        self.spi
    }

    #[inline]
    fn decrypt(
        &self,
        candidate: Candidate,
        packet: &Packet<'_>,
        plaintext: &mut [u8],
    ) -> Result<Authentic, InvalidIcv> {
        self.aead.open(
            candidate,
            self.spi,
            packet.iv,
            packet.ciphertext,
            packet.icv,
            plaintext,
        )
    }

    /// Checks a packet again whose ICV failed under the inferred number (RFC 4303 appendix A3).
    ///
    /// 32 bits do not determine the number, but a peer of this implementation sends all 64 bits as the IV:
    /// - A number beyond reach is tried once. A receiver that was restarted, or lost 2^32 packets in a
    ///   row, so resynchronises with the first packet. The ICV must still be valid.
    /// - A number left of the window selects the drop reason. The number is not authenticated, as it is not
    ///   with 32-bit numbers either.
    #[cold]
    fn resynchronise(
        &self,
        packet: &Packet<'_>,
        plaintext: &mut [u8],
    ) -> Result<Authentic, OpenError> {
        let claimed = u64::from_be_bytes(*packet.iv);
        if claimed as u32 != packet.low {
            return Err(OpenError::BadIcv);
        }
        if self.window.has_passed(claimed) {
            return Err(OpenError::TooOld);
        }
        let candidate = self.window.beyond_reach(claimed).ok_or(OpenError::BadIcv)?;
        self.decrypt(candidate, packet, plaintext)
            .map_err(|_| OpenError::BadIcv)
    }
}

impl fmt::Debug for InboundSa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InboundSa({})", self.spi)
    }
}

/// Bytes of an ESP packet that are not ciphertext: SPI, number, IV and ICV.
const FRAMING_LEN: usize = ESP_LEN + IV_LEN + ICV_LEN;

/// The parts of an ESP packet (RFC 4303 section 2).
struct Packet<'a> {
    spi: u32,
    low: u32,
    iv: &'a [u8; IV_LEN],
    ciphertext: &'a [u8],
    icv: &'a [u8; ICV_LEN],
}

impl Packet<'_> {
    fn split(esp: &[u8]) -> Option<Packet<'_>> {
        let (&spi, rest) = esp.split_first_chunk()?;
        let (&low, rest) = rest.split_first_chunk()?;
        let (iv, rest) = rest.split_first_chunk()?;
        let (ciphertext, icv) = rest.split_last_chunk()?;
        (ciphertext.len() >= TRAILER_LEN).then_some(Packet {
            spi: u32::from_be_bytes(spi),
            low: u32::from_be_bytes(low),
            iv,
            ciphertext,
            icv,
        })
    }
}

/// Splits off padding, pad length and next header; the padding must be 1, 2, 3, ...
/// (RFC 4303 section 2.4). Returns the payload and the next header.
#[inline]
fn strip_trailer(plaintext: &mut [u8]) -> Result<(&mut [u8], u8), OpenError> {
    let (rest, &mut [pad_len, next_header]) = plaintext
        .split_last_chunk_mut::<TRAILER_LEN>()
        .ok_or(OpenError::BadPadding)?;
    let payload_len = rest
        .len()
        .checked_sub(usize::from(pad_len))
        .ok_or(OpenError::BadPadding)?;
    let (payload, padding) = rest.split_at_mut(payload_len);
    if padding
        .iter()
        .zip(1..=u8::MAX)
        .any(|(&byte, expected)| byte != expected)
    {
        return Err(OpenError::BadPadding);
    }
    Ok((payload, next_header))
}

/// The reason why a packet was not opened, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The packet is shorter than the shortest ESP packet, 34 bytes.
    #[error("the packet is shorter than the shortest ESP packet, 34 bytes")]
    TooShort,
    /// The plaintext does not fit into the output.
    #[error("the plaintext does not fit into the output frame")]
    OutputTooSmall,
    /// A hard limit of the SA's [`Lifetime`] is reached.
    #[error("a hard limit of the SA's lifetime is reached; install a new SA")]
    Expired,
    /// The sequence number was received before (RFC 4303 section 3.4.3).
    #[error("the sequence number was received before")]
    Replayed,
    /// The sequence number, inferred or taken from the IV, is left of the replay window.
    #[error("the sequence number is left of the replay window")]
    TooOld,
    /// The ICV is wrong (RFC 4303 section 3.4.4).
    #[error("the integrity check value is wrong")]
    BadIcv,
    /// The padding is not 1, 2, 3, ..., or is longer than the packet.
    #[error("the padding is not 1, 2, 3, ... as RFC 4303 requires")]
    BadPadding,
    /// The next header is neither IPv4 (4) nor IPv6 (41) nor a dummy (59).
    #[error("the payload is neither IPv4 nor IPv6 nor a dummy")]
    NextHeader,
    /// The inner packet is not a whole IP packet, or its version differs from the next header.
    #[error("the inner packet is not a whole IP packet of the version in the next header")]
    InnerMalformed,
    /// The outer header has CE, but the inner packet is not ECN-capable (RFC 6040 section 4.2).
    #[error("the outer header has ECN CE, but the inner packet is not ECN-capable")]
    EcnCeOverNotEct,
}

impl From<LimitReached> for OpenError {
    fn from(LimitReached: LimitReached) -> OpenError {
        OpenError::Expired
    }
}

impl From<ReplayError> for OpenError {
    fn from(refusal: ReplayError) -> OpenError {
        match refusal {
            ReplayError::Replayed => OpenError::Replayed,
            ReplayError::TooOld => OpenError::TooOld,
        }
    }
}
