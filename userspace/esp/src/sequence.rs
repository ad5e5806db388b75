//! Sequence numbers, each issued once.

use crate::wire::IV_LEN;

/// The outbound counter of an SA: 64-bit sequence numbers, which are also the IVs.
///
/// Numbers are issued only below the reserved ceiling. A caller that keeps the counter across restarts
/// (RFC 4303 section 3.3.3, manually keyed SAs) stores the ceiling before it reserves. A new counter has no
/// reserved numbers. For a key that is never used after a restart, reserve `u64::MAX`.
#[derive(Debug)]
pub struct Sequence {
    next: u64,
    ceiling: u64,
    /// The first number that is never issued.
    end: u64,
}

/// The first number that does not fit into 32 bits (RFC 4303 section 3.3.3: the counter must not cycle).
const END_WITHOUT_ESN: u64 = 1 << 32;

impl Sequence {
    /// Creates a counter that issues `next` first. 0 counts as 1, the first number of an SA (RFC 4303
    /// section 2.2).
    pub fn new(next: u64) -> Sequence {
        let next = next.max(1);
        Sequence {
            next,
            ceiling: next,
            end: u64::MAX,
        }
    }

    /// The same counter for an SA without extended sequence numbers.
    pub(crate) fn without_esn(self) -> Sequence {
        Sequence {
            end: END_WITHOUT_ESN,
            ..self
        }
    }

    /// Reserves the numbers below `ceiling`. A lower ceiling than before has no effect. `u64::MAX` is never
    /// issued, so the counter cannot cycle.
    pub fn reserve_until(&mut self, ceiling: u64) {
        self.ceiling = self.ceiling.max(ceiling);
    }

    /// Issues the next number.
    ///
    /// # Errors
    /// [`SequenceError::NotReserved`] at the ceiling. [`SequenceError::Exhausted`] at the end of the 64-bit
    /// space, or of the 32-bit space without ESN. RFC 4303 section 3.3.3 then requires a new SA.
    pub fn issue(&mut self) -> Result<Nonce, SequenceError> {
        if self.next >= self.end {
            return Err(SequenceError::Exhausted);
        }
        if self.next >= self.ceiling {
            return Err(SequenceError::NotReserved);
        }
        let number = self.next;
        self.next += 1;
        Ok(Nonce(number))
    }

    /// The number that will be issued next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The count of numbers that are reserved and not yet issued.
    pub fn reserved(&self) -> u64 {
        self.ceiling - self.next
    }

    /// The count of numbers before the SA is exhausted, reserved or not.
    pub fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }
}

/// The right to encrypt one packet. It is neither `Copy` nor `Clone` and the AEAD consumes it, so no IV is
/// used twice.
///
/// ```compile_fail
/// let mut sequence = causeway_esp::Sequence::new(1);
/// sequence.reserve_until(2);
/// let nonce = sequence.issue().unwrap();
/// let again = nonce.clone();
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Nonce(u64);

impl Nonce {
    /// The 64-bit sequence number.
    pub fn number(&self) -> u64 {
        self.0
    }

    /// The IV on the wire, equal to the number (RFC 4106 section 3.1, RFC 7634 section 2).
    pub(crate) fn iv(&self) -> [u8; IV_LEN] {
        self.0.to_be_bytes()
    }
}

/// The reason why no sequence number was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// The next number is not reserved yet.
    #[error("the next sequence number is not reserved yet")]
    NotReserved,
    /// All numbers of the SA are used; a new SA is required.
    #[error("all sequence numbers of the SA are used; install a new SA")]
    Exhausted,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4303 section 2.2.
    /// Standard: first-number
    #[test]
    fn the_first_number_is_one() {
        let mut sequence = Sequence::new(0);
        sequence.reserve_until(10);
        assert_eq!(sequence.issue(), Ok(Nonce(1)));
    }

    #[test]
    fn only_reserved_numbers_are_issued() {
        let mut sequence = Sequence::new(5);
        assert_eq!(sequence.issue(), Err(SequenceError::NotReserved));
        sequence.reserve_until(6);
        assert_eq!(sequence.issue(), Ok(Nonce(5)));
        sequence.reserve_until(3);
        assert_eq!(sequence.issue(), Err(SequenceError::NotReserved));
        assert_eq!((sequence.next(), sequence.reserved()), (6, 0));
        sequence.reserve_until(9);
        sequence.reserve_until(7);
        assert_eq!(sequence.reserved(), 3, "a ceiling never goes down");
    }

    /// RFC 4303 section 3.3.3: sending stops before the counter cycles.
    /// Standard: counter-stops
    #[test]
    fn the_counter_stops_at_its_last_value() {
        let mut sequence = Sequence::new(u64::MAX - 1);
        sequence.reserve_until(u64::MAX);
        assert_eq!(sequence.remaining(), 1);
        assert_eq!(sequence.issue(), Ok(Nonce(u64::MAX - 1)));
        assert_eq!(sequence.issue(), Err(SequenceError::Exhausted));
        assert_eq!(sequence.issue(), Err(SequenceError::Exhausted));
        assert_eq!(sequence.remaining(), 0);
    }

    /// RFC 4303 section 3.3.3: without ESN numbers have 32 bits. No larger number is sent, even if it is
    /// reserved.
    /// Standard: counter-stops
    #[test]
    fn without_esn_the_counter_stops_at_32_bits() {
        let mut sequence = Sequence::new(u32::MAX.into()).without_esn();
        sequence.reserve_until(u64::MAX);
        assert_eq!(sequence.remaining(), 1);
        assert_eq!(sequence.issue(), Ok(Nonce(u32::MAX.into())));
        assert_eq!(sequence.issue(), Err(SequenceError::Exhausted));
        let mut beyond = Sequence::new(1 << 40).without_esn();
        beyond.reserve_until(u64::MAX);
        assert_eq!(beyond.remaining(), 0);
        assert_eq!(beyond.issue(), Err(SequenceError::Exhausted));
    }

    proptest! {
        /// Law 3: numbers only rise, in any order of reserving and issuing.
        /// Standard: gcm-iv
        #[test]
        fn numbers_never_repeat(
            start in prop_oneof![0..50u64, u64::MAX - 50..=u64::MAX],
            steps in prop::collection::vec(prop::option::of(0..100u64), 0..200),
        ) {
            let mut sequence = Sequence::new(start);
            let mut last = None;
            for step in steps {
                match step {
                    Some(more) => sequence.reserve_until(start.saturating_add(more)),
                    None => if let Ok(nonce) = sequence.issue() {
                        prop_assert!(last < Some(nonce.number()));
                        last = Some(nonce.number());
                    }
                }
            }
        }
    }
}
