//! One run over the whole lab: TCP as fast as it goes, numbered and timed UDP beside it, and what
//! became of both.

use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::clock::Clock;
use super::flood;
use super::iperf::{self, Load, Tcp};
use super::window::Passage;
use crate::status::Reasons;
use crate::topology::gateway_name;
use crate::{Lab, Site};

/// Until iperf3 has its server, its client and its connections.
const START: Duration = Duration::from_millis(300);

/// What is sent. Who sends is said by the flood's plan, for TCP too.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The connections of each direction.
    pub tcp: Load,
    /// The flood of each direction.
    pub udp: flood::Plan,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// iperf3's own figures, without the warm-up.
    pub tcp: Tcp,
    /// What became of the packets that were sent after the warm-up, both directions together.
    pub udp: Passage,
    /// Inner bytes that each gateway of both VPCs sealed and opened, warm-up included.
    pub carried: Vec<u64>,
    /// Packets that the roles dropped, by reason, warm-up included.
    pub drops: Reasons,
    /// Where the machine's time went after the warm-up: [`Clock::parts_since`].
    pub time: BTreeMap<String, f64>,
}

/// Runs it: UDP between the first hosts, TCP between the second ones.
///
/// # Errors
/// The load does not run, or a role does not answer.
pub fn run(lab: &Lab, plan: &Plan) -> Result<Transfer> {
    let before = Counters::read(lab)?;
    let begun = Instant::now();
    let (tcp, (time, window), records) = thread::scope(|scope| {
        let (from, to) = (Site::host(1, 2), Site::host(2, 2));
        let tcp = scope.spawn(move || iperf::run(lab, from, to, plan.tcp, plan.udp.way));
        // UDP ends with TCP's time, not with iperf3: in a queue that it keeps full it would hold
        // off what the two ends of iperf3 tell each other then.
        let flooded = flood::around(lab, plan.udp, begun, || beside(plan.tcp, begun));
        let tcp = tcp
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (measured, records) = flooded?;
        anyhow::Ok((tcp?, measured, records))
    })?;
    let mut udp = Passage::default();
    for record in &records {
        udp.add(&Passage::of(record, &window));
    }
    let after = Counters::read(lab)?;
    Ok(Transfer {
        tcp,
        udp,
        carried: after.carried_since(&before),
        drops: after.drops_since(&before),
        time,
    })
}

/// Waits while TCP runs: where the time went after the warm-up, and which nanoseconds since `begun`
/// those were.
fn beside(tcp: Load, begun: Instant) -> Result<(BTreeMap<String, f64>, Range<u64>)> {
    thread::sleep(Duration::from_secs(tcp.warm_up.into()) + START);
    let (earlier, start) = (Clock::read()?, begun.elapsed());
    thread::sleep(Duration::from_secs(tcp.duration.into()).saturating_sub(START));
    let time = Clock::read()?.parts_since(&earlier);
    let window = start.as_nanos() as u64..begun.elapsed().as_nanos() as u64;
    thread::sleep(START);
    Ok((time, window))
}

/// What all roles have counted.
#[derive(Debug)]
struct Counters {
    carried: Vec<u64>,
    drops: Reasons,
}

impl Counters {
    fn read(lab: &Lab) -> Result<Self> {
        let mut drops = Reasons::new();
        let mut carried = vec![0; lab.options().gateways.into()];
        for site in lab.role_sites() {
            let status = lab.status(site)?;
            for (number, sum) in (1..).zip(&mut carried) {
                let name = gateway_name(number);
                let its = status.workers.iter().filter(|its| its.gateway == name);
                *sum += its
                    .map(|worker| worker.sealed.bytes + worker.opened.bytes)
                    .sum::<u64>();
            }
            let of_workers = status
                .workers
                .into_iter()
                .flat_map(|worker| worker.drops.into_iter().chain(worker.kernel_drops));
            for (reason, packets) in status.steering.drops.into_iter().chain(of_workers) {
                *drops.entry(reason).or_default() += packets;
            }
        }
        Ok(Self { carried, drops })
    }

    fn carried_since(&self, earlier: &Self) -> Vec<u64> {
        let pairs = self.carried.iter().zip(&earlier.carried);
        pairs.map(|(now, then)| now.saturating_sub(*then)).collect()
    }

    /// Only what came since; a reason that did not is left out.
    fn drops_since(&self, earlier: &Self) -> Reasons {
        let since = self.drops.iter().map(|(reason, now)| {
            let then = earlier.drops.get(reason).copied().unwrap_or_default();
            (reason.clone(), now.saturating_sub(then))
        });
        since.filter(|(_, packets)| *packets > 0).collect()
    }
}
