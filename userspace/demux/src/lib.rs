//! The owner of the XDP program: loads it, fills its maps, attaches it, reads its counters.
//!
//! [`steering`] holds in memory what the maps hold in the kernel, and answers the same verdicts;
//! [`program`] puts it into the kernel; [`moves`] lets buckets go over to other gateways while packets
//! flow; [`live`] asks the kernel's tables as they stand; [`counters`] reads what became of the packets.

pub mod counters;
pub mod live;
pub mod moves;
pub mod program;
pub mod steering;

pub use counters::Counters;
pub use live::Live;
pub use program::{Attach, Mode, Program, ProgramError};
pub use steering::Steering;
