//! The SAs as status and lists show them.

use std::time::SystemTime;

use causeway_gateway::Direction;

use super::{Entry, Sas};
use crate::control::Listed;
use crate::status;

impl Sas {
    /// All SAs with what they have carried, each with the place of its worker.
    pub fn rows(&self) -> Vec<(usize, status::Sa)> {
        let book = self.book();
        let mut rows: Vec<_> = book
            .entries()
            .iter()
            .map(|entry| {
                let peering = &self.posts[entry.post].terms[entry.tunnel].peering;
                (entry.post, row(entry, peering))
            })
            .collect();
        rows.sort_by_key(|(post, sa)| (*post, sa.direction, sa.since, sa.spi));
        rows
    }

    /// All SAs with what they have carried, for whoever asks over the control socket.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |(post, sa): (usize, status::Sa)| Listed {
            gateway: self.posts[post].gateway.clone(),
            worker: self.posts[post].worker,
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

/// The direction as the status document has it.
pub(super) fn direction(direction: Direction) -> status::Direction {
    match direction {
        Direction::Outbound => status::Direction::Outbound,
        Direction::Inbound => status::Direction::Inbound,
    }
}

/// Seconds of Unix time.
fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
