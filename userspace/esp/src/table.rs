//! From the SPI of a packet to what its receiver keeps for it.

use std::mem;

use crate::spi::Spi;

/// Slots of a table that has never grown.
const FEWEST_SLOTS: usize = 16;
/// 2^64 over the golden ratio, made odd: neighbouring SPIs land far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map from SPI to `V`, whose look-up costs the same whether it holds one SA or 100,000.
///
/// Open addressing with linear probing, at most half full; the value lies beside its SPI, so a look-up
/// touches one cache line as a rule. So keep `V` small: an index. Only [`SaTable::insert`] allocates.
///
/// The hash has no key. Which SPIs are in the table is the receiver's own choice, and a stranger who
/// asks for others can at most walk the longest run of full slots.
#[derive(Clone, Debug)]
pub struct SaTable<V> {
    /// A power of two of them.
    slots: Box<[Slot<V>]>,
    len: usize,
}

type Slot<V> = Option<(Spi, V)>;

impl<V> SaTable<V> {
    /// A table without an SA.
    pub fn new() -> SaTable<V> {
        SaTable {
            slots: empty(FEWEST_SLOTS),
            len: 0,
        }
    }

    /// How many SAs it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is kept for an SPI.
    #[inline]
    pub fn get(&self, spi: Spi) -> Option<&V> {
        match &self.slots[self.find(spi)] {
            Some((_, value)) => Some(value),
            None => None,
        }
    }

    /// What is kept for an SPI, to be changed.
    #[inline]
    pub fn get_mut(&mut self, spi: Spi) -> Option<&mut V> {
        match &mut self.slots[self.find(spi)] {
            Some((_, value)) => Some(value),
            None => None,
        }
    }

    /// The place of an SPI that is kept, for [`SaTable::at_mut`], until the table changes.
    #[inline]
    pub fn place(&self, spi: Spi) -> Option<usize> {
        let at = self.find(spi);
        self.slots[at].is_some().then_some(at)
    }

    /// What is kept at a place, which [`SaTable::place`] has told since the last change.
    ///
    /// # Panics
    /// If there is nothing.
    #[inline]
    pub fn at_mut(&mut self, place: usize) -> &mut V {
        let slot = self.slots[place].as_mut();
        let (_, value) = slot.expect("a place that was told since the last change");
        value
    }

    /// Keeps `value` for an SPI and returns what was kept for it before.
    pub fn insert(&mut self, spi: Spi, value: V) -> Option<V> {
        if self.len * 2 >= self.slots.len() {
            self.grow();
        }
        let at = self.find(spi);
        let before = self.slots[at].replace((spi, value));
        self.len += usize::from(before.is_none());
        before.map(|(_, value)| value)
    }

    /// Forgets an SPI and returns what was kept for it.
    pub fn remove(&mut self, spi: Spi) -> Option<V> {
        let mut hole = self.find(spi);
        let (_, value) = self.slots[hole].take()?;
        self.len -= 1;
        // Whoever was pushed past the hole moves into it: no tombstones, so a table in which SAs come
        // and go for ever stays as fast as a new one.
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

    /// Every SPI with its value, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Spi, &V)> {
        let full = self.slots.iter().flatten();
        full.map(|(spi, value)| (*spi, value))
    }

    /// Every SPI with its value, to be changed, in no order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Spi, &mut V)> {
        let full = self.slots.iter_mut().flatten();
        full.map(|(spi, value)| (*spi, value))
    }

    /// The slot that holds this SPI, or the empty one where it would go. There always is one, since
    /// half of them are empty.
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
        // Twice, because one multiplication would put SPIs of some strides into few slots.
        let once = u64::from(spi.get()).wrapping_mul(SPREAD);
        let twice = (once ^ (once >> 32)).wrapping_mul(SPREAD);
        (twice >> 32) as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    /// Steps from one slot on to another.
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
