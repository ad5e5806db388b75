//! The disk of a simulated demux, which at times refuses a write and takes it later.

use causeway_rescale::coordinator::{Input, State};

use crate::random::Random;

/// In a million: writes that are refused, and pauses of the demux after which a refused write succeeds.
const FAILS: u64 = 50_000;
const RECOVERS: u64 = 100_000;

pub struct Disk {
    /// What a demux reads at its start.
    pub state: State,
    /// A state that was refused.
    refused: Option<(u64, State)>,
    /// Numbers of its own, so that a seed draws the same delays as before the disk could fail.
    random: Random,
}

impl Disk {
    pub fn new(state: State, seed: u64) -> Self {
        Self {
            state,
            refused: None,
            random: Random::new(seed),
        }
    }

    /// Writes a state, or refuses it. Returns the report.
    pub fn store(&mut self, id: u64, state: State) -> Input {
        self.refused = None;
        let result = match self.random.chance(FAILS) {
            true => {
                self.refused = Some((id, state));
                Err(String::from("no space left"))
            }
            false => {
                self.state = state;
                Ok(())
            }
        };
        Input::Stored { id, result }
    }

    /// Writes the refused state again, at times.
    pub fn retry(&mut self) -> Option<Input> {
        if self.refused.is_none() || !self.random.chance(RECOVERS) {
            return None;
        }
        let (id, state) = self.refused.take()?;
        self.state = state;
        Some(Input::Stored { id, result: Ok(()) })
    }

    /// The process has ended, and with it its writes.
    pub fn forget_refused(&mut self) {
        self.refused = None;
    }
}
