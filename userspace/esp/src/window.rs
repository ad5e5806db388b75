//! The anti-replay window over sequence numbers of 64 bits, or of 32 without ESN (RFC 4303 section
//! 3.4.3 and appendix A).

use causeway_ipsec_mb::prefetch_value;

use crate::aead::Authentic;

/// The widest window, in numbers.
const MAX_BITS: u32 = 16384;
/// The narrowest window: RFC 4303 section 3.4.3 prefers 64 as the default.
const MIN_BITS: u32 = 64;
const WORD: u64 = u64::BITS as u64;

/// A replay window as a ring of words (RFC 6479): an advance clears words instead of shifting the bitmap.
///
/// The ring holds at least one word more than the window. Clearing the words ahead therefore never clears a
/// number inside the window, and the window has exactly the configured width.
pub(crate) struct ReplayWindow {
    /// The highest authentic number; 0 before the first packet.
    top: u64,
    bits: u32,
    esn: bool,
    ring: Box<[u64]>,
}

/// A number that the window would accept, not yet authenticated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Candidate(u64);

impl Candidate {
    /// The inferred 64-bit number.
    pub(crate) fn number(&self) -> u64 {
        self.0
    }
}

/// The reason why the window refuses a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReplayError {
    /// The number is in the window and was received before.
    Replayed,
    /// The number is left of the window.
    TooOld,
}

impl ReplayWindow {
    pub(crate) fn new(bits: u32, esn: bool) -> Result<ReplayWindow, WindowError> {
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(WindowError(bits));
        }
        let words = (bits.div_ceil(u64::BITS) + 1).next_power_of_two() as usize;
        let mut ring = vec![0; words].into_boxed_slice();
        // Number 0 is never sent, so it counts as received from the start.
        ring[0] = 1;
        Ok(ReplayWindow {
            top: 0,
            bits,
            esn,
            ring,
        })
    }

    /// Infers the number from the 32 bits on the wire and checks that it is new. Without ESN the number has
    /// only these 32 bits.
    ///
    /// Appendix A2.2: of the 2^32 numbers from the left edge of the window on, one has these low bits. The
    /// left edge is below zero until the window has filled once. A number below zero is the only one known
    /// to be left of the window before the ICV is verified.
    #[inline]
    pub(crate) fn check(&self, low: u32) -> Result<Candidate, ReplayError> {
        let number = if self.esn {
            let before = u64::from(self.bits - 1);
            let left = self.top.wrapping_sub(before);
            let offset = u64::from(low.wrapping_sub(left as u32));
            let number = match self.top.checked_sub(before) {
                Some(left) => left.checked_add(offset),
                None => offset.checked_sub(before - self.top),
            };
            number.ok_or(ReplayError::TooOld)?
        } else {
            let number = u64::from(low);
            if self.has_passed(number) {
                return Err(ReplayError::TooOld);
            }
            number
        };
        if number <= self.top && self.ring[self.word(number)] & bit(number) != 0 {
            return Err(ReplayError::Replayed);
        }
        Ok(Candidate(number))
    }

    /// True if this number is left of the window.
    #[inline]
    pub(crate) fn has_passed(&self, number: u64) -> bool {
        number
            .checked_add(u64::from(self.bits))
            .is_some_and(|right| right <= self.top)
    }

    /// The candidate for a number so far right of the window that [`ReplayWindow::check`] cannot infer it.
    /// `None` for any other number.
    pub(crate) fn beyond_reach(&self, number: u64) -> Option<Candidate> {
        let reach = (1 << 32) - u64::from(self.bits);
        (self.esn && number.checked_sub(self.top)? > reach).then_some(Candidate(number))
    }

    /// Marks a number as received and moves the window if it is the highest.
    #[inline]
    pub(crate) fn advance(&mut self, authentic: Authentic) {
        let number = authentic.number();
        if number > self.top {
            let fresh = (number / WORD - self.top / WORD).min(self.ring.len() as u64);
            for step in 0..fresh {
                let word = self.word(number - step * WORD);
                self.ring[word] = 0;
            }
            self.top = number;
        }
        let word = self.word(number);
        self.ring[word] |= bit(number);
    }

    /// Prefetches the words around the highest number, where the next numbers are expected.
    #[inline]
    pub(crate) fn fetch(&self) {
        prefetch_value(&self.ring[self.word(self.top)], 1);
    }

    /// A window of 64 packets that has received only `top`.
    #[cfg(test)]
    pub(crate) fn with_top(top: u64) -> ReplayWindow {
        let mut window = ReplayWindow::new(MIN_BITS, true).unwrap();
        window.advance(Authentic::assume(Candidate(top)));
        window
    }

    fn word(&self, number: u64) -> usize {
        (number / WORD) as usize & (self.ring.len() - 1)
    }
}

fn bit(number: u64) -> u64 {
    1 << (number % WORD)
}

/// The given width of a replay window is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a replay window of 64 to 16384 packets, got {0}")]
pub struct WindowError(pub u32);

#[cfg(test)]
mod tests;
