//! Samples by point and round, and the figures computed from them.

use std::collections::BTreeMap;

use causeway_gateway::Stage;
use serde::Serialize;

use super::bench::Round;
use super::points::{Axis, Order, Place, Point};
use crate::engine::figures::Direction;
use crate::spread::median;

/// The samples of every point.
#[derive(Default)]
pub struct Figures(Vec<Samples>);

struct Samples {
    point: Point,
    /// The worker and the bare AEAD, by round.
    rounds: Vec<(Round, f64)>,
}

impl Figures {
    /// Adds points in the order of the report.
    pub fn begin(&mut self, points: &[Point]) {
        let empty = |&point: &Point| Samples {
            point,
            rounds: Vec::new(),
        };
        self.0.extend(points.iter().map(empty));
    }

    /// Adds a round of a point, with the nanoseconds per packet of the bare AEAD.
    pub fn add(&mut self, point: Point, worker: Round, aead: f64) {
        let known = self.0.iter_mut().find(|samples| samples.point == point);
        let rounds = &mut known.expect("the point was added by begin").rounds;
        rounds.push((worker, aead));
    }

    /// One figure for each point, in the order of `begin`.
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

/// The figure of one point.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PathFigure"))]
pub struct Cell {
    /// The parameter that varies within the group of the point.
    pub axis: Axis,
    /// The AEAD.
    pub cipher: &'static str,
    /// Size of the inner packet in bytes, or `imix`.
    pub size: String,
    /// The direction of the packets.
    pub direction: Direction,
    /// The location of the packets when the worker receives them.
    pub frames: Place,
    /// Packets of a burst.
    pub batch: usize,
    /// SAs of the direction, each in its own tunnel.
    pub sas: usize,
    /// The order of packets of several SAs.
    pub order: Order,
    /// Number of flows.
    pub flows: usize,
    /// Nanoseconds per packet of the worker, median of the rounds.
    pub ns: f64,
    /// Nanoseconds per packet, fastest round.
    pub ns_min: f64,
    /// Nanoseconds per packet, slowest round.
    pub ns_max: f64,
    /// Million packets per second, by the median.
    pub mpps: f64,
    /// Throughput in Gbit/s of inner bits, by the median.
    pub gbit_per_s: f64,
    /// Nanoseconds per packet of the fastest bare AEAD in the same rounds, for the same packet size.
    pub aead_ns: f64,
    /// Nanoseconds per packet of the worker less those of the AEAD: the median of the differences within the rounds.
    pub other_ns: f64,
    /// Nanoseconds per packet by stage: medians of the rounds. They come from the worker's own profile of one burst
    /// in 31 and add up only roughly.
    pub stages: BTreeMap<&'static str, f64>,
}
