//! The changes that a cluster can undergo.

use serde::{Deserialize, Serialize};

/// A gateway pair's number within a peering: the position in the configured cluster, or the next unused
/// number for a gateway that was added later. Both VPCs use the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ordinal(pub u16);

/// A gateway's share of the buckets relative to the other gateways, 1 to 64. The limit ensures that even
/// in the largest cluster a gateway with weight 1 gets a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Weight(u8);

/// A number that is not a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a weight from 1 to {max}, got {got}", max = Weight::MAX)]
pub struct WeightOutOfRange {
    pub got: u8,
}

impl Weight {
    /// The largest weight.
    pub const MAX: u8 = 64;
    /// The default weight.
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

/// A change of a peering's cluster. The names are those of this VPC's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A gateway joins at the end of the cluster.
    Add { name: String, weight: Weight },
    /// A gateway's buckets move to the others, but the gateway stays in the cluster. A new weight
    /// brings its buckets back.
    Drain { name: String },
    /// A gateway's buckets move to the others, and the gateway leaves the cluster.
    Remove { name: String },
    /// A gateway gets a new weight.
    Weight { name: String, weight: Weight },
}
