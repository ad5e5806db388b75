//! A worker of this host, for the other threads.

use std::sync::{Arc, Mutex};

use causeway_gateway::Control;

use crate::sas::{ReservedRange, SaTemplate};

/// A worker of this host, shared by all threads that send commands to it or read its counters.
pub struct WorkerHandle {
    pub gateway: String,
    /// The worker's number on this host.
    pub id: u32,
    /// The core to which the worker is pinned.
    pub core: Option<usize>,
    /// The control end of the worker's channels.
    pub control: Control,
    /// The template of each tunnel of the worker.
    pub templates: Vec<SaTemplate>,
    /// For each tunnel the reserved sequence numbers of its outbound SA. The thread that handles the workers' events extends
    /// the reservations.
    pub reserved: Mutex<Vec<ReservedRange>>,
}

/// The workers of this host, in the order of their numbers.
pub type Workers = Arc<[Arc<WorkerHandle>]>;

impl WorkerHandle {
    /// The index of the worker's tunnel of a peering.
    pub fn tunnel(&self, peering: &str) -> Option<usize> {
        let mut templates = self.templates.iter();
        templates.position(|template| template.peering == peering)
    }
}
