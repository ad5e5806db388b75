//! A set of buckets, with its wire format.

use causeway_steering::BUCKETS;
use serde::{Deserialize, Serialize};

const WORDS: usize = BUCKETS as usize / 64;

/// A set of a peering's buckets: a bitmap of 512 octets.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketSet(Box<[u64; WORDS]>);

impl BucketSet {
    /// The empty set.
    pub fn new() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// Whether `bucket`, below [`BUCKETS`], is in the set.
    #[inline]
    pub fn contains(&self, bucket: u32) -> bool {
        self.0[bucket as usize / 64] >> (bucket % 64) & 1 == 1
    }

    /// Adds `bucket`, below [`BUCKETS`].
    pub fn insert(&mut self, bucket: u32) {
        self.0[bucket as usize / 64] |= 1 << (bucket % 64);
    }

    /// Removes `bucket`, below [`BUCKETS`].
    pub fn remove(&mut self, bucket: u32) {
        self.0[bucket as usize / 64] &= !(1 << (bucket % 64));
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// The buckets in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..BUCKETS).filter(|&bucket| self.contains(bucket))
    }
}

impl Default for BucketSet {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for BucketSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BucketSet({} buckets)", self.len())
    }
}

impl FromIterator<u32> for BucketSet {
    fn from_iter<I: IntoIterator<Item = u32>>(buckets: I) -> Self {
        let mut set = Self::new();
        buckets.into_iter().for_each(|bucket| set.insert(bucket));
        set
    }
}

impl Serialize for BucketSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let octets: Vec<u8> = self.0.iter().flat_map(|word| word.to_be_bytes()).collect();
        serializer.serialize_bytes(&octets)
    }
}

impl<'de> Deserialize<'de> for BucketSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Octets;
        impl serde::de::Visitor<'_> for Octets {
            type Value = BucketSet;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} octets", 8 * WORDS)
            }

            fn visit_bytes<E: serde::de::Error>(self, octets: &[u8]) -> Result<BucketSet, E> {
                if octets.len() != 8 * WORDS {
                    return Err(E::invalid_length(octets.len(), &self));
                }
                let mut set = BucketSet::new();
                let (words, _) = octets.as_chunks::<8>();
                for (word, octets) in set.0.iter_mut().zip(words) {
                    *word = u64::from_be_bytes(*octets);
                }
                Ok(set)
            }
        }
        deserializer.deserialize_bytes(Octets)
    }
}
