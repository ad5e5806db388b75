//! In which order holds, buckets and markers change.
//!
//! A state machine for one peering of one demux. It has no clock and sends nothing: whoever owns it
//! tells it the time and what was heard ([`Input`]), and carries out what it wants ([`Output`]).

mod io;
mod settings;

use std::collections::VecDeque;
use std::time::Duration;

use crate::table::Table;

pub use io::{Event, Health, Input, Outcome, Output, Refusal, State, UnderWay};
pub use settings::Settings;

/// What brings one peering's buckets from pair to pair.
///
/// After each [`Coordinator::handle`] its owner carries out what [`Coordinator::poll`] gives, until
/// it gives nothing more, and comes back at [`Coordinator::next_wake`] at the latest. Times are
/// counted from any one moment, on a clock that never goes back.
#[derive(Debug)]
pub struct Coordinator {
    table: Table,
    out: VecDeque<Output>,
    wake: Duration,
}

impl Coordinator {
    /// A coordinator that begins with what was stored, and what it wants done first. Its requests
    /// are numbered from `number`, which should be drawn by chance: what answers a former process
    /// is then no answer to this one.
    pub fn new(settings: Settings, state: State, number: u64, now: Duration) -> Self {
        let _ = (settings, number);
        Self {
            table: state.table,
            out: VecDeque::new(),
            wake: now,
        }
    }

    /// Takes in what was heard.
    pub fn handle(&mut self, now: Duration, input: Input) {
        let _ = input;
        self.wake = now + Duration::from_millis(20);
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to come back with [`Input::Tick`] at the latest.
    pub fn next_wake(&self) -> Duration {
        self.wake
    }

    /// The table in force.
    pub fn table(&self) -> &Table {
        &self.table
    }
}
