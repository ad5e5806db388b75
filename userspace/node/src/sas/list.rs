//! The SAs in the status document and in lists.

use std::time::SystemTime;

use causeway_gateway::Direction;

use super::Sas;
use super::registry::{Entry, direction};
use causeway_api::control::WorkerSa;
use causeway_api::status;

impl Sas {
    /// The rows of all SAs, each with the index of its worker.
    pub fn rows(&self) -> Vec<(usize, status::Sa)> {
        let registry = self.registry();
        let mut rows: Vec<_> = registry
            .entries()
            .iter()
            .map(|entry| {
                let peering = &self.workers[entry.worker].templates[entry.tunnel].peering;
                (entry.worker, row(entry, peering))
            })
            .collect();
        rows.sort_by_key(|(worker, sa)| (*worker, sa.direction, sa.since, sa.spi));
        rows
    }

    /// The rows of all SAs, for the control socket.
    pub fn list(&self) -> Vec<WorkerSa> {
        let listed = |(worker, sa): (usize, status::Sa)| WorkerSa {
            gateway: self.workers[worker].gateway.clone(),
            worker: self.workers[worker].id,
            sa,
        };
        self.rows().into_iter().map(listed).collect()
    }
}

fn row(entry: &Entry, peering: &str) -> status::Sa {
    let usage = entry.meter.usage();
    let outbound = entry.direction == Direction::Outbound;
    status::Sa {
        spi: entry.spi.get(),
        direction: direction(entry.direction),
        peering: peering.to_owned(),
        state: entry.state().to_owned(),
        packets: usage.packets,
        bytes: usage.bytes,
        since: unix(entry.installed),
        expires: entry.expires.map(unix),
        sequence_numbers_remaining: outbound.then(|| entry.meter.sequences_remaining()),
    }
}

/// Unix time in seconds.
fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
