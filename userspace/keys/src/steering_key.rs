//! The key of the steering hash.

use std::fmt;

use zeroize::Zeroizing;

/// The 128-bit key of the steering hash. Both VPCs use the same one.
pub struct SteeringKey(Zeroizing<[u8; SteeringKey::LEN]>);

impl SteeringKey {
    /// The length of a key, in octets.
    pub const LEN: usize = 16;

    pub(crate) fn new(key: Zeroizing<[u8; Self::LEN]>) -> Self {
        Self(key)
    }

    pub fn octets(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for SteeringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SteeringKey(..)")
    }
}
