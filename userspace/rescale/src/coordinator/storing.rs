//! What the disk has of the coordinator's states.

/// The numbers of the states, and the failure of the latest one.
#[derive(Debug, Default)]
pub(super) struct Storing {
    latest: u64,
    done: u64,
    error: Option<String>,
}

impl Storing {
    /// The number of the next state.
    pub fn next(&self) -> u64 {
        self.latest + 1
    }

    /// A state is given to the disk. Returns its number.
    pub fn begin(&mut self) -> u64 {
        self.latest = self.next();
        self.latest
    }

    pub fn receive(&mut self, id: u64, result: Result<(), String>) {
        match result {
            Ok(()) => self.done = self.done.max(id),
            Err(why) if id == self.latest => self.error = Some(why),
            // A later state replaces this one.
            Err(_) => {}
        }
        if self.is_done(self.latest) {
            self.error = None;
        }
    }

    /// Whether this state or a later one is on disk.
    pub fn is_done(&self, id: u64) -> bool {
        self.done >= id
    }

    /// Why the latest state is not on disk. `None` while it is being written for the first time.
    pub fn error(&self) -> Option<String> {
        self.error.clone()
    }
}
