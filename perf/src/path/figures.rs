//! Samples by point and round, and what is made of them.

use std::collections::BTreeMap;

use causeway_gateway::Stage;
use serde::Serialize;

use super::bench::Round;
use super::points::{Axis, Order, Place, Point};
use crate::engine::figures::Direction;
use crate::spread::median;

/// The samples of every point, by round.
#[derive(Default)]
pub struct Figures(Vec<Samples>);

struct Samples {
    point: Point,
    /// The worker, and the bare AEAD of the same round.
    rounds: Vec<(Round, f64)>,
}

impl Figures {
    /// Begins with points, in the order in which they are to be shown.
    pub fn begin(&mut self, points: &[Point]) {
        let empty = |&point: &Point| Samples {
            point,
            rounds: Vec::new(),
        };
        self.0.extend(points.iter().map(empty));
    }

    /// Notes a round of a point, and the bare AEAD's nanoseconds per packet.
    pub fn add(&mut self, point: Point, worker: Round, aead: f64) {
        let known = self.0.iter_mut().find(|samples| samples.point == point);
        let rounds = &mut known.expect("a point that was begun").rounds;
        rounds.push((worker, aead));
    }

    /// A figure for each point, in the order in which they were begun.
    pub fn cells(&self) -> Vec<Cell> {
        self.0.iter().map(Samples::cell).collect()
    }
}

impl Samples {
    fn cell(&self) -> Cell {
        let of = |what: fn(&(Round, f64)) -> f64| self.rounds.iter().map(what);
        let workers = || of(|(worker, _)| worker.ns);
        let stages = Stage::ALL.into_iter().zip(0..).map(|(stage, place)| {
            let times = self.rounds.iter().map(|(worker, _)| worker.stages[place]);
            (
                stage.name(),
                median(times.filter(|time| !time.is_nan()).collect()),
            )
        });
        let ns = median(workers().collect());
        let point = self.point;
        Cell {
            axis: point.axis,
            cipher: point.cipher.name(),
            size: point.workload.to_string(),
            direction: point.direction,
            frames: point.place,
            batch: point.batch,
            sas: point.sas,
            order: point.order,
            flows: point.flows,
            ns,
            ns_min: workers().fold(f64::INFINITY, f64::min),
            ns_max: workers().fold(0.0, f64::max),
            mpps: 1e3 / ns,
            gbit_per_s: point.workload.mean_len() * 8.0 / ns,
            aead_ns: median(of(|(_, aead)| *aead).collect()),
            other_ns: median(of(|(worker, aead)| worker.ns - aead).collect()),
            stages: stages.filter(|(_, ns)| !ns.is_nan()).collect(),
        }
    }
}

/// A figure.
#[derive(Serialize)]
pub struct Cell {
    /// What its group changes.
    pub axis: Axis,
    pub cipher: &'static str,
    /// Inner bytes, or `imix`.
    pub size: String,
    pub direction: Direction,
    /// Where they lie.
    pub frames: Place,
    pub batch: usize,
    pub sas: usize,
    pub order: Order,
    pub flows: usize,
    /// Nanoseconds per packet: median, fastest and slowest round.
    pub ns: f64,
    pub ns_min: f64,
    pub ns_max: f64,
    /// Million packets per second, by the median.
    pub mpps: f64,
    /// Inner bits, by the median.
    pub gbit_per_s: f64,
    /// The fastest bare AEAD of the same rounds, over packets of the same size.
    pub aead_ns: f64,
    /// All that is not the AEAD: the median difference within a round.
    pub other_ns: f64,
    /// Nanoseconds per packet by stage, by the worker's own clock: medians of the rounds.
    pub stages: BTreeMap<&'static str, f64>,
}
