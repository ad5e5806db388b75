//! The engine of `causeway explain`: the destination of a packet, with each step of the decision.
//!
//! [`trace`] calls `steering::decide`, the same function as the XDP program, with tables that record each lookup (`recorder`).
//! So the end of the trace is the program's verdict. Each step is a lookup, or a header field from the shared parser. `names`
//! has the names of the tables' indices, `answer` answers a query from any tables, `live` from the maps of the running program,
//! [`Configured`] from the tables of a configuration.

mod answer;
mod configured;
pub mod live;
mod names;
mod recorder;
mod trace;

pub use answer::answer;
pub use configured::Configured;
pub use names::{Names, Peering};
pub use recorder::BucketEntries;
pub use trace::{end, trace};
