//! The anti-replay window over sequence numbers of 64 bits, or of 32 without ESN (RFC 4303 section
//! 3.4.3 and appendix A).

use causeway_ipsec_mb::prefetch_value;

use crate::aead::Authentic;

/// The widest window, in numbers.
const MAX_BITS: u32 = 16384;
/// The narrowest window: RFC 4303 section 3.4.3 prefers 64 as the default.
const MIN_BITS: u32 = 64;
const WORD: u64 = u64::BITS as u64;

/// A ring of words, as in RFC 6479: moving on clears words instead of shifting the bitmap. The ring
/// holds at least one word more than the window, so that clearing the words in front never touches a
/// number that is still inside; the window is exactly as wide as asked.
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
    /// The full 64-bit number, as inferred.
    pub(crate) fn number(&self) -> u64 {
        self.0
    }
}

/// Why the window refuses a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Inside the window and seen before.
    Replayed,
    /// Left of the window.
    Old,
}

impl ReplayWindow {
    pub(crate) fn new(bits: u32, esn: bool) -> Result<ReplayWindow, WindowError> {
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(WindowError(bits));
        }
        let words = (bits.div_ceil(u64::BITS) + 1).next_power_of_two() as usize;
        let mut ring = vec![0; words].into_boxed_slice();
        // Number 0 is never sent, so it counts as seen from the start.
        ring[0] = 1;
        Ok(ReplayWindow {
            top: 0,
            bits,
            esn,
            ring,
        })
    }

    /// Infers the number from the 32 bits that travel and asks whether it is new. Without ESN they
    /// are all of it.
    ///
    /// Appendix A2.2 in one line: the number is the only one with these low bits in the 2^32 numbers
    /// from the left edge of the window on. Its left edge lies below zero until the window has
    /// filled once; a number below zero is the one case in which "left of the window" can be told
    /// before the ICV is verified.
    #[inline]
    pub(crate) fn check(&self, low: u32) -> Result<Candidate, Refusal> {
        let number = if self.esn {
            let before = u64::from(self.bits - 1);
            let left = self.top.wrapping_sub(before);
            let offset = u64::from(low.wrapping_sub(left as u32));
            let number = match self.top.checked_sub(before) {
                Some(left) => left.checked_add(offset),
                None => offset.checked_sub(before - self.top),
            };
            number.ok_or(Refusal::Old)?
        } else {
            let number = u64::from(low);
            if self.has_passed(number) {
                return Err(Refusal::Old);
            }
            number
        };
        if number <= self.top && self.ring[self.word(number)] & bit(number) != 0 {
            return Err(Refusal::Replayed);
        }
        Ok(Candidate(number))
    }

    /// Whether this number lies left of the window.
    #[inline]
    pub(crate) fn has_passed(&self, number: u64) -> bool {
        number
            .checked_add(u64::from(self.bits))
            .is_some_and(|right| right <= self.top)
    }

    /// A number so far to the right that [`ReplayWindow::check`] cannot infer it, if it is that far.
    pub(crate) fn beyond_reach(&self, number: u64) -> Option<Candidate> {
        let reach = (1 << 32) - u64::from(self.bits);
        (self.esn && number.checked_sub(self.top)? > reach).then_some(Candidate(number))
    }

    /// Marks a number as seen and moves the window if it is the highest.
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

    /// Fetches ahead the words around the highest number, where the next ones are expected.
    #[inline]
    pub(crate) fn fetch(&self) {
        prefetch_value(&self.ring[self.word(self.top)], 1);
    }

    /// A window of 64 that has seen `top` and nothing else.
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

/// A replay window of a width that is not offered; holds the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a replay window of 64 to 16384 packets, got {0}")]
pub struct WindowError(pub u32);

#[cfg(test)]
mod tests;
