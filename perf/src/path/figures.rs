//! Samples by point and round, and what is made of them.

use serde::Serialize;

use super::points::{Axis, Order, Place, Point};
use crate::engine::figures::{Direction, median};

/// The samples of every point, by round.
#[derive(Default)]
pub struct Figures(Vec<Samples>);

struct Samples {
    point: Point,
    /// The worker, and the bare AEAD of the same round.
    ns: Vec<(f64, f64)>,
}

impl Figures {
    /// Begins with points, in the order in which they are to be shown.
    pub fn begin(&mut self, points: &[Point]) {
        let empty = |&point: &Point| Samples {
            point,
            ns: Vec::new(),
        };
        self.0.extend(points.iter().map(empty));
    }

    /// Notes a round of a point: the worker's nanoseconds per packet, and the bare AEAD's.
    pub fn add(&mut self, point: Point, worker: f64, aead: f64) {
        let known = self.0.iter_mut().find(|samples| samples.point == point);
        known
            .expect("a point that was begun")
            .ns
            .push((worker, aead));
    }

    /// A figure for each point, in the order in which they were begun.
    pub fn cells(&self) -> Vec<Cell> {
        self.0.iter().map(Samples::cell).collect()
    }
}

impl Samples {
    fn cell(&self) -> Cell {
        let of = |what: fn(&(f64, f64)) -> f64| self.ns.iter().map(what);
        let workers = || of(|sample| sample.0);
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
            aead_ns: median(of(|sample| sample.1).collect()),
            other_ns: median(of(|sample| sample.0 - sample.1).collect()),
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
}
