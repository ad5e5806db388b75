//! Removes the labs of this process on Ctrl-C, SIGTERM and SIGHUP, before the process ends.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Result, anyhow};

use crate::sweep;

/// The ids of the labs of this process.
///
/// Code that makes a namespace or starts a process in one holds this lock. The signal handler takes the lock and keeps it,
/// so that nothing new is made while it removes the labs.
static LABS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static HANDLER: OnceLock<Result<(), String>> = OnceLock::new();

/// Locks out the signal handler while something is made inside a lab.
pub fn permit() -> MutexGuard<'static, BTreeSet<String>> {
    LABS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the signal handler.
pub fn arm() -> Result<()> {
    HANDLER
        .get_or_init(|| ctrlc::set_handler(on_signal).map_err(|error| error.to_string()))
        .clone()
        .map_err(|error| {
            anyhow!(
                "cannot install a signal handler, so the lab would remain after Ctrl-C: {error}"
            )
        })
}

fn on_signal() {
    let labs = permit();
    for id in labs.iter() {
        if let Err(error) = sweep::remove(id) {
            eprintln!("cannot remove lab {id}: {error:#}");
        }
    }
    // 128 + SIGINT, the convention of shells.
    std::process::exit(130);
}
