//! Figures about a device for status, profiles and tests. Moving packets does not depend on them.

/// The diagnostics of a [`Device`](crate::Device): ring occupancy and frame counts.
pub trait Diagnostics {
    /// The fill levels of the rings at this moment. Costs a few loads from cache lines that the kernel writes, so call
    /// it for samples only.
    fn occupancy(&mut self) -> Occupancy;

    /// The number of frames that this device works with. Devices on the same queue share its receive frames, and each
    /// of them counts these frames.
    fn frames_total(&self) -> usize;

    /// The number of frames that are neither held by the worker nor waiting for transmission. Unread packets in the
    /// receive ring count as home: receive and release them before a drain.
    fn frames_home(&self) -> usize;
}

/// The fill levels of a device's rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Received packets that are not read yet.
    pub receive: Level,
    /// Free frames that the kernel may receive into. Devices on the same queue report the same frames.
    pub fill: Level,
    /// Packets queued for transmission that are not sent yet.
    pub transmit: Level,
}

/// The fill level of one ring, or of several rings together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Entries in use.
    pub entries: usize,
    /// The most entries that can be in use.
    pub room: usize,
}

impl std::ops::AddAssign for Level {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.room += other.room;
    }
}
