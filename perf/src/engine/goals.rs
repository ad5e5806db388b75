//! The goals of the engine, as ratios and differences within one run, so that they apply to any machine.

use causeway_esp::Cipher;
use serde::Serialize;

use super::figures::{Direction, Figures, Operation};
use super::workload::Workload;

/// Limit of the default choice over the best available backend, in percent.
const DEFAULT_PERCENT: f64 = 5.0;
/// Limit of ESP over the bare AEAD at 64 bytes, in nanoseconds.
const SMALL_NS: f64 = 20.0;
/// Limit of ESP over the bare AEAD at 1408 bytes, in percent.
const LARGE_PERCENT: f64 = 5.0;

/// A goal and its measured value.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "EngineGoal"))]
pub struct Goal {
    /// The name of the goal.
    pub name: &'static str,
    /// The AEAD.
    pub cipher: &'static str,
    /// Size of the inner packet in bytes, or `imix`.
    pub size: String,
    /// The direction of the packets.
    pub direction: Direction,
    /// The unit of `measured` and `limit`: `percent` or `ns`.
    pub unit: &'static str,
    /// The measured value.
    pub measured: f64,
    /// The upper bound of `measured`.
    pub limit: f64,
    /// Whether the goal is met.
    pub holds: bool,
}

/// Every goal, for every cipher, direction and size.
pub fn all(figures: &Figures) -> Vec<Goal> {
    let mut goals = Vec::new();
    for cipher in Cipher::ALL {
        for direction in Direction::BOTH {
            for workload in Workload::ALL {
                let best = Some(figures.best(cipher, workload, direction));
                let of = |what, backend| (cipher, workload, direction, what, backend);
                let mut goal = |name, unit, limit, measured: f64| {
                    goals.push(Goal {
                        name,
                        cipher: cipher.name(),
                        size: workload.to_string(),
                        direction,
                        unit,
                        measured,
                        limit,
                        holds: measured <= limit,
                    });
                };
                let compared = |one, other, compare: fn(f64, f64) -> f64| {
                    figures.within_rounds(one, other, compare)
                };
                goal(
                    "default-behind-best",
                    "percent",
                    DEFAULT_PERCENT,
                    compared(of(Operation::Esp, None), of(Operation::Esp, best), percent),
                );
                let (esp, aead) = (of(Operation::Esp, best), of(Operation::Aead, best));
                match workload {
                    Workload::Size(64) => {
                        let ns = compared(esp, aead, |esp, aead| esp - aead);
                        goal("esp-over-aead", "ns", SMALL_NS, ns);
                    }
                    Workload::Size(1408) => {
                        let added = compared(esp, aead, percent);
                        goal("esp-over-aead", "percent", LARGE_PERCENT, added);
                    }
                    _ => {}
                }
            }
        }
    }
    goals
}

fn percent(one: f64, other: f64) -> f64 {
    (one / other - 1.0) * 100.0
}
