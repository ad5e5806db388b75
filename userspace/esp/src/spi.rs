//! The security parameters index: the identifier of an SA on the wire.

use std::fmt;
use std::num::NonZeroU32;

/// A security parameters index (RFC 4303 section 2.1), 256 or more. 0 is never sent, because it marks IKE on
/// UDP port 4500 (RFC 3948 section 2.2). 1 to 255 are reserved.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spi(NonZeroU32);

impl Spi {
    /// The SPI of this value, or `None` for the reserved values 0 to 255.
    pub const fn new(value: u32) -> Option<Spi> {
        match NonZeroU32::new(value) {
            Some(value) if value.get() > 255 => Some(Spi(value)),
            _ => None,
        }
    }

    /// The value, in host byte order.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.get())
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spi({self})")
    }
}

/// The SPI and the low 32 bits of the sequence number of an ESP packet, not authenticated.
///
/// `esp` starts at the ESP header. `None` if it is shorter than that header (8 bytes) or its SPI is
/// reserved.
pub fn peek(esp: &[u8]) -> Option<(Spi, u32)> {
    let (&spi, rest) = esp.split_first_chunk()?;
    let (&low, _) = rest.split_first_chunk()?;
    Some((Spi::new(u32::from_be_bytes(spi))?, u32::from_be_bytes(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peek_reads_spi_and_number() {
        let esp = [0, 0, 0x10, 1, 0xff, 0, 0, 2, 9];
        assert_eq!(peek(&esp), Some((Spi::new(0x1001).unwrap(), 0xff00_0002)));
        assert_eq!(peek(&esp[..7]), None);
    }

    /// RFC 4303 section 2.1, RFC 3948 section 2.2.
    /// Standard: spi-not-zero
    #[test]
    fn reserved_spis_are_refused() {
        assert_eq!(peek(&[0; 8]), None);
        assert_eq!(peek(&[0, 0, 0, 255, 0, 0, 0, 1]), None);
        assert_eq!(Spi::new(256).map(Spi::get), Some(256));
    }
}
