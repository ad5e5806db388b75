//! A random byte sequence that no other traffic contains.

use anyhow::Result;

use crate::tool;

/// The length of a marker in bytes.
pub const LENGTH: usize = 16;

/// A marker. A payload that repeats the marker contains it in each piece of at least 31 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker([u8; LENGTH]);

impl Marker {
    pub fn random() -> Result<Self> {
        Ok(Self(tool::random()?))
    }

    pub fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// `length` bytes of the repeated marker.
    pub fn payload(&self, length: usize) -> Vec<u8> {
        self.0.iter().copied().cycle().take(length).collect()
    }

    /// Whether `bytes` equals the repeated marker from `offset` on.
    pub fn fills(&self, bytes: &[u8], offset: usize) -> bool {
        let expected = self.0.iter().cycle().skip(offset % LENGTH);
        bytes.iter().zip(expected).all(|(have, want)| have == want)
    }

    /// The number of occurrences in `bytes`, without overlaps.
    pub fn occurrences(&self, bytes: &[u8]) -> u64 {
        let mut count = 0;
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == self.0[0]) {
            rest = &rest[at..];
            let hit = rest.starts_with(&self.0);
            count += u64::from(hit);
            rest = &rest[if hit { LENGTH } else { 1 }..];
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_piece_of_31_bytes_contains_the_marker(
            bytes in any::<[u8; LENGTH]>(), start in 0usize..64, length in 31usize..200
        ) {
            let marker = Marker(bytes);
            let payload = marker.payload(start + length);
            let cut = &payload[start..];
            prop_assert!(marker.occurrences(cut) >= 1);
            prop_assert!(marker.fills(cut, start));
        }

        #[test]
        fn a_changed_byte_is_found(
            bytes in any::<[u8; LENGTH]>(), length in 1usize..200, at in any::<prop::sample::Index>()
        ) {
            let marker = Marker(bytes);
            let mut payload = marker.payload(length);
            payload[at.index(length)] ^= 1;
            prop_assert!(!marker.fills(&payload, 0));
        }
    }

    #[test]
    fn a_marker_after_a_false_start_is_found() {
        let marker = Marker(*b"aaaaaaaaaaaaaaab");
        assert_eq!(marker.occurrences(b"aaaaaaaaaaaaaaaab"), 1);
        assert_eq!(marker.occurrences(b"aaaaaaaaaaaaaaa"), 0);
    }
}
