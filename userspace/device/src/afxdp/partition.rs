//! Which frames of a queue's UMEM receive, and which worker transmits the rest.
//!
//! The split is fixed when the queue is opened. So a transmit ring that is stuck cannot starve the
//! receive side, no worker can use up the frames of another, and each worker knows exactly how
//! many of its own are away, without a word to the others.

use super::OpenOptions;

/// The most packets that a driver receives in one poll (`NAPI_POLL_WEIGHT`).
pub(super) const NAPI_BUDGET: u32 = 64;

/// The split of one queue's frames, by their number in the UMEM: first those that receive, then
/// an equal share for each worker that transmits on this queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    frame_size: u32,
    /// Frames that receive.
    pub(super) receive: u32,
    /// Frames that each worker at home here transmits with.
    pub(super) quota: u32,
    /// Workers that transmit on this queue.
    pub(super) homes: u32,
    /// Entries of each worker's receive ring.
    pub(super) receive_ring: u32,
}

impl Partition {
    /// The split of `queue`, for options that [`OpenOptions::check`] accepted.
    pub(super) fn new(options: &OpenOptions, queue: u32, frame_size: u32) -> Self {
        let frames = options.frames_per_queue;
        let workers = options.workers as u32;
        let homes = (queue..workers).step_by(options.queues as usize).count() as u32;
        let quota = (frames / 2)
            .checked_div(homes)
            .map_or(0, |share| share.min(options.ring_size));
        let receive = frames - quota * homes;
        // A worker that stands still holds a full receive ring. The rings of all workers together
        // leave a ring's worth of frames over, so that it does not stop the others.
        let receive_ring = floor_power_of_two(receive / (workers + 1)).min(options.ring_size);
        Self {
            frame_size,
            receive,
            quota,
            homes,
            receive_ring,
        }
    }

    /// Entries of the fill ring: every frame that receives has a place, and so has every packet of
    /// one poll. For the kernel hands packets out before it frees their places (`xsk_flush`), and a
    /// worker may be back with the frames in between.
    pub(super) fn fill_ring(&self) -> u32 {
        (self.receive + NAPI_BUDGET).next_power_of_two()
    }

    /// Entries of the completion ring: every frame that transmits has a place, so that it is
    /// never full and cannot stop a transmission.
    pub(super) fn completion_ring(&self) -> u32 {
        (self.quota * self.homes).next_power_of_two()
    }

    /// Entries of a worker's transmit ring: every frame of its own has a place.
    pub(super) fn transmit_ring(&self) -> u32 {
        self.quota.next_power_of_two()
    }

    /// Bytes of socket buffer that the packets of a full transmit ring occupy. The kernel doubles
    /// what it is told, to make room for its own structures.
    pub(super) fn send_buffer(&self) -> usize {
        (self.quota as usize * self.frame_size as usize).min(1 << 30)
    }

    /// The frames of the `home`th worker that transmits here.
    pub(super) fn share(&self, home: u32) -> std::ops::Range<usize> {
        let start = self.receive + home * self.quota;
        start as usize..(start + self.quota) as usize
    }

    /// Which of the workers at home here a completed frame belongs to, by its UMEM address.
    pub(super) fn home_of(&self, address: usize) -> usize {
        if self.homes == 1 {
            return 0;
        }
        // UMEM addresses are below 2^32 frames times 2^12 bytes; the frame's number fits.
        let frame = (address / self.frame_size as usize) as u32;
        ((frame - self.receive) / self.quota) as usize
    }

    /// Whether a frame receives, by its UMEM address.
    pub(super) fn receives(&self, address: usize) -> bool {
        address < self.receive as usize * self.frame_size as usize
    }
}

/// The largest power of two that is not above `number`, which is not 0.
fn floor_power_of_two(number: u32) -> u32 {
    1 << number.ilog2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_frame_has_one_owner_and_every_ring_has_room(
            queues in 1u32..9,
            workers in 1usize..33,
            // Powers of two of frames are what a caller chooses.
            spare in prop_oneof![0u32..20_000, (0u32..14).prop_map(|power| 1 << power)],
            ring in 6u32..13,
        ) {
            let options = OpenOptions {
                queues,
                workers,
                frames_per_queue: 128 * (workers as u32 + 1) + spare,
                ring_size: 1 << ring,
                ..OpenOptions::new("eth9")
            };
            options.check().unwrap();
            let mut homes = 0;
            for queue in 0..queues {
                let split = Partition::new(&options, queue, 2048);
                homes += split.homes;
                let mut owners = vec![0u32; options.frames_per_queue as usize];
                for (frame, owners) in owners.iter_mut().enumerate() {
                    *owners += u32::from(split.receives(frame * 2048 + 256));
                }
                for home in 0..split.homes {
                    for frame in split.share(home) {
                        owners[frame] += 1;
                        prop_assert_eq!(split.home_of(frame * 2048 + 256), home as usize);
                    }
                }
                prop_assert!(owners.iter().all(|owners| *owners == 1));

                prop_assert!(split.homes == 0 || split.quota >= 64);
                prop_assert!(split.receive_ring >= 64);
                prop_assert!(split.receive_ring * workers as u32 + 64 <= split.receive);
                prop_assert!(split.receive_ring <= options.ring_size);
                prop_assert!(split.fill_ring() >= split.receive + 64);
                prop_assert!(split.transmit_ring() >= split.quota.max(1));
                prop_assert!(split.completion_ring() >= (split.quota * split.homes).max(1));
            }
            prop_assert_eq!(homes as usize, workers);
        }
    }
}
