//! A hash map from SPIs to a receiver's state.

use std::mem;

use crate::spi::Spi;

/// Slots of a new table.
const MIN_SLOTS: usize = 16;
/// 2^64 over the golden ratio, rounded to an odd number: it maps adjacent SPIs to distant slots.
const HASH_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map from SPI to `V` with lookups of constant cost, from one SA to 100,000.
///
/// The table uses open addressing with linear probing and is at most half full. A value is stored beside its
/// SPI, so a lookup usually reads one cache line. Keep `V` small, for example an index. Only
/// [`SaTable::insert`] allocates.
///
/// The hash has no secret. The receiver chooses the SPIs in the table. An attacker who sends other SPIs can at
/// most make a lookup read the longest run of full slots.
#[derive(Clone, Debug)]
pub struct SaTable<V> {
    /// The number of slots is a power of two.
    slots: Box<[Slot<V>]>,
    len: usize,
}

type Slot<V> = Option<(Spi, V)>;

impl<V> SaTable<V> {
    /// Creates an empty table.
    pub fn new() -> SaTable<V> {
        SaTable {
            slots: empty(MIN_SLOTS),
            len: 0,
        }
    }

    /// The number of SPIs in the table.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if the table holds no SPI.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of an SPI.
    #[inline]
    pub fn get(&self, spi: Spi) -> Option<&V> {
        match &self.slots[self.find(spi)] {
            Some((_, value)) => Some(value),
            None => None,
        }
    }

    /// The mutable value of an SPI.
    #[inline]
    pub fn get_mut(&mut self, spi: Spi) -> Option<&mut V> {
        match &mut self.slots[self.find(spi)] {
            Some((_, value)) => Some(value),
            None => None,
        }
    }

    /// The slot of an SPI, for [`SaTable::slot_mut`]. It is valid until the next insertion or removal.
    #[inline]
    pub fn slot(&self, spi: Spi) -> Option<usize> {
        let at = self.find(spi);
        self.slots[at].is_some().then_some(at)
    }

    /// The mutable value in a slot that [`SaTable::slot`] returned since the last insertion or removal.
    ///
    /// # Panics
    /// If the slot is empty.
    #[inline]
    pub fn slot_mut(&mut self, slot: usize) -> &mut V {
        let slot = self.slots[slot].as_mut();
        let (_, value) = slot.expect("a slot that was returned since the last change");
        value
    }

    /// Sets the value of an SPI and returns the previous value.
    pub fn insert(&mut self, spi: Spi, value: V) -> Option<V> {
        if self.len * 2 >= self.slots.len() {
            self.grow();
        }
        let at = self.find(spi);
        let before = self.slots[at].replace((spi, value));
        self.len += usize::from(before.is_none());
        before.map(|(_, value)| value)
    }

    /// Removes an SPI and returns its value.
    pub fn remove(&mut self, spi: Spi) -> Option<V> {
        let mut hole = self.find(spi);
        let (_, value) = self.slots[hole].take()?;
        self.len -= 1;
        // Entries that were displaced past the hole move into it. Without tombstones, lookups stay fast after any
        // number of insertions and removals.
        let mut at = hole;
        loop {
            at = self.next(at);
            let Some((spi, _)) = self.slots[at] else {
                return Some(value);
            };
            let home = self.home(spi);
            if self.distance(home, at) >= self.distance(hole, at) {
                self.slots.swap(hole, at);
                hole = at;
            }
        }
    }

    /// Every SPI with its value, in unspecified order.
    pub fn iter(&self) -> impl Iterator<Item = (Spi, &V)> {
        let full = self.slots.iter().flatten();
        full.map(|(spi, value)| (*spi, value))
    }

    /// Every SPI with its mutable value, in unspecified order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Spi, &mut V)> {
        let full = self.slots.iter_mut().flatten();
        full.map(|(spi, value)| (*spi, value))
    }

    /// The slot that holds this SPI, or the empty slot where it would be inserted. One always exists, since half of
    /// the slots are empty.
    #[inline]
    fn find(&self, spi: Spi) -> usize {
        let mut at = self.home(spi);
        while let Some((other, _)) = &self.slots[at]
            && *other != spi
        {
            at = self.next(at);
        }
        at
    }

    /// The slot where the search for an SPI starts.
    #[inline]
    fn home(&self, spi: Spi) -> usize {
        // Two multiplications: after one, SPIs of some strides share a few slots.
        let once = u64::from(spi.get()).wrapping_mul(HASH_MULTIPLIER);
        let twice = (once ^ (once >> 32)).wrapping_mul(HASH_MULTIPLIER);
        (twice >> 32) as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    /// The number of steps forward from one slot to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let larger = empty(self.slots.len() * 2);
        for (spi, value) in mem::replace(&mut self.slots, larger).into_iter().flatten() {
            let at = self.find(spi);
            self.slots[at] = Some((spi, value));
        }
    }
}

impl<V> Default for SaTable<V> {
    fn default() -> SaTable<V> {
        SaTable::new()
    }
}

fn empty<V>(slots: usize) -> Box<[Slot<V>]> {
    std::iter::repeat_with(|| None).take(slots).collect()
}

#[cfg(test)]
mod tests;
