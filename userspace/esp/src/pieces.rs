//! Pieces of the path that have no name outside, each on its own, so that a bench can time them. They belong
//! to no SA and no part of the crate uses them.

use crate::aead::{Authentic, IV_LEN};
use crate::outer::{Outer, Template};
use crate::sequence::Nonce;
use crate::window::{ReplayWindow, WindowError};

/// A replay window without an SA, to which every packet is authentic.
pub struct Window(ReplayWindow);

impl Window {
    /// With ESN and this many packets.
    ///
    /// # Errors
    /// As for [`InboundSa::new`](crate::InboundSa::new).
    pub fn new(bits: u32) -> Result<Window, WindowError> {
        ReplayWindow::new(bits, true).map(Window)
    }

    /// Checks a number by its low half and marks it as seen. False if the window refuses it.
    #[inline]
    pub fn accept(&mut self, low: u32) -> bool {
        let candidate = self.0.check(low);
        candidate.is_ok_and(|candidate| {
            self.0.advance(Authentic::assume(candidate));
            true
        })
    }
}

/// A ready outer header.
pub struct Header(Template);

impl Header {
    /// For these ends.
    pub fn new(outer: &Outer) -> Header {
        Header(Template::new(outer))
    }

    /// Writes the header of a packet of `total_len` bytes to the front of `out`.
    #[inline]
    pub fn write(&self, out: &mut [u8], total_len: u16, identification: u16, tos: u8) {
        let header = &mut out[..self.0.len()];
        self.0.write(header, total_len, identification, tos, true);
    }
}

/// The IV of a nonce.
#[inline]
pub fn iv(nonce: &Nonce) -> [u8; IV_LEN] {
    nonce.iv()
}
