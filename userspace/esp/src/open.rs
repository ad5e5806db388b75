//! Opening: an ESP packet in one frame becomes its inner packet in another.

use std::fmt;
use std::mem;
use std::time::Duration;

use crate::aead::{Aead, Authentic, BackendChoice, Forged, ICV_LEN, IV_LEN, Way};
use crate::ecn;
use crate::inner::{self, Family};
use crate::key::Key;
use crate::lifetime::{Expired, Ledger, Lifetime, Stage, Usage};
use crate::seal::{ESP_LEN, NEXT_DUMMY, TRAILER_LEN};
use crate::spi::Spi;
use crate::window::{Candidate, Refusal, ReplayWindow, WindowError};

/// What an inbound SA is made of.
#[derive(Debug)]
pub struct InboundConfig {
    /// Our name for the SA.
    pub spi: Spi,
    /// Cipher and key. No other SA may have it.
    pub key: Key,
    /// Width of the replay window in packets, 64 to 16384.
    pub window: u32,
    /// Whether numbers have 64 bits (RFC 4303 section 2.2.1) or 32, as the peer has it.
    pub esn: bool,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// The AEAD's implementation.
    pub backend: BackendChoice,
}

impl InboundConfig {
    /// With ESN, no limit, and the fastest backend.
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
// In this order as the other end is.
#[repr(C)]
pub struct InboundSa {
    aead: Aead,
    spi: Spi,
    window: ReplayWindow,
    ledger: Ledger,
    lifetime: Lifetime,
}

/// What an authentic packet held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// An inner packet stands at the start of the output.
    Packet {
        /// Its length in bytes.
        len: usize,
    },
    /// A dummy (RFC 4303 section 2.6): to be dropped without an error. The output holds nothing
    /// of use.
    Dummy,
}

impl InboundSa {
    /// How many of its bytes, from the first on, a packet takes.
    pub const HOT: usize = mem::offset_of!(InboundSa, lifetime);

    /// An SA that has received nothing yet.
    ///
    /// # Errors
    /// [`WindowError`] if the window is narrower than 64 packets or wider than 16384.
    pub fn new(config: InboundConfig) -> Result<InboundSa, WindowError> {
        Ok(InboundSa {
            spi: config.spi,
            aead: Aead::new(&config.key, config.esn, config.backend, Way::Open),
            window: ReplayWindow::new(config.window, config.esn)?,
            ledger: Ledger::new(&config.lifetime),
            lifetime: config.lifetime,
        })
    }

    /// Verifies and decrypts the ESP packet `esp`, from its ESP header on, and writes the inner
    /// packet to the start of `out`, which takes at least as many bytes as the ciphertext has
    /// (`esp.len() - 32`). `outer_tos` is the TOS byte of the header it came in.
    ///
    /// # Errors
    /// [`OpenError`]. Up to and including [`OpenError::BadIcv`] the packet is not authentic, no byte of
    /// it gets into `out` (which stays as it was or is zeroed) and the SA is unchanged; the errors
    /// after it come from the peer that holds the key.
    ///
    /// # Timing
    /// Until the ICV is verified, the time depends on what travels in the clear alone: lengths, SPI,
    /// number, IV, and the numbers that were received before.
    #[inline]
    pub fn open(&mut self, esp: &[u8], outer_tos: u8, out: &mut [u8]) -> Result<Opened, OpenError> {
        self.authenticate(esp, out)?;
        InboundSa::inspect(esp.len(), outer_tos, out)
    }

    /// The first half of [`InboundSa::open`]: window check, authentication, advance. All that changes the SA.
    #[inline(always)]
    pub(crate) fn authenticate(&mut self, esp: &[u8], out: &mut [u8]) -> Result<(), OpenError> {
        let packet = Packet::split(esp).ok_or(OpenError::TooShort)?;
        let plaintext = out
            .get_mut(..packet.ciphertext.len())
            .ok_or(OpenError::OutputTooSmall)?;

        // The ICV covers the SPI of this SA; under any other the packet cannot be authentic.
        if packet.spi != self.spi.get() {
            return Err(OpenError::BadIcv);
        }
        self.ledger.admit(packet.ciphertext.len())?;
        let candidate = self.window.check(packet.low)?;
        let authentic = match self.decrypt(candidate, &packet, plaintext) {
            Ok(authentic) => authentic,
            Err(_) => self.resynchronise(&packet, plaintext)?,
        };
        self.window.advance(authentic);
        self.ledger.add(packet.ciphertext.len());
        Ok(())
    }

