//! Samples by round, their medians, and comparisons within rounds.

use causeway_esp::{Backend, Cipher};
use serde::Serialize;

use super::workload::Workload;
use crate::spread::median;

/// The direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Inner to outer packet.
    Seal,
    /// Outer to inner packet.
    Open,
}

impl Direction {
    /// Sealing comes first: it makes the packets that are opened.
    pub const BOTH: [Direction; 2] = [Direction::Seal, Direction::Open];
}

/// The measured operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Inner to outer packet or back, with headers, window and trailer.
    Esp,
    /// The AEAD alone.
    Aead,
}

/// The subject of a figure. Without a backend it is the default choice of backends.
pub type Subject = (Cipher, Workload, Direction, Operation, Option<Backend>);

/// Nanoseconds per packet of every subject, by round.
#[derive(Default)]
pub struct Figures(Vec<(Subject, Vec<f64>)>);

impl Figures {
    /// Adds a sample of a round; rounds count from 1.
    pub fn add(&mut self, subject: Subject, round: u32, ns: f64) {
        let at = self.0.iter().position(|(known, _)| *known == subject);
        let at = at.unwrap_or_else(|| {
            self.0.push((subject, Vec::new()));
            self.0.len() - 1
        });
        let samples = &mut self.0[at].1;
        assert_eq!(
            samples.len() + 1,
            round as usize,
            "expected one sample per round"
        );
        samples.push(ns);
    }

    /// The samples of a subject, by round.
    pub fn samples(&self, subject: Subject) -> &[f64] {
        self.0
            .iter()
            .find(|(known, _)| *known == subject)
            .map_or(&[], |(_, samples)| samples)
    }

    /// The median over the rounds of `compare` applied to two subjects.
    pub fn within_rounds(
        &self,
        one: Subject,
        other: Subject,
        compare: impl Fn(f64, f64) -> f64,
    ) -> f64 {
        let pairs = self.samples(one).iter().zip(self.samples(other));
        median(pairs.map(|(&one, &other)| compare(one, other)).collect())
    }

    /// The measured backend with the fastest ESP.
    pub fn best(&self, cipher: Cipher, workload: Workload, direction: Direction) -> Backend {
        let subject = |backend| (cipher, workload, direction, Operation::Esp, Some(backend));
        let measured = |backend: &Backend| !self.samples(subject(*backend)).is_empty();
        Backend::ALL
            .into_iter()
            .filter(measured)
            .reduce(|best, other| {
                let ratio =
                    self.within_rounds(subject(best), subject(other), |best, other| best / other);
                if ratio <= 1.0 { best } else { other }
            })
            .expect("a backend was measured")
    }

    /// All figures, for the report and the document.
    pub fn cells(&self) -> Vec<Cell> {
        self.0
            .iter()
            .map(
                |&((cipher, workload, direction, what, backend), ref samples)| {
                    let ns = median(samples.clone());
                    Cell {
                        cipher: cipher.name(),
                        size: workload.to_string(),
                        direction,
                        what,
                        backend: backend.map_or("auto", Backend::name),
                        ns,
                        ns_min: samples.iter().copied().fold(f64::INFINITY, f64::min),
                        ns_max: samples.iter().copied().fold(0.0, f64::max),
                        gbit_per_s: workload.mean_len() * 8.0 / ns,
                    }
                },
            )
            .collect()
    }
}

/// The figure of one subject.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "EngineFigure"))]
pub struct Cell {
    /// The AEAD.
    pub cipher: &'static str,
    /// Size of the inner packet in bytes, or `imix`.
    pub size: String,
    /// The direction of the packets.
    pub direction: Direction,
    /// The measured operation.
    pub what: Operation,
    /// The name of the backend, or `auto` for the default choice.
    pub backend: &'static str,
    /// Nanoseconds per packet, median of the rounds.
    pub ns: f64,
    /// Nanoseconds per packet, fastest round.
    pub ns_min: f64,
    /// Nanoseconds per packet, slowest round.
    pub ns_max: f64,
    /// Throughput in Gbit/s of inner bits, by the median.
    pub gbit_per_s: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn subject(backend: Option<Backend>) -> Subject {
        let size = Workload::Size(64);
        (
            Cipher::Aes128Gcm,
            size,
            Direction::Seal,
            Operation::Esp,
            backend,
        )
    }

    #[test]
    fn a_busy_round_does_not_change_a_comparison() {
        let (one, other) = (Some(Backend::RustCrypto), Some(Backend::AwsLc));
        let mut figures = Figures::default();
        for (round, busy) in (1..).zip([1.0, 5.0, 1.0]) {
            figures.add(subject(one), round, 200.0 * busy);
            figures.add(subject(other), round, 100.0 * busy);
        }
        let ratio = figures.within_rounds(subject(one), subject(other), |a, b| a / b);
        assert_eq!(ratio, 2.0);
        let best = figures.best(Cipher::Aes128Gcm, Workload::Size(64), Direction::Seal);
        assert_eq!(best, Backend::AwsLc);
        let cells = figures.cells();
        assert_eq!((cells[0].ns, cells[0].ns_max), (200.0, 1000.0));
        assert_eq!(cells[1].gbit_per_s, 64.0 * 8.0 / 100.0);
    }
}
