//! What a caller of [`AfXdp::open`](super::AfXdp::open) decides.

use super::OpenError;

/// The room in front of a packet that the kernel keeps for XDP programs (`XDP_PACKET_HEADROOM`),
/// in bytes.
const HEADROOM: u32 = 256;
/// Octets of an Ethernet header without a tag.
const ETHERNET: u32 = 14;
/// The smallest share of frames that lets one burst pass.
const BURST: u32 = 64;
/// 4 GiB of frames of 4096 bytes, far beyond use, and it keeps ring sizes inside 32 bits.
const MOST_FRAMES: u32 = 1 << 20;

/// How packets cross between the driver and the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// The NIC reads and writes the frames itself.
    ZeroCopy,
    /// The kernel copies every packet.
    Copy,
}

/// Which [`CopyMode`] to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyPreference {
    /// Zero-copy where the driver can do it, else copy.
    #[default]
    Auto,
    /// Zero-copy, and an error where the driver cannot.
    ZeroCopy,
    /// Copy, even where the driver could do without.
    Copy,
}

/// The size of a UMEM chunk: headroom, Ethernet header and packet stand in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameSize {
    /// The smallest that carries the NIC's MTU.
    #[default]
    Auto,
    /// 2048 bytes, for an MTU of at most 1778.
    Bytes2048,
    /// 4096 bytes, for an MTU of at most 3826.
    Bytes4096,
}

impl FrameSize {
    /// Bytes of a frame for a NIC with this MTU, or the error that says why there is none.
    ///
    /// # Errors
    /// [`OpenError::MtuTooLarge`].
    pub fn bytes(self, interface: &str, mtu: u32) -> Result<u32, OpenError> {
        let bytes = match self {
            FrameSize::Auto if mtu <= largest_mtu(2048) => 2048,
            FrameSize::Bytes2048 => 2048,
            FrameSize::Auto | FrameSize::Bytes4096 => 4096,
        };
        if mtu > largest_mtu(bytes) {
            return Err(OpenError::MtuTooLarge {
                interface: interface.to_owned(),
                mtu,
                frame_size: bytes,
                largest: largest_mtu(bytes),
            });
        }
        Ok(bytes)
    }
}

/// The largest MTU whose packets fit into one frame of `frame_size` bytes.
const fn largest_mtu(frame_size: u32) -> u32 {
    frame_size - HEADROOM - ETHERNET
}

/// What to open: `workers` devices, each with a socket on every one of `queues` queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// The NIC's name, in the network namespace of the calling thread.
    pub interface: String,
    /// Queues 0 to `queues - 1` are bound.
    pub queues: u32,
    /// Devices to make. Worker `w` transmits on queue `w % queues`.
    pub workers: usize,
    /// Frames of each queue's UMEM, for all workers together: at least 128 for each worker and
    /// 128 more.
    pub frames_per_queue: u32,
    /// Bytes of a frame.
    pub frame_size: FrameSize,
    /// The most entries that a socket's receive ring and transmit ring get, a power of two from
    /// 64 on. They get fewer where the frames are too few to fill them.
    pub ring_size: u32,
    /// Zero-copy or copy.
    pub copy: CopyPreference,
    /// Binds with `XDP_USE_NEED_WAKEUP`, so that an idle driver sleeps instead of polling.
    pub need_wakeup: bool,
}

impl OpenOptions {
    /// One worker on one queue, with 8192 frames and rings of 2048.
    pub fn new(interface: impl Into<String>) -> Self {
        Self {
            interface: interface.into(),
            queues: 1,
            workers: 1,
            frames_per_queue: 8192,
            frame_size: FrameSize::Auto,
            ring_size: 2048,
            copy: CopyPreference::Auto,
            need_wakeup: true,
        }
    }

    /// Refuses numbers that no kernel could serve, before it is asked.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        let refuse = |what| Err(OpenError::Options { what });
        if self.queues == 0 || self.workers == 0 {
            return refuse(format!(
                "at least one queue and one worker, not {} and {}",
                self.queues, self.workers
            ));
        }
        if !self.ring_size.is_power_of_two() || self.ring_size < BURST {
            return refuse(format!(
                "a ring size that is a power of two of at least {BURST}, not {}",
                self.ring_size
            ));
        }
        // Half the frames transmit, a burst for each worker; half receive, a burst for each
        // worker's ring and one in the fill ring.
        let least = (self.workers as u64 + 1) * 2 * u64::from(BURST);
        if u64::from(self.frames_per_queue) < least || self.frames_per_queue > MOST_FRAMES {
            return refuse(format!(
                "{least} to {MOST_FRAMES} frames a queue for {} workers, not {}",
                self.workers, self.frames_per_queue
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_carries_its_headroom_and_header_beside_the_mtu() {
        let bytes = |size: FrameSize, mtu| size.bytes("eth9", mtu).ok();
        assert_eq!(bytes(FrameSize::Auto, 1500), Some(2048));
        assert_eq!(bytes(FrameSize::Auto, 1778), Some(2048));
        assert_eq!(bytes(FrameSize::Auto, 1779), Some(4096));
        assert_eq!(bytes(FrameSize::Auto, 3826), Some(4096));
        assert_eq!(bytes(FrameSize::Auto, 3827), None);
        assert_eq!(bytes(FrameSize::Bytes2048, 1779), None);

        let told = FrameSize::Auto.bytes("eth9", 9001).unwrap_err().to_string();
        for part in ["eth9", "9001", "4096", "3826"] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let fine = OpenOptions::new("eth9");
        assert!(fine.check().is_ok());
        let wrong = [
            OpenOptions {
                queues: 0,
                ..fine.clone()
            },
            OpenOptions {
                workers: 0,
                ..fine.clone()
            },
            OpenOptions {
                workers: 64,
                ..fine.clone()
            },
            OpenOptions {
                ring_size: 1000,
                ..fine.clone()
            },
            OpenOptions {
                ring_size: 32,
                ..fine.clone()
            },
            OpenOptions {
                frames_per_queue: u32::MAX,
                ..fine.clone()
            },
        ];
        for options in wrong {
            assert!(options.check().is_err(), "{options:?}");
        }
        assert!(
            OpenOptions {
                workers: 63,
                ..fine
            }
            .check()
            .is_ok()
        );
    }
}
