//! Private parts of the data path as separate types, so that a benchmark can time them. The crate itself does
//! not use them.

use crate::aead::Authentic;
use crate::outer::{Outer, Template};
use crate::sequence::Nonce;
use crate::window::{ReplayWindow, WindowError};
use crate::wire::IV_LEN;

/// A replay window without an SA. Every packet counts as authentic.
pub struct Window(ReplayWindow);

impl Window {
    /// A window of `bits` packets, with ESN.
    ///
    /// # Errors
    /// [`WindowError`], as for [`InboundSa::new`](crate::InboundSa::new).
    pub fn new(bits: u32) -> Result<Window, WindowError> {
        ReplayWindow::new(bits, true).map(Window)
    }

    /// Checks a number by its low 32 bits and marks it as received. Returns false if the window refuses it.
    #[inline]
    pub fn accept(&mut self, low: u32) -> bool {
        let candidate = self.0.check(low);
        candidate.is_ok_and(|candidate| {
            self.0.advance(Authentic::assume(candidate));
            true
        })
    }
}

/// The template of an outer header.
pub struct Header(Template);

impl Header {
    /// Builds the template of this outer header.
    pub fn new(outer: &Outer) -> Header {
        Header(Template::new(outer))
    }

    /// Writes the header of a packet of `total_len` bytes to the start of `out`.
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
