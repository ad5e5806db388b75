//! Loads the XDP program, fills its maps, attaches it and reads its counters.
//!
//! - [`steering`]: the tables in memory, with the same verdicts as the program.
//! - [`program`]: loads the program and writes the tables into the kernel's maps.
//! - `moves`: moves buckets to other gateways while packets flow; [`skew`]: the clock for that.
//! - [`live`]: verdicts on the tables in the kernel.
//! - [`counters`]: a snapshot of the program's counters.

pub mod counters;
mod entries;
pub mod error;
pub mod live;
mod moves;
pub mod program;
pub mod skew;
pub mod steering;

pub use counters::Counters;
pub use error::ProgramError;
pub use live::Live;
pub use program::{Attach, Mode, Program};
pub use steering::Steering;
