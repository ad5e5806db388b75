//! The measured points, in groups whose points are compared within each round.

use std::fmt;

use causeway_esp::Cipher;
use serde::Serialize;

use crate::engine::figures::Direction;
use crate::engine::workload::Workload;

/// The minimum number of packets per point and round.
pub const PACKETS: usize = 16384;
/// Packets of a burst, except where the burst length varies.
pub const BATCH: usize = 64;
const BATCHES: [usize; 5] = [1, 4, 16, 64, 256];
const SAS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const FLOWS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
/// Inner sizes in bytes.
pub const SIZES: [Workload; 4] = [
    Workload::Size(64),
    Workload::Size(512),
    Workload::Size(1400),
    Workload::Imix,
];

/// The location of the packets when the worker receives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In the L2 cache: one frame for each packet of a burst, at least 64, and as many to transmit.
    L2,
    /// Beyond the L2 cache: 8192 frames of 4096 bytes, and as many to transmit.
    Beyond,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::L2 => "in L2",
            Place::Beyond => "beyond L2",
        })
    }
}

/// The order of packets of several SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// One burst of each SA in turn.
    Bursts,
    /// One packet of each SA in turn.
    Turns,
}

/// One measured combination of parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub cipher: Cipher,
    pub workload: Workload,
    pub place: Place,
    pub direction: Direction,
    pub batch: usize,
    /// SAs of the direction, each in its own tunnel.
    pub sas: usize,
    pub order: Order,
    pub flows: usize,
    /// The parameter that varies within the group.
    pub axis: Axis,
}

/// The parameter that varies within a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Only the direction.
    Table,
    /// The length of a burst.
    Batch,
    /// The number of SAs.
    Sas,
    /// The number of flows.
    Flows,
}

impl Point {
    /// Number of frames to receive.
    pub fn packets(&self) -> usize {
        match self.place {
            Place::L2 => self.batch.max(BATCH),
            Place::Beyond => 8192,
        }
    }

    /// Number of frames to receive and transmit.
    pub fn frames(&self) -> usize {
        2 * self.packets()
    }
}

/// Points that take turns within each round.
pub struct Group {
    pub name: String,
    pub points: Vec<Point>,
}

/// All groups: the table, then the groups that vary one parameter, for one cipher and size or for all.
pub fn groups(full: bool) -> Vec<Group> {
    let mut groups = Vec::new();
    for place in [Place::L2, Place::Beyond] {
        for cipher in Cipher::ALL {
            for workload in SIZES {
                let base = Point {
                    cipher,
                    workload,
                    place,
                    direction: Direction::Seal,
                    batch: BATCH,
                    sas: 1,
                    order: Order::Bursts,
                    flows: 1,
                    axis: Axis::Table,
                };
                groups.push(group(base, "the table", [base]));
                let first = (cipher, workload, place);
                if full || first == (Cipher::Aes128Gcm, Workload::Size(64), Place::L2) {
                    groups.extend(axes(base));
                }
            }
        }
    }
    groups
}

fn axes(base: Point) -> impl Iterator<Item = Group> {
    let batches = BATCHES.map(|batch| Point {
        batch,
        axis: Axis::Batch,
        ..base
    });
    let sas = |order| {
        SAS.map(|sas| Point {
            sas,
            order,
            axis: Axis::Sas,
            ..base
        })
    };
    let flows = FLOWS.map(|flows| Point {
        flows,
        axis: Axis::Flows,
        ..base
    });
    [
        group(base, "bursts", batches),
        group(base, "SAs, a burst of each", sas(Order::Bursts)),
        group(base, "SAs, a packet of each", sas(Order::Turns)),
        group(base, "flows", flows),
    ]
    .into_iter()
}

/// A group with each point in both directions.
fn group(base: Point, what: &str, points: impl IntoIterator<Item = Point>) -> Group {
    let both = |point: Point| Direction::BOTH.map(|direction| Point { direction, ..point });
    Group {
        name: format!("{} {} {}, {what}", base.cipher, base.workload, base.place),
        points: points.into_iter().flat_map(both).collect(),
    }
}
