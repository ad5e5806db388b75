//! One direction filled by iperf3: its throughput, the share of each gateway,
//! and whether packets keep their order while queues are full.

use std::thread;

use anyhow::Result;

use super::iperf::{self, Load, Tcp, Way};
use super::load::Snapshot;
use super::probe::{self, Probe};
use crate::{Lab, Site};

/// Packets per second of the probe: too thin to take part in the load.
const PROBE_RATE: u64 = 2_000;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// VPC 1 sends.
    There,
    /// VPC 2 sends.
    Back,
}

impl Direction {
    /// The host that sends and the one that receives.
    pub fn ends(self) -> (Site, Site) {
        let (one, two) = (Site::host(1, 1), Site::host(2, 1));
        match self {
            Self::There => (one, two),
            Self::Back => (two, one),
        }
    }
}

/// What one direction showed.
#[derive(Clone, Debug)]
pub struct Busy {
    /// iperf3's own figures.
    pub tcp: Tcp,
    /// The probe that ran beside it.
    pub probe: Probe,
    /// Gbit/s of each gateway of VPC 1 and of VPC 2.
    moved: [Vec<Rate>; 2],
}

/// Gbit/s of inner packets through one gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Sealed.
    pub sealed: f64,
    /// Opened.
    pub opened: f64,
}

/// Fills one direction.
pub fn run(lab: &Lab, direction: Direction, load: Load) -> Result<Busy> {
    let (from, to) = direction.ends();
    let flows = probe::Plan::default().flows;
    let thin = probe::Plan {
        packets_per_flow: PROBE_RATE * u64::from(load.duration) / u64::from(flows),
        rate: PROBE_RATE,
        ..probe::Plan::default()
    };
    let before = snapshots(lab)?;
    let (tcp, probe) = thread::scope(|scope| {
        let probe = scope.spawn(|| probe::run(lab, from, to, &thin));
        // The client stays in VPC 1: iperf3 -R, as the other direction of one and the same.
        let (one, two) = Direction::There.ends();
        let way = match direction {
            Direction::There => Way::There,
            Direction::Back => Way::Back,
        };
        let tcp = iperf::run(lab, one, two, load, way);
        let probe = probe
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (tcp, probe)
    });
    let (tcp, probe) = (tcp?, probe?);
    let now = snapshots(lab)?;
    let moved = [0, 1].map(|vpc| now[vpc].gbit_per_s(&before[vpc], tcp.total.seconds));
    Ok(Busy { tcp, probe, moved })
}

fn snapshots(lab: &Lab) -> Result<[Snapshot; 2]> {
    Ok([Snapshot::take(lab, 1)?, Snapshot::take(lab, 2)?])
}

/// The rates of each VPC's gateways, each way out of the window in which it was
/// filled: VPC 1 seals on the way there and opens on the way back.
pub fn rates(there: Option<&Busy>, back: Option<&Busy>, gateways: u8) -> [Vec<Rate>; 2] {
    let nothing = vec![Rate::default(); gateways.into()];
    let moved = |busy: Option<&Busy>, vpc: usize| {
        busy.map_or_else(|| nothing.clone(), |busy| busy.moved[vpc].clone())
    };
    let join = |sealing: Vec<Rate>, opening: Vec<Rate>| {
        let pairs = sealing.iter().zip(&opening);
        pairs
            .map(|(sealing, opening)| Rate {
                sealed: sealing.sealed,
                opened: opening.opened,
            })
            .collect()
    };
    [
        join(moved(there, 0), moved(back, 0)),
        join(moved(back, 1), moved(there, 1)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::measure::iperf::Throughput;

    fn busy(base: f64) -> Busy {
        let rate = |sealed| Rate {
            sealed,
            opened: sealed + 0.5,
        };
        Busy {
            tcp: Tcp {
                total: Throughput::default(),
                by_family: BTreeMap::new(),
            },
            probe: Probe {
                flows: 1,
                sent: 1,
                received: 1,
                lost: 0,
                reordered: 0,
                duplicated: 0,
                seconds: 1.0,
            },
            moved: [vec![rate(base)], vec![rate(base + 1.0)]],
        }
    }

    #[test]
    fn each_way_is_read_where_it_was_filled() {
        let rate = |sealed, opened| vec![Rate { sealed, opened }];
        let both = rates(Some(&busy(10.0)), Some(&busy(20.0)), 1);
        assert_eq!(both, [rate(10.0, 20.5), rate(21.0, 11.5)]);
        let half = rates(Some(&busy(10.0)), None, 1);
        assert_eq!(half, [rate(10.0, 0.0), rate(0.0, 11.5)]);
    }
}
