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
        let intakes = (0..).map_while(|ring| device.intake(ring));
        let unread = intakes.enumerate().map(|(ring, intake)| Unread {
            ring,
            through: intake.read + (intake.unread + intake.unseen) as u64,
        });
        Self(unread.collect())
    }

    /// Whether all of it has been read. A ring that is found empty holds nothing of it; one that is never empty has
    /// given it away when as many packets have been read as it could be.
    pub fn is_read(&mut self, device: &mut impl Device) -> bool {
        self.0.retain(|unread| {
            let intake = device.intake(unread.ring);
            intake.is_some_and(|ring| ring.unread > 0 && ring.read < unread.through)
        });
        self.0.is_empty()
    }
}
