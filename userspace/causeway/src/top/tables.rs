//! What is known of the roles, as tables.

mod drops;
mod gateways;
mod roles;
mod stages;
mod workers;

use std::time::Instant;

use super::figures::{or_unknown, short, sum};
use super::model::{Role, WorkerPace};
use super::table::{Cell, Table, Tone};
use crate::status::Worker;

/// What rows of gateways and workers stand by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Their role, in its own order.
    #[default]
    Name,
    /// Bits per second, most first.
    Traffic,
    /// How busy they are, most first.
    Busy,
    /// Packets that they drop, most first.
    Drops,
}

impl Sort {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Traffic => "traffic",
            Self::Busy => "busy",
            Self::Drops => "drops",
        }
    }

    /// The one after it, in a circle.
    pub const fn next(self) -> Self {
        match self {
            Self::Name => Self::Traffic,
            Self::Traffic => Self::Busy,
            Self::Busy => Self::Drops,
            Self::Drops => Self::Name,
        }
    }
}

/// All tables, those without a row left out.
pub fn tables(roles: &[Role], sort: Sort, now: Instant) -> Vec<Table> {
    let mut tables = vec![roles::table(roles, now), roles::troubles(roles)];
    tables.extend(gateways::tables(roles));
    let workers = seats(roles, sort);
    tables.extend([
        workers::table(&workers),
        stages::table(&workers),
        drops::table(roles),
    ]);
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// A worker, the number of its role, and its pace.
struct Seat<'a> {
    role: usize,
    worker: &'a Worker,
    pace: Option<WorkerPace<'a>>,
}

impl Seat<'_> {
    /// The cells that say which worker it is.
    fn name(&self) -> [Cell; 3] {
        [
            number_of(self.role).into(),
            (&self.worker.gateway).into(),
            self.worker.worker.to_string().into(),
        ]
    }

    /// Inner bits per second, both ways.
    fn bits(&self) -> f64 {
        let bytes = |worker: &Worker| sum([worker.sealed.bytes, worker.opened.bytes]);
        self.pace.map_or(0.0, |pace| pace.of(bytes) * 8.0)
    }

    /// Packets that it and the kernel in front of it drop per second.
    fn dropped(&self) -> Option<f64> {
        let all = |worker: &Worker| -> u64 {
            let drops = worker.drops.values().chain(worker.kernel_drops.values());
            sum(drops.copied())
        };
        self.pace.map(|pace| pace.of(all))
    }
}

/// All workers.
fn seats(roles: &[Role], sort: Sort) -> Vec<Seat<'_>> {
    let mut seats = Vec::new();
    for (place, role) in roles.iter().enumerate() {
        let pace = role.pace();
        let workers = role.status().map_or(&[][..], |status| &status.workers);
        seats.extend(workers.iter().map(|worker| Seat {
            role: place,
            worker,
            pace: pace.and_then(|pace| pace.of_worker(worker)),
        }));
    }
    let key = |seat: &Seat<'_>| match sort {
        Sort::Name => 0.0,
        Sort::Traffic => seat.bits(),
        Sort::Busy => seat.pace.map_or(0.0, |pace| pace.busy()),
        Sort::Drops => seat.dropped().unwrap_or(0.0),
    };
    seats.sort_by(|a, b| key(b).total_cmp(&key(a)));
    seats
}

/// How the other tables name a role.
fn number_of(role: usize) -> String {
    (role + 1).to_string()
}

/// A number that should be 0.
fn rate_of_drops(rate: Option<f64>) -> Cell {
    let text = or_unknown(rate, short);
    match rate {
        Some(rate) if rate > 0.0 => Cell::new(text, Tone::Warn),
        _ => text.into(),
    }
}
