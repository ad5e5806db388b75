//! What the engine is meant to reach on any machine, as ratios and differences within one run.

use causeway_esp::Cipher;
use serde::Serialize;

use super::figures::{Direction, Figures, What};
use super::workload::Workload;

/// The default choice is at most this much slower than the best backend present, in percent.
const DEFAULT_PERCENT: f64 = 5.0;
/// ESP adds at most this much to the bare AEAD at 64 bytes, in nanoseconds.
const SMALL_NS: f64 = 20.0;
/// ESP adds at most this much to the bare AEAD at 1408 bytes, in percent.
const LARGE_PERCENT: f64 = 5.0;

/// A goal and what was measured.
#[derive(Serialize)]
pub struct Goal {
    pub name: &'static str,
    pub cipher: &'static str,
    pub size: String,
    pub direction: Direction,
    pub unit: &'static str,
    pub measured: f64,
    pub limit: f64,
    pub holds: bool,
}

/// Every goal for every cipher.
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
                    compared(of(What::Esp, None), of(What::Esp, best), percent),
                );
                let (esp, aead) = (of(What::Esp, best), of(What::Aead, best));
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
