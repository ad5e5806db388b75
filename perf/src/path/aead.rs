//! The bare AEAD, measured in the same rounds as the worker, and the cost of reading the clock.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use causeway_esp::Backend;

use super::points::{BATCH, Group, PACKETS, Place};
use crate::engine::figures::Direction;
use crate::engine::subject::Subject;
use crate::engine::workload;
use crate::machine::thread_time;
use crate::spread::median;

/// The bare AEAD of each backend, over frames that are placed as the worker's frames.
pub struct Bare {
    subjects: Vec<Subject>,
    frames: workload::Frames,
    repeats: usize,
    /// Index of the fastest backend for each direction.
    best: [usize; 2],
}

/// Nanoseconds per packet of the fastest bare AEAD, by direction.
pub struct Aead([f64; 2]);

impl Aead {
    pub fn of(&self, direction: Direction) -> f64 {
        self.0[direction as usize]
    }
}

impl Bare {
    pub fn new(group: &Group) -> Result<Bare> {
        let first = group.points.first().context("the group has no points")?;
        let count = match first.place {
            Place::L2 => BATCH,
            Place::Beyond => first.packets(),
        };
        let mut frames = workload::Frames::new(count);
        frames.fill(first.workload);
        let subjects = Backend::present()
            .map(|backend| Subject::bare(first.cipher, backend))
            .collect::<Result<_>>()?;
        Ok(Bare {
            subjects,
            frames,
            repeats: PACKETS / count,
            best: [0; 2],
        })
    }

    /// Measures one round of the fastest backends. The `first` round measures all backends to find them.
    pub fn round(&mut self, first: bool) -> Result<Aead> {
        if first {
            let mut times = Vec::new();
            for n in 0..self.subjects.len() {
                self.best = [n; 2];
                times.push(self.measure()?);
            }
            self.best = Direction::BOTH.map(|direction| {
                let time = |n: &usize| times[*n].of(direction);
                let best = (0..times.len()).min_by(|a, b| time(a).total_cmp(&time(b)));
                best.unwrap_or_default()
            });
        }
        self.measure()
    }

    fn measure(&mut self) -> Result<Aead> {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..self.repeats {
            for direction in Direction::BOTH {
                let subject = &mut self.subjects[self.best[direction as usize]];
                let time = subject
                    .pass(direction, &mut self.frames)?
                    .saturating_sub(clock()?);
                let ns = time.as_nanos() as f64 / self.frames.count() as f64;
                times[direction as usize].push(ns);
            }
        }
        Ok(Aead(times.map(median)))
    }
}

/// The cost of reading the thread's clock, which is a system call: the median of many readings.
pub fn clock() -> Result<Duration> {
    static COST: OnceLock<Duration> = OnceLock::new();
    if let Some(cost) = COST.get() {
        return Ok(*cost);
    }
    let costs = (0..1001).map(|_| {
        let start = thread_time()?;
        Ok(thread_time()?.saturating_sub(start).as_nanos() as f64)
    });
    let cost = median(costs.collect::<Result<_>>()?);
    Ok(*COST.get_or_init(|| Duration::from_nanos(cost as u64)))
}
