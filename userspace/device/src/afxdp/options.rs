//! The options of [`AfXdp::open`](super::AfXdp::open).

use super::error::OpenError;

/// The bytes that the kernel reserves in front of a packet for XDP programs (`XDP_PACKET_HEADROOM`).
const HEADROOM: u32 = 256;
/// Bytes of an Ethernet header without a VLAN tag.
const ETHERNET: u32 = 14;
/// The packets of one burst, and thus the smallest useful number of frames.
const BURST: u32 = 64;
/// The most frames of a queue: 4 GiB with frames of 4096 bytes. The limit keeps ring sizes within 32 bits.
const MAX_FRAMES: u32 = 1 << 20;

/// How packets move between the driver and the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// The NIC accesses the frames directly.
    ZeroCopy,
    /// The kernel copies every packet.
    Copy,
}

/// The [`CopyMode`] to request from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyPreference {
    /// Zero-copy if the driver supports it, else copy.
    #[default]
    Auto,
    /// Zero-copy, or an error if the driver does not support it.
    ZeroCopy,
    /// Copy, even if the driver supports zero-copy.
    Copy,
}

/// The size of a frame (UMEM chunk), which holds headroom, Ethernet header and packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameSize {
    /// The smallest size that fits the NIC's MTU.
    #[default]
    Auto,
    /// 2048 bytes, for an MTU of at most 1778.
    Bytes2048,
    /// 4096 bytes, for an MTU of at most 3826.
    Bytes4096,
}

impl FrameSize {
    /// The bytes of a frame for a NIC with this MTU.
    ///
    /// # Errors
    /// [`OpenError::MtuTooLarge`] if no frame of this choice fits the MTU.
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

/// The parameters of [`AfXdp::open`](super::AfXdp::open): `workers` devices, each with a socket on each of `queues` queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// The name of the NIC in the network namespace of the calling thread.
    pub interface: String,
    /// The number of queues. Queues 0 to `queues - 1` are bound.
    pub queues: u32,
    /// The number of devices. Worker `w` transmits on queue `w % queues`.
    pub workers: usize,
    /// The number of frames of each queue's UMEM, for all workers together: at least 128 for each worker, plus 128.
    pub frames_per_queue: u32,
    /// The size of a frame.
    pub frame_size: FrameSize,
    /// The most entries of a socket's receive ring and transmit ring: a power of two, at least 64. The rings are smaller
    /// if there are too few frames to fill them.
    pub ring_size: u32,
    /// The requested copy mode.
    pub copy: CopyPreference,
    /// Whether to bind with `XDP_USE_NEED_WAKEUP`, which lets an idle driver sleep instead of polling.
    pub need_wakeup: bool,
}

impl OpenOptions {
    /// The defaults: one worker on one queue, with 8192 frames and rings of 2048 entries.
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

    /// Rejects numbers that no kernel could serve.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        let refuse = |expected| Err(OpenError::Options { expected });
        if self.queues == 0 || self.workers == 0 {
            return refuse(format!(
                "at least one queue and one worker, got {} and {}",
                self.queues, self.workers
            ));
        }
        if !self.ring_size.is_power_of_two() || self.ring_size < BURST {
            return refuse(format!(
                "a ring size that is a power of two of at least {BURST}, got {}",
                self.ring_size
            ));
        }
        // Half of the frames transmit: at least one burst for each worker. The other half receives: at least one burst
        // for each worker's ring and one burst in the fill ring.
        let least = (self.workers as u64 + 1) * 2 * u64::from(BURST);
        if u64::from(self.frames_per_queue) < least || self.frames_per_queue > MAX_FRAMES {
            return refuse(format!(
                "{least} to {MAX_FRAMES} frames per queue for {} workers, got {}",
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
    fn a_frame_holds_headroom_header_and_mtu() {
        let bytes = |size: FrameSize, mtu| size.bytes("eth9", mtu).ok();
        assert_eq!(bytes(FrameSize::Auto, 1500), Some(2048));
        assert_eq!(bytes(FrameSize::Auto, 1778), Some(2048));
        assert_eq!(bytes(FrameSize::Auto, 1779), Some(4096));
        assert_eq!(bytes(FrameSize::Auto, 3826), Some(4096));
        assert_eq!(bytes(FrameSize::Auto, 3827), None);
        assert_eq!(bytes(FrameSize::Bytes2048, 1779), None);

        let message = FrameSize::Auto.bytes("eth9", 9001).unwrap_err().to_string();
        for part in ["eth9", "9001", "4096", "3826"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn impossible_options_are_refused() {
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
