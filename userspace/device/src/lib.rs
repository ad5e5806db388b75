//! Frames, bursts and the devices that move them: AF_XDP sockets, and a NIC pair in memory.
//!
//! The worker is generic over [`Device`], so that the same loop runs over a kernel's queue
//! ([`AfXdp`]) and over RAM ([`Memory`]). A frame is a move-only token: whoever holds it owns its
//! bytes, and safe code cannot give one frame to two rings.

mod afxdp;
mod arrived;
mod device;
pub mod memory;
mod wake;

pub use afxdp::{
    AfXdp, CopyMode, CopyPreference, FrameSize, Monitor, OpenError, OpenOptions, Stats, XdpFrame,
};
pub use arrived::{Arrived, Intake};
pub use device::{Device, Level, Occupancy, STANDSTILL};
pub use memory::{Memory, MemoryFrame};
pub use wake::Waker;
