//! Demuxes, gateways, peers and links in simulated time.
//!
//! The coordinator, its tables, the program's bucket entries and the workers' holds are those of
//! production; links, processes and clocks are played. A seed is a schedule: the same one for ever.
#![forbid(unsafe_code)]

mod demux;
mod driver;
mod gateway;
mod laws;
mod link;
mod random;
mod schedule;
mod world;

pub use laws::Report;
pub use link::{Length, Time};
pub use schedule::{Fault, Flow, Kind, Op, Schedule};

/// Plays a schedule. `log` prints what happens.
pub fn play(schedule: Schedule, log: bool) -> Report {
    let mut world = world::World::new(schedule, log);
    world.play();
    world.laws.report
}
