//! Ctrl-C, SIGTERM and SIGHUP: the labs of this process go before it does.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Result, anyhow};

use crate::sweep;

/// The labs of this process. Whoever makes a namespace or starts a process in
/// one holds this lock; the handler takes it and never gives it back, so
/// nothing new appears behind its broom.
static LABS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static HANDLER: OnceLock<Result<(), String>> = OnceLock::new();

/// The right to make things inside a lab.
pub fn permit() -> MutexGuard<'static, BTreeSet<String>> {
    LABS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to it that a signal removes this process's labs.
pub fn arm() -> Result<()> {
    HANDLER
        .get_or_init(|| ctrlc::set_handler(on_signal).map_err(|error| error.to_string()))
        .clone()
        .map_err(|error| anyhow!("cannot handle Ctrl-C, so the lab would outlive it: {error}"))
}

fn on_signal() {
    let labs = permit();
    for id in labs.iter() {
        if let Err(error) = sweep::remove(id) {
            eprintln!("lab {id} could not be removed: {error:#}");
        }
    }
    // 128 + SIGINT, as a shell would say it.
    std::process::exit(130);
}
