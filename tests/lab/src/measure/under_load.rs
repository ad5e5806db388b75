//! One direction under full load by iperf3: the throughput, the share of each gateway, and whether packets keep their
//! order while queues are full.

use std::thread;

use anyhow::Result;

use super::direction::Direction;
use super::iperf::{self, Load, Tcp};
use super::probe::{self, Probe};
use super::volumes::{Rate, Snapshot};
use crate::Lab;

/// Packets per second of the probe: few enough to add no load.
const PROBE_RATE: u64 = 2_000;

/// The result for one direction.
#[derive(Clone, Debug)]
pub struct UnderLoad {
    /// The figures of iperf3.
    pub tcp: Tcp,
    /// The probe that ran at the same time.
    pub probe: Probe,
    /// The rate of each gateway of VPC 1 and of VPC 2.
    rates: [Vec<Rate>; 2],
}

/// Runs iperf3 and the probe in one direction.
pub fn run(lab: &Lab, direction: Direction, load: Load) -> Result<UnderLoad> {
    let (from, to) = direction.ends();
    let flows = probe::Plan::default().flows;
    let plan = probe::Plan {
        packets_per_flow: PROBE_RATE * u64::from(load.duration) / u64::from(flows),
        rate: PROBE_RATE,
        ..probe::Plan::default()
    };
    let before = snapshots(lab)?;
    let (tcp, probe) = thread::scope(|scope| {
        let probe = scope.spawn(|| probe::run(lab, from, to, &plan));
        // The client is in VPC 1 for both directions; it uses `iperf3 -R` for the second one.
        let (one, two) = Direction::There.ends();
        let tcp = iperf::run(lab, one, two, load, direction.into());
        let probe = probe
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (tcp, probe)
    });
    let (tcp, probe) = (tcp?, probe?);
    let now = snapshots(lab)?;
    let rates = [0, 1].map(|vpc| now[vpc].gbit_per_s(&before[vpc], tcp.total.seconds));
    Ok(UnderLoad { tcp, probe, rates })
}

fn snapshots(lab: &Lab) -> Result<[Snapshot; 2]> {
    Ok([Snapshot::take(lab, 1)?, Snapshot::take(lab, 2)?])
}

/// The rates of the gateways of each VPC. Each rate is from the measurement in which iperf3 sent in its direction: VPC 1
/// seals in the direction "there" and opens in the direction "back".
pub fn rates(there: Option<&UnderLoad>, back: Option<&UnderLoad>, gateways: u8) -> [Vec<Rate>; 2] {
    let zero = vec![Rate::default(); gateways.into()];
    let measured = |measured: Option<&UnderLoad>, vpc: usize| {
        measured.map_or_else(|| zero.clone(), |measured| measured.rates[vpc].clone())
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
        join(measured(there, 0), measured(back, 0)),
        join(measured(back, 1), measured(there, 1)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::measure::iperf::Throughput;

    fn measured(base: f64) -> UnderLoad {
        let rate = |sealed| Rate {
            sealed,
            opened: sealed + 0.5,
        };
        UnderLoad {
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
            rates: [vec![rate(base)], vec![rate(base + 1.0)]],
        }
    }

    #[test]
    fn each_rate_is_from_the_measurement_of_its_direction() {
        let rate = |sealed, opened| vec![Rate { sealed, opened }];
        let both = rates(Some(&measured(10.0)), Some(&measured(20.0)), 1);
        assert_eq!(both, [rate(10.0, 20.5), rate(21.0, 11.5)]);
        let half = rates(Some(&measured(10.0)), None, 1);
        assert_eq!(half, [rate(10.0, 0.0), rate(0.0, 11.5)]);
    }
}
