//! The division of a queue's UMEM into receive frames and each worker's transmit frames.
//!
//! The division is fixed when the queue is opened. A stuck transmit ring therefore cannot starve the receive side, and
//! no worker can use up the frames of another. Each worker can count its frames in flight without synchronisation.

use super::options::OpenOptions;

/// The most packets that a driver receives in one poll (`NAPI_POLL_WEIGHT`).
pub(super) const NAPI_BUDGET: u32 = 64;

/// The division of one queue's frames, by their number in the UMEM: first the receive frames, then an equal share for
/// each worker that transmits on this queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    frame_size: u32,
    /// The number of receive frames.
    pub(super) receive: u32,
    /// The number of transmit frames of each worker that transmits on this queue.
    pub(super) quota: u32,
    /// The number of workers that transmit on this queue.
    pub(super) transmitters: u32,
    /// The number of entries of each worker's receive ring.
    pub(super) receive_ring: u32,
}

impl Partition {
    /// The division of `queue`. [`OpenOptions::check`] must have accepted the options.
    pub(super) fn new(options: &OpenOptions, queue: u32, frame_size: u32) -> Self {
        let frames = options.frames_per_queue;
        let workers = options.workers as u32;
        let transmitters = (queue..workers).step_by(options.queues as usize).count() as u32;
        let quota = (frames / 2)
            .checked_div(transmitters)
            .map_or(0, |share| share.min(options.ring_size));
        let receive = frames - quota * transmitters;
        // A stalled worker holds a full receive ring. The rings of all workers together leave one ring's worth of
        // frames over, so that a stalled worker does not stop the others.
        let receive_ring = floor_power_of_two(receive / (workers + 1)).min(options.ring_size);
        Self {
            frame_size,
            receive,
            quota,
            transmitters,
            receive_ring,
        }
    }

    /// The number of entries of the fill ring: one for each receive frame, and one for each packet of a driver poll. The
    /// kernel publishes received packets before it frees their entries (`xsk_flush`), and a worker may return the frames
    /// in between.
    pub(super) fn fill_ring(&self) -> u32 {
        (self.receive + NAPI_BUDGET).next_power_of_two()
    }

    /// The number of entries of the completion ring: one for each transmit frame, so that a full ring never stops
    /// transmission.
    pub(super) fn completion_ring(&self) -> u32 {
        (self.quota * self.transmitters).next_power_of_two()
    }

    /// The number of entries of a worker's transmit ring: one for each of the worker's frames.
    pub(super) fn transmit_ring(&self) -> u32 {
        self.quota.next_power_of_two()
    }

    /// The bytes of socket buffer that the packets of a full transmit ring occupy. The kernel doubles the value to make
    /// room for its own structures.
    pub(super) fn send_buffer(&self) -> usize {
        (self.quota as usize * self.frame_size as usize).min(1 << 30)
    }

    /// The frames of worker number `transmitter` among those that transmit on this queue.
    pub(super) fn share(&self, transmitter: u32) -> std::ops::Range<usize> {
        let start = self.receive + transmitter * self.quota;
        start as usize..(start + self.quota) as usize
    }

    /// The number of the transmitter that owns a completed frame, by the frame's UMEM address.
    pub(super) fn transmitter_of(&self, address: usize) -> usize {
        if self.transmitters == 1 {
            return 0;
        }
        // UMEM addresses are below 2^32 frames times 2^12 bytes, so the frame's number fits into 32 bits.
        let frame = (address / self.frame_size as usize) as u32;
        ((frame - self.receive) / self.quota) as usize
    }

    /// Whether a frame is a receive frame, by its UMEM address.
    pub(super) fn receives(&self, address: usize) -> bool {
        address < self.receive as usize * self.frame_size as usize
    }
}

/// The largest power of two that does not exceed `number`. `number` must not be 0.
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
            // Callers usually choose powers of two.
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
            let mut transmitters = 0;
            for queue in 0..queues {
                let partition = Partition::new(&options, queue, 2048);
                transmitters += partition.transmitters;
                let mut owners = vec![0u32; options.frames_per_queue as usize];
                for (frame, owners) in owners.iter_mut().enumerate() {
                    *owners += u32::from(partition.receives(frame * 2048 + 256));
                }
                for transmitter in 0..partition.transmitters {
                    for frame in partition.share(transmitter) {
                        owners[frame] += 1;
                        prop_assert_eq!(partition.transmitter_of(frame * 2048 + 256), transmitter as usize);
                    }
                }
                prop_assert!(owners.iter().all(|owners| *owners == 1));

                prop_assert!(partition.transmitters == 0 || partition.quota >= 64);
                prop_assert!(partition.receive_ring >= 64);
                prop_assert!(partition.receive_ring * workers as u32 + 64 <= partition.receive);
                prop_assert!(partition.receive_ring <= options.ring_size);
                prop_assert!(partition.fill_ring() >= partition.receive + 64);
                prop_assert!(partition.transmit_ring() >= partition.quota.max(1));
                prop_assert!(partition.completion_ring() >= (partition.quota * partition.transmitters).max(1));
            }
            prop_assert_eq!(transmitters as usize, workers);
        }
    }
}
