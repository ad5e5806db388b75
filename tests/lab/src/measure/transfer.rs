//! One measurement over the whole lab: TCP at full speed, and numbered UDP packets with timestamps at the same time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::cpu_time::CpuTime;
use super::flood;
use super::iperf::{self, Load, Tcp};
use super::window::WindowSamples;
use crate::status::Reasons;
use crate::topology::gateway_name;
use crate::{Lab, Site};

/// The time that iperf3 needs to start and connect.
const START: Duration = Duration::from_millis(300);

/// The load. The flood's directions apply to TCP too.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The TCP load of each direction.
    pub tcp: Load,
    /// The flood of each direction.
    pub udp: flood::Plan,
}

/// The result of a measurement.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// The figures of iperf3, without the warm-up.
    pub tcp: Tcp,
    /// The flood packets that were sent after the warm-up, both directions together.
    pub udp: WindowSamples,
    /// Inner bytes that each gateway pair sealed and opened, including the warm-up.
    pub carried: Vec<u64>,
    /// Packets that the roles dropped, by reason, including the warm-up.
    pub drops: Reasons,
    /// The use of CPU time after the warm-up: [`CpuTime::shares_since`].
    pub time: BTreeMap<String, f64>,
}

/// Runs UDP between the first hosts and TCP between the second hosts.
///
/// # Errors
/// The load does not run, or a role does not answer.
pub fn run(lab: &Lab, plan: &Plan) -> Result<Transfer> {
    let before = Counters::read(lab)?;
    let begun = Instant::now();
    let (tcp, (time, window), records) = thread::scope(|scope| {
        let (from, to) = (Site::host(1, 2), Site::host(2, 2));
        let tcp = scope.spawn(move || iperf::run(lab, from, to, plan.tcp, plan.udp.directions));
        // UDP ends at the end of TCP's time, not at the end of iperf3. Otherwise a full queue would delay the results
        // that the two ends of iperf3 exchange.
        let flooded = flood::during(lab, plan.udp, begun, || measure_window(plan.tcp, begun));
        let tcp = tcp
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (measured, records) = flooded?;
        anyhow::Ok((tcp?, measured, records))
    })?;
    let mut udp = WindowSamples::default();
    for record in &records {
        udp.add(&WindowSamples::of(record, &window));
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

/// Waits while TCP runs. Returns the use of CPU time after the warm-up, and that time window in nanoseconds since `begun`.
fn measure_window(tcp: Load, begun: Instant) -> Result<(BTreeMap<String, f64>, Range<u64>)> {
    thread::sleep(Duration::from_secs(tcp.warm_up.into()) + START);
    let (earlier, start) = (CpuTime::read()?, begun.elapsed());
    thread::sleep(Duration::from_secs(tcp.duration.into()).saturating_sub(START));
    let time = CpuTime::read()?.shares_since(&earlier);
    let window = start.as_nanos() as u64..begun.elapsed().as_nanos() as u64;
    thread::sleep(START);
    Ok((time, window))
}

/// The counters of all roles.
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
                let workers = status
                    .workers
                    .iter()
                    .filter(|worker| worker.gateway == name);
                *sum += workers
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

    /// The drops since `earlier`. Reasons without new drops are left out.
    fn drops_since(&self, earlier: &Self) -> Reasons {
        let since = self.drops.iter().map(|(reason, now)| {
            let then = earlier.drops.get(reason).copied().unwrap_or_default();
            (reason.clone(), now.saturating_sub(then))
        });
        since.filter(|(_, packets)| *packets > 0).collect()
    }
}
