//! The goals of the worker.

use serde::Serialize;

use super::figures::Cell;
use super::peer;
use super::points::{Axis, Place};
use crate::engine::figures::Direction;

/// Limit of the worker without the AEAD, in nanoseconds per packet, with frames in L2 and bursts of 64.
const OTHER_NS: f64 = 35.0;
/// Limit for many SAs or flows over one: the sum of a part in percent and a part in nanoseconds.
const FLAT_PERCENT: f64 = 10.0;
const FLAT_NS: f64 = 3.0;

/// In the order of the report.
const NAMES: [&str; 4] = [
    "ahead-of-peer",
    "all-but-the-aead",
    "flatness-in-sas",
    "flatness-in-flows",
];

/// A goal and its measured value.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PathGoal"))]
pub struct Goal {
    /// The name of the goal.
    pub name: &'static str,
    /// The measured point.
    pub on: String,
    /// The unit of `measured` and `limit`.
    pub unit: &'static str,
    /// The measured value.
    pub measured: f64,
    /// The bound of `measured`.
    pub limit: f64,
    /// Whether `limit` is a lower bound. Otherwise it is an upper bound.
    pub at_least: bool,
    /// Whether the goal is met.
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

/// Every goal for which there are figures.
pub fn all(cells: &[Cell]) -> Vec<Goal> {
    let peer = peer::rows(cells).into_iter().map(|row| Goal {
        at_least: true,
        holds: row.ratio >= 1.0,
        ..Goal::new(
            "ahead-of-peer",
            format!(
                "{} {} {}",
                row.cipher,
                row.size,
                direction_name(row.direction)
            ),
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
    let mut goals: Vec<Goal> = peer.chain(other).chain(flatness(cells)).collect();
    // A stable sort keeps the order of measurement within a goal.
    goals.sort_by_key(|goal| NAMES.iter().position(|name| *name == goal.name));
    goals
}

/// Compares many SAs or flows with one of the same group.
fn flatness(cells: &[Cell]) -> impl Iterator<Item = Goal> {
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
            Axis::Sas => "flatness-in-sas",
            _ => "flatness-in-flows",
        };
        let on = format!("{}, {}", on(cell), cell.frames);
        Some(Goal::new(name, on, "ns", cell.ns, limit))
    })
}

/// The name of a figure.
pub fn on(cell: &Cell) -> String {
    let base = format!(
        "{} {} {}",
        cell.cipher,
        cell.size,
        direction_name(cell.direction)
    );
    match cell.axis {
        Axis::Table => base,
        Axis::Batch => format!("{base}, bursts of {}", cell.batch),
        Axis::Sas => format!("{base}, {} SAs in {:?}", cell.sas, cell.order).to_lowercase(),
        Axis::Flows => format!("{base}, {} flows", cell.flows),
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Seal => "seal",
        Direction::Open => "open",
    }
}