    /// The second half: what the authentic packet of `esp_len` bytes held, which is now in `out`.
    #[inline]
    pub(crate) fn inspect(
        esp_len: usize,
        outer_tos: u8,
        out: &mut [u8],
    ) -> Result<Opened, OpenError> {
        let plaintext = esp_len
            .checked_sub(AROUND)
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
        // Traffic flow confidentiality padding (RFC 4303 section 2.7) lies behind the inner
        // packet and is left there.
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

    /// Fetches ahead what every packet takes of the key, and the window. The SA itself should be in the cache by then.
    #[inline]
    pub fn fetch(&self) {
        self.aead.fetch();
        self.window.fetch();
    }

    /// What this SA has opened: authentic packets, whatever was in them.
    pub fn usage(&self) -> Usage {
        self.ledger.usage()
    }

    /// The limits of this SA.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Where this SA stands in its life at `age` since it was installed. Once it has been told an age
    /// past its hard limit, it opens nothing more.
    pub fn stage(&mut self, age: Duration) -> Stage {
        self.ledger.stage(&self.lifetime, age)
    }

    /// The SPI that this SA answers to.
    pub fn spi(&self) -> Spi {
        self.spi
    }

    #[inline]
    fn decrypt(
        &self,
        candidate: Candidate,
        packet: &Packet<'_>,
        plaintext: &mut [u8],
    ) -> Result<Authentic, Forged> {
        self.aead.open(
            candidate,
            self.spi,
            packet.iv,
            packet.ciphertext,
            packet.icv,
            plaintext,
        )
    }

    /// A second look at a packet that failed under the inferred number, for what 32 bits cannot
    /// tell (RFC 4303 appendix A3). A peer whose IV is the number, as ours is, claims all 64:
    /// - a number beyond reach is tried once. So a receiver that was restarted, or lost 2^32 packets
    ///   in a row, finds back to its peer with the first packet. The ICV decides as ever.
    /// - a number left of the window names the drop. That much is not authenticated, as it is not
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
            return Err(OpenError::Old);
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
const AROUND: usize = ESP_LEN + IV_LEN + ICV_LEN;

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

/// Why a packet was not opened, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than the shortest ESP packet, 34 bytes.
    #[error("shorter than the shortest ESP packet")]
    TooShort,
    /// The plaintext does not fit into the output.
    #[error("the plaintext does not fit into the output frame")]
    OutputTooSmall,
    /// A hard limit of the SA's [`Lifetime`] is reached.
    #[error("a hard limit of the SA's lifetime is reached: it needs a new key")]
    Expired,
    /// This number was received before (RFC 4303 section 3.4.3).
    #[error("the sequence number was received before")]
    Replayed,
    /// This number lies left of the replay window, or says so of itself.
    #[error("the sequence number lies left of the replay window")]
    Old,
    /// The ICV is wrong (RFC 4303 section 3.4.4).
    #[error("the integrity check value is wrong")]
    BadIcv,
    /// The padding is not 1, 2, 3, ... or longer than the packet.
    #[error("the padding is not what the standard asks for")]
    BadPadding,
    /// The payload is neither IPv4 (4) nor IPv6 (41) nor a dummy (59).
    #[error("the payload is neither IPv4 nor IPv6 nor a dummy")]
    NextHeader,
    /// The inner packet is not a whole IP packet, or of another version than the next header says.
    #[error("the inner packet is not a whole IP packet of the version that the trailer names")]
    InnerMalformed,
    /// Congestion was experienced outside, but the inner packet is not ECN-capable
    /// (RFC 6040 section 4.2).
    #[error("congestion experienced over an inner packet that is not ECN-capable")]
    EcnCeOverNotEct,
}

impl From<Expired> for OpenError {
    fn from(Expired: Expired) -> OpenError {
        OpenError::Expired
    }
}

impl From<Refusal> for OpenError {
    fn from(refusal: Refusal) -> OpenError {
        match refusal {
            Refusal::Replayed => OpenError::Replayed,
            Refusal::Old => OpenError::Old,
        }
    }
}
