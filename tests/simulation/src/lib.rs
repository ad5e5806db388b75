//! Two VPCs with demuxes, gateways and links, in simulated time.
//!
//! The coordinator, its tables, the program's bucket entries and the workers' holds are the code of
//! production. Links, processes and clocks are simulated. A seed determines a schedule completely.
#![forbid(unsafe_code)]

mod demux;
mod disk;
mod driver;
mod gateway;
mod laws;
mod link;
mod random;
mod schedule;
mod site;
mod world;

pub use laws::Report;
pub use link::{Delay, Time};
pub use schedule::{Fault, Flow, Kind, Op, Schedule};

/// Runs a schedule. With `log` it prints every event.
pub fn play(schedule: Schedule, log: bool) -> Report {
    let mut world = world::World::new(schedule, log);
    world.play();
    world.laws.report
}
