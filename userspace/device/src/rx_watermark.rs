//! Detects when all packets that had arrived by a given moment are read.

use crate::device::{Device, RxCursor};

/// The packets that were in a device's receive rings at one moment.
///
/// Each ring has its own mark: a busy ring may be read while another one is not, so one count of all packets would
/// prove nothing about either ring.
#[derive(Debug)]
pub struct RxWatermark(Vec<RingMark>);

#[derive(Debug)]
struct RingMark {
    ring: usize,
    /// The ring's count of read packets at which every packet before the mark is read.
    read_through: u64,
}

impl RxWatermark {
    /// Marks the packets that have arrived so far.
    pub fn at(device: &mut impl Device) -> Self {
        Self::of(|ring| device.rx_cursor(ring))
    }

    fn of(rx_cursor: impl FnMut(usize) -> Option<RxCursor>) -> Self {
        let cursors = (0..).map_while(rx_cursor);
        let marks = cursors.enumerate().map(|(ring, cursor)| RingMark {
            ring,
            read_through: cursor.read + (cursor.unread + cursor.unseen) as u64,
        });
        Self(marks.collect())
    }

    /// Whether all of these packets are read. An empty ring holds none of them. In a ring that never becomes empty,
    /// they are read once the count of read packets has reached the mark.
    pub fn is_read(&mut self, device: &mut impl Device) -> bool {
        self.is_read_by(|ring| device.rx_cursor(ring))
    }

    fn is_read_by(&mut self, mut rx_cursor: impl FnMut(usize) -> Option<RxCursor>) -> bool {
        self.0.retain(|mark| {
            let cursor = rx_cursor(mark.ring);
            cursor.is_some_and(|ring| ring.unread > 0 && ring.read < mark.read_through)
        });
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNSEEN: usize = 2;

    /// The ring, the number of packets that arrive in it, and the number of packets that are then read.
    fn event() -> impl Strategy<Value = (usize, u64, u64)> {
        (0usize..3, 0u64..6, 0u64..6)
    }

    /// For each ring the number of packets that arrived, and the number that were read.
    #[derive(Clone, Default)]
    struct Rings([(u64, u64); 3]);

    impl Rings {
        fn apply(&mut self, (ring, arriving, read): (usize, u64, u64)) {
            let ring = &mut self.0[ring];
            ring.0 += arriving;
            ring.1 = (ring.1 + read).min(ring.0);
        }

        fn rx_cursor(&self, ring: usize) -> Option<RxCursor> {
            let &(arrived, read) = self.0.get(ring)?;
            Some(RxCursor {
                read,
                unread: (arrived - read) as usize,
                unseen: UNSEEN,
            })
        }
    }

    proptest! {
        /// The watermark is read as soon as each ring was once empty, or all of its visible and possibly unseen packets
        /// are read; not earlier, and regardless of the load on the other rings.
        #[test]
        fn the_watermark_waits_for_each_rings_packets_and_for_no_later_ones(
            before in prop::collection::vec(event(), 0..20),
            after in prop::collection::vec(event(), 0..40),
        ) {
            let mut rings = Rings::default();
            before.into_iter().for_each(|event| rings.apply(event));
            let at_mark = rings.clone();
            let mut watermark = RxWatermark::of(|ring| rings.rx_cursor(ring));
            let mut expected = [false; 3];
            for event in after {
                rings.apply(event);
                for (expected, (now, then)) in expected.iter_mut().zip(rings.0.iter().zip(at_mark.0)) {
                    *expected |= now.0 == now.1 || now.1 >= then.0 + UNSEEN as u64;
                }
                let is_read = watermark.is_read_by(|ring| rings.rx_cursor(ring));
                prop_assert_eq!(is_read, expected.iter().all(|expected| *expected));
                let left = rings.0.iter().zip(at_mark.0).any(|(now, then)| now.1 < then.0);
                prop_assert!(!(is_read && left));
            }
        }
    }
}
