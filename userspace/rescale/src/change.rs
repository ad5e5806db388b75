//! What may be asked of a cluster.

use serde::{Deserialize, Serialize};

/// A gateway pair's number within a peering: its place in the configured cluster, or for a gateway
/// that was added later the next number that no other ever had. Both VPCs number alike, so it
/// names the pair on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ordinal(pub u16);

/// A gateway's share of the buckets relative to the others', 1 to 64: at most so much that in the
/// largest cluster the lightest gateway still has a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Weight(u8);

/// A weight that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a weight from 1 to {max}, got {got}", max = Weight::MAX)]
pub struct WeightOutOfRange {
    /// What was given.
    pub got: u8,
}

impl Weight {
    /// The largest weight.
    pub const MAX: u8 = 64;
    /// The weight of a gateway of which nothing is said.
    pub const ONE: Self = Self(1);

    /// A weight from 1 to [`Weight::MAX`].
    ///
    /// # Errors
    /// [`WeightOutOfRange`].
    pub fn new(weight: u8) -> Result<Self, WeightOutOfRange> {
        match weight {
            1..=Self::MAX => Ok(Self(weight)),
            got => Err(WeightOutOfRange { got }),
        }
    }

    /// As a number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Weight {
    type Error = WeightOutOfRange;

    fn try_from(weight: u8) -> Result<Self, WeightOutOfRange> {
        Self::new(weight)
    }
}

impl From<Weight> for u8 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

/// A change of a peering's cluster. Gateways are named as in this VPC's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A gateway joins at the end of the cluster.
    Add {
        /// Its name.
        name: String,
        /// Its weight.
        weight: Weight,
    },
    /// A gateway gives its buckets to the others and stays, so that a new weight brings it back.
    Drain {
        /// Its name.
        name: String,
    },
    /// A gateway goes, after a drain if it has buckets.
    Remove {
        /// Its name.
        name: String,
    },
    /// A gateway's share becomes another.
    Weight {
        /// Its name.
        name: String,
        /// Its new weight.
        weight: Weight,
    },
}
