//! Frames and the packet devices that move them: AF_XDP sockets, and a NIC pair in memory.
//!
//! The worker is generic over [`Device`]. The same loop therefore runs over a queue of the kernel ([`AfXdp`]) and
//! over memory ([`Memory`]). [`Diagnostics`] is a separate trait: moving packets does not depend on it.
//!
//! A frame is a move-only token. The owner of the token owns the frame's bytes, and safe code cannot put one frame
//! into two rings.

#![warn(missing_docs)]

mod afxdp;
mod device;
mod diagnostics;
pub mod memory;
mod rx_watermark;
mod wake;

pub use afxdp::{
    AfXdp, CopyMode, CopyPreference, FrameSize, Monitor, OpenError, OpenOptions, Stats, XdpFrame,
};
pub use device::{Device, RxCursor, STALL_AFTER};
pub use diagnostics::{Diagnostics, Level, Occupancy};
pub use memory::{Memory, MemoryFrame};
pub use rx_watermark::RxWatermark;
pub use wake::Waker;
