//! What had arrived at a device at a moment, and whether it has been read since.

use crate::Device;

/// One receive ring at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intake {
    /// Packets that were read from it since the device was opened.
    pub read: u64,
    /// Packets that wait in it to be read.
    pub unread: usize,
    /// The most packets that may stand in it already and be shown only when the kernel is done with a burst.
    pub unseen: usize,
}

/// The packets that had arrived in a device's receive rings at a moment.
///
/// It is told ring by ring: of several rings a busy one is read while another is not, so a count of all
/// packets would say nothing about either.
#[derive(Debug)]
pub struct Arrived(Vec<Unread>);

#[derive(Debug)]
struct Unread {
    ring: usize,
    /// The count of packets read at which none of them is left.
    through: u64,
}

impl Arrived {
    /// What has arrived by now.
    pub fn at(device: &mut impl Device) -> Self {
        Self::of(|ring| device.intake(ring))
    }

    fn of(intake: impl FnMut(usize) -> Option<Intake>) -> Self {
        let intakes = (0..).map_while(intake);
        let unread = intakes.enumerate().map(|(ring, intake)| Unread {
            ring,
            through: intake.read + (intake.unread + intake.unseen) as u64,
        });
        Self(unread.collect())
    }

    /// Whether all of it has been read. A ring that is found empty holds nothing of it; one that is never empty has
    /// given it away when as many packets have been read as it could be.
    pub fn is_read(&mut self, device: &mut impl Device) -> bool {
        self.is_read_by(|ring| device.intake(ring))
    }

    fn is_read_by(&mut self, mut intake: impl FnMut(usize) -> Option<Intake>) -> bool {
        self.0.retain(|unread| {
            let intake = intake(unread.ring);
            intake.is_some_and(|ring| ring.unread > 0 && ring.read < unread.through)
        });
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNSEEN: usize = 2;

    /// What happens to a ring: so many packets come, then so many are read.
    fn event() -> impl Strategy<Value = (usize, u64, u64)> {
        (0usize..3, 0u64..6, 0u64..6)
    }

    /// For each ring how many packets have come, and how many were read.
    #[derive(Clone, Default)]
    struct Rings([(u64, u64); 3]);

    impl Rings {
        fn go_on(&mut self, (ring, come, read): (usize, u64, u64)) {
            let ring = &mut self.0[ring];
            ring.0 += come;
            ring.1 = (ring.1 + read).min(ring.0);
        }

        fn intake(&self, ring: usize) -> Option<Intake> {
            let &(came, read) = self.0.get(ring)?;
            Some(Intake {
                read,
                unread: (came - read) as usize,
                unseen: UNSEEN,
            })
        }
    }

    proptest! {
        /// It is read when each ring was found empty, or gave all that it held and may have held unseen, and then
        /// only, however busy the other rings are.
        #[test]
        fn each_ring_gives_what_it_held_and_no_more_is_waited_for(
            before in prop::collection::vec(event(), 0..20),
            after in prop::collection::vec(event(), 0..40),
        ) {
            let mut rings = Rings::default();
            before.into_iter().for_each(|event| rings.go_on(event));
            let then = rings.clone();
            let mut arrived = Arrived::of(|ring| rings.intake(ring));
            let mut given = [false; 3];
            for event in after {
                rings.go_on(event);
                for (given, (now, then)) in given.iter_mut().zip(rings.0.iter().zip(then.0)) {
                    *given |= now.0 == now.1 || now.1 >= then.0 + UNSEEN as u64;
                }
                let is_read = arrived.is_read_by(|ring| rings.intake(ring));
                prop_assert_eq!(is_read, given.iter().all(|given| *given));
                let left = rings.0.iter().zip(then.0).any(|(now, then)| now.1 < then.0);
                prop_assert!(!(is_read && left));
            }
        }
    }
}
