//! The gateways that a flow and its replies use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{ECHO_PORT, echo};
use crate::status::Worker;
use crate::{Fact, Lab, Site};

const FLOWS: u16 = 16;
const REQUESTS: u64 = 10;
const FIRST_SOURCE_PORT: u16 = 23_000;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Time limit for new counts to appear in `/status`.
const COUNTED_WITHIN: Duration = Duration::from_secs(20);

/// The change of every gateway's counters by one flow. Each list has the gateways in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowPath {
    /// Requests that were answered.
    pub answered: u64,
    /// Packets steered to each gateway, by the demux of VPC 1 and by the demux of VPC 2. Control messages between demuxes
    /// are not steered, but they are sealed and opened like other packets.
    pub steered: [Vec<u64>; 2],
    /// Packets sealed by each gateway, in VPC 1 and in VPC 2.
    pub sealed: [Vec<u64>; 2],
    /// Packets opened by each gateway, in VPC 1 and in VPC 2.
    pub opened: [Vec<u64>; 2],
}

impl FlowPath {
    /// The index of the one gateway that carried all packets of the flow, in both VPCs and both directions. `None` if more
    /// than one gateway carried packets of the flow.
    pub fn gateway(&self) -> Option<usize> {
        let gateway = self.steered[0].iter().position(|packets| *packets > 0)?;
        let at_least = |counter: &Vec<u64>| {
            counter
                .get(gateway)
                .is_some_and(|packets| *packets >= self.answered)
        };
        let elsewhere = |counter: &Vec<u64>| {
            let mut packets = counter.iter().enumerate();
            packets.any(|(index, packets)| index != gateway && *packets > 0)
        };
        let alone =
            self.steered.iter().all(|steered| !elsewhere(steered)) && self.counters().all(at_least);
        (alone && self.answered > 0).then_some(gateway)
    }

    fn counters(&self) -> impl Iterator<Item = &Vec<u64>> {
        self.steered.iter().chain(&self.sealed).chain(&self.opened)
    }
}

/// Sends requests over several flows, one flow after the other, and reads the counters of all gateways before and after
/// each. There must be no other traffic.
pub fn run(lab: &Lab, from: Site, to: Site) -> Result<Vec<FlowPath>> {
    let server = echo::server(lab, to, ECHO_PORT)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let echo = scope.spawn(|| echo::serve(&server, &stop, |_| ()));
        let paths = (0..FLOWS).map(|flow| trace(lab, from, to, flow)).collect();
        stop.store(true, Ordering::Relaxed);
        echo.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        paths
    })
}

fn trace(lab: &Lab, from: Site, to: Site, flow: u16) -> Result<FlowPath> {
    let socket = echo::flow(lab, (from, to), flow, FIRST_SOURCE_PORT, ECHO_PORT)?;
    let before = counters(lab)?;
    let mut answered = 0;
    for number in 0..REQUESTS {
        let request = [u64::from(flow).to_be_bytes(), number.to_be_bytes()].concat();
        answered += u64::from(echo::request(&socket, &request, ANSWER_WITHIN)?);
    }
    let deadline = Instant::now() + COUNTED_WITHIN;
    loop {
        let path = difference(answered, &before, &counters(lab)?);
        // All gateways count markers meanwhile. So only the flow's own counts show that its packets are counted.
        if path.gateway().is_some() || Instant::now() > deadline {
            return Ok(path);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The packets that the demux steered to each gateway, and the status of its worker, for each VPC.
type Counters = [Vec<(u64, Worker)>; 2];

fn counters(lab: &Lab) -> Result<Counters> {
    let of = |vpc| -> Result<Vec<(u64, Worker)>> {
        let counts = lab.status(Site::demux(vpc))?.steering.gateways;
        let steered = |worker: &Worker| {
            let count = counts.iter().find(|count| count.name == worker.gateway);
            count.map_or(0, |count| count.packets)
        };
        let workers = lab.workers(vpc)?.into_iter();
        Ok(workers.map(|worker| (steered(&worker), worker)).collect())
    };
    Ok([of(1)?, of(2)?])
}

fn difference(answered: u64, before: &Counters, after: &Counters) -> FlowPath {
    let moved = |count: fn(&(u64, Worker)) -> u64| {
        [0, 1].map(|vpc| {
            let pairs = before[vpc].iter().zip(&after[vpc]);
            pairs
                .map(|(b, a)| count(a).saturating_sub(count(b)))
                .collect()
        })
    };
    FlowPath {
        answered,
        steered: moved(|(steered, _)| *steered),
        sealed: moved(|(_, worker)| worker.sealed.packets),
        opened: moved(|(_, worker)| worker.opened.packets),
    }
}

/// Holds if each flow used one gateway pair in both directions.
pub fn fact(paths: &[FlowPath]) -> Fact {
    let gateways: Vec<_> = paths.iter().filter_map(FlowPath::gateway).collect();
    let mut distinct = gateways.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let mut figure = format!(
        "{} of {} flows used one gateway pair in both directions; {} pairs used",
        gateways.len(),
        paths.len(),
        distinct.len()
    );
    if let Some(stray) = paths.iter().find(|path| path.gateway().is_none()) {
        figure += &format!("; first flow that did not: {stray:?}");
    }
    let holds = !paths.is_empty() && gateways.len() == paths.len();
    Fact::new("same-gateway-pair", holds, figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> FlowPath {
        FlowPath {
            answered: 10,
            steered: [vec![0, 10], vec![0, 10]],
            // Control messages between the demuxes use all pairs.
            sealed: [vec![2, 11], vec![1, 12]],
            opened: [vec![1, 12], vec![2, 11]],
        }
    }

    #[test]
    fn a_second_gateway_on_any_leg_fails_the_fact() {
        assert_eq!(path().gateway(), Some(1));
        assert!(fact(&[path()]).holds);
        let mut back_elsewhere = path();
        back_elsewhere.steered[1] = vec![10, 0];
        let mut split = path();
        split.steered[0] = vec![1, 9];
        let mut lost = path();
        lost.opened[0] = vec![1, 9];
        let mut silent = path();
        silent.answered = 0;
        for path in [back_elsewhere, split, lost, silent] {
            assert_eq!(path.gateway(), None, "{path:?}");
            assert!(!fact(&[path]).holds);
        }
        assert!(!fact(&[]).holds);
    }
}
