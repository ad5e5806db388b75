//! What the worker is meant to reach.

use serde::Serialize;

use super::figures::Cell;
use super::peer;
use super::points::{Axis, Place};
use crate::engine::figures::Direction;

/// All that is not the AEAD, in nanoseconds per packet, in L2 and bursts of 64.
const OTHER_NS: f64 = 35.0;
/// What many SAs or flows may cost more than one: so many per cent and so many nanoseconds.
const FLAT_PERCENT: f64 = 10.0;
const FLAT_NS: f64 = 3.0;

/// In the order in which they are told.
const NAMES: [&str; 4] = [
    "ahead-of-peer",
    "all-but-the-aead",
    "flat-in-sas",
    "flat-in-flows",
];

/// A goal and what was measured.
#[derive(Serialize)]
pub struct Goal {
    pub name: &'static str,
    /// What it was measured on.
    pub on: String,
    pub unit: &'static str,
    pub measured: f64,
    pub limit: f64,
    /// Whether `limit` is the least, not the most.
    pub at_least: bool,
    pub holds: bool,
}

impl Goal {
    fn new(name: &'static str, on: String, unit: &'static str, measured: f64, limit: f64) -> Goal {
        Goal {
            name,
            on,
            unit,
            measured,
            limit,
            at_least: false,
            holds: measured <= limit,
        }
    }
}

/// Every goal that the figures tell of.
pub fn all(cells: &[Cell]) -> Vec<Goal> {
    let peer = peer::rows(cells).into_iter().map(|row| Goal {
        at_least: true,
        holds: row.ratio >= 1.0,
        ..Goal::new(
            "ahead-of-peer",
            format!("{} {} {}", row.cipher, row.size, way(row.direction)),
            "of the peer's packets per second",
            row.ratio,
            1.0,
        )
    });
    let table = cells
        .iter()
        .filter(|cell| (cell.axis, cell.frames) == (Axis::Table, Place::L2));
    let other =
        table.map(|cell| Goal::new("all-but-the-aead", on(cell), "ns", cell.other_ns, OTHER_NS));
    let mut goals: Vec<Goal> = peer.chain(other).chain(flat(cells)).collect();
    // Stable: within a goal they stay as they were measured.
    goals.sort_by_key(|goal| NAMES.iter().position(|name| *name == goal.name));
    goals
}

/// Many against one of the same group.
fn flat(cells: &[Cell]) -> impl Iterator<Item = Goal> {
    let many = cells.iter().filter(|cell| match cell.axis {
        Axis::Sas => cell.sas > 1,
        Axis::Flows => cell.flows > 1,
        Axis::Table | Axis::Batch => false,
    });
    many.filter_map(|cell| {
        let one = cells.iter().find(|one| {
            (one.sas, one.flows) == (1, 1)
                && (one.axis, one.frames, one.direction) == (cell.axis, cell.frames, cell.direction)
                && (one.cipher, &one.size, one.order) == (cell.cipher, &cell.size, cell.order)
        })?;
        let limit = one.ns * (1.0 + FLAT_PERCENT / 100.0) + FLAT_NS;
        let name = match cell.axis {
            Axis::Sas => "flat-in-sas",
            _ => "flat-in-flows",
        };
        let on = format!("{}, {}", on(cell), cell.frames);
        Some(Goal::new(name, on, "ns", cell.ns, limit))
    })
}

/// What a figure is of.
pub fn on(cell: &Cell) -> String {
    let base = format!("{} {} {}", cell.cipher, cell.size, way(cell.direction));
    match cell.axis {
        Axis::Table => base,
        Axis::Batch => format!("{base}, bursts of {}", cell.batch),
        Axis::Sas => format!("{base}, {} SAs in {:?}", cell.sas, cell.order).to_lowercase(),
        Axis::Flows => format!("{base}, {} flows", cell.flows),
    }
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Seal => "seal",
        Direction::Open => "open",
    }
}
