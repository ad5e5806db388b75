//! In which order holds, buckets and markers change.
//!
//! A state machine for one peering of one demux. It has no clock and sends nothing: whoever owns it
//! tells it the time and what was heard ([`Input`]), and carries out what it wants ([`Output`]).

mod io;
mod settings;

pub use io::{Event, Health, Input, Outcome, Output, Refusal, State, UnderWay};
pub use settings::Settings;
