//! New keys under full load: for every gateway pair and direction, again and
//! again, while packets that may not be lost cross.
//!
//! Full load here: iperf3 in one direction at a time, as fast as the machine's
//! cores carry it, but with no more on its way than the smallest queue on that way
//! holds, which is a veth's ring of 256 packets. So the cores are the limit and no
//! queue runs over, and a packet of the probe beside it that is lost is lost to
//! the new keys.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::busy::{self, Busy, Direction};
use super::capture::{self, Trunk};
use super::iperf::Load;
use super::survey::{BothWays, Plan};
use crate::options::Options;
use crate::{Fact, Final, Lab};

/// Octets that all connections together have on their way at most: 100 packets of
/// 1500, and as many acknowledgements at the worst.
const WINDOW: u32 = 128 << 10;
/// How long packets under an old key are still opened.
const GRACE: Duration = Duration::from_secs(1);
/// What a rekey gone wrong would end packets by.
const SUSPECTS: [&str; 8] = [
    "unknown-spi",
    "authentication-failed",
    "replayed",
    "left-of-window",
    "sequence-not-reserved",
    "sequence-exhausted",
    "sa-expired",
    "no-tunnel",
];

/// What was seen while keys changed.
#[derive(Clone, Debug, Serialize)]
pub struct Rekey {
    /// Seconds from one change of all keys to the next.
    pub every: u32,
    /// Changes of all keys.
    pub rounds: u32,
    /// SAs that took over from another, in all rounds.
    pub switched: u32,
    /// The longest time that a change of all keys took, in seconds.
    pub longest: f64,
    /// The probe beside iperf3.
    pub probe: BothWays<super::probe::Probe>,
    /// iperf3.
    pub tcp: BothWays<super::iperf::Tcp>,
    /// The trunk under a marked stream.
    pub trunk: Trunk,
    /// Changes of all keys that fell into the marked stream, at least in part.
    pub rounds_of_trunk: u32,
}

/// Fills each direction in turn, then sends the marked stream, and changes all keys
/// each `every` seconds meanwhile.
pub fn run(lab: &Lab, plan: &Plan, every: u32) -> Result<Rekey> {
    let load = Load {
        streams: plan.streams,
        duration: plan.duration,
        warm_up: 0,
        congestion: None,
        window: Some(WINDOW),
    };
    let stop = AtomicBool::new(false);
    let begun = AtomicU32::new(0);
    let longest = Mutex::new(Duration::ZERO);
    let (measured, changed) = thread::scope(|scope| {
        let changes = scope.spawn(|| change_keys(lab, every, &begun, &stop, &longest));
        let measured = (|| {
            let there = busy::run(lab, Direction::There, load)?;
            let back = busy::run(lab, Direction::Back, load)?;
            let before = begun.load(Ordering::Relaxed);
            let (one, two) = Direction::There.ends();
            let mut trunk = capture::trunk(lab, one, two)?;
            // Until a change of keys has fallen into it.
            while begun.load(Ordering::Relaxed) == before && !changes.is_finished() {
                trunk = capture::trunk(lab, one, two)?;
            }
            let rounds = begun.load(Ordering::Relaxed) - before;
            Ok::<_, anyhow::Error>((there, back, trunk, rounds))
        })();
        stop.store(true, Ordering::Relaxed);
        let changed = changes
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (measured, changed)
    });
    let rounds = changed?;
    let (there, back, trunk, rounds_of_trunk) = measured?;
    let longest = *longest
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let split = |busy: Busy| (busy.probe, busy.tcp);
    let ((probe_there, tcp_there), (probe_back, tcp_back)) = (split(there), split(back));
    Ok(Rekey {
        every,
        rounds,
        switched: rounds * 2 * u32::from(lab.options().gateways),
        longest: longest.as_secs_f64(),
        probe: BothWays {
            there: Some(probe_there),
            back: Some(probe_back),
        },
        tcp: BothWays {
            there: Some(tcp_there),
            back: Some(tcp_back),
        },
        trunk,
        rounds_of_trunk,
    })
}

/// Changes all keys until told to stop, and returns how many times it did.
fn change_keys(
    lab: &Lab,
    every: u32,
    begun: &AtomicU32,
    stop: &AtomicBool,
    longest: &Mutex<Duration>,
) -> Result<u32> {
    let mut due = Instant::now();
    let mut rounds = 0;
    loop {
        while Instant::now() < due {
            if stop.load(Ordering::Relaxed) {
                return Ok(rounds);
            }
            thread::sleep(Duration::from_millis(10));
        }
        rounds += 1;
        begun.store(rounds, Ordering::Relaxed);
        let start = Instant::now();
        for number in 1..=lab.options().gateways {
            for vpc in [1, 2] {
                lab.rekey(vpc, number, rounds, GRACE)?;
            }
        }
        let mut longest = longest
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *longest = longest.max(start.elapsed());
        due += Duration::from_secs(every.into());
    }
}

impl Rekey {
    /// What the window itself shows.
    pub fn facts(&self, options: &Options) -> Vec<Fact> {
        let rounds = Fact::new(
            "rekeys",
            self.rounds > 1,
            format!(
                "{} SAs switched in {} changes of all keys, {} s apart; the longest change took {:.2} s",
                self.switched, self.rounds, self.every, self.longest
            ),
        );
        let renamed = |key: &str, fact: Fact| Fact::new(key, fact.holds, fact.figure);
        let ways = [
            ("there", &self.tcp.there, &self.probe.there),
            ("back", &self.tcp.back, &self.probe.back),
        ];
        let ways = ways.into_iter().flat_map(|(way, tcp, probe)| {
            let tcp = tcp
                .iter()
                .map(move |tcp| tcp.fact(&format!("rekey-tcp-{way}")));
            let probe = probe
                .iter()
                .map(move |probe| probe.whole(&format!("rekey-{way}")));
            tcp.chain(probe)
        });
        let trunk = self.trunk.encrypted(options);
        let trunk = Fact::new(
            "rekey-trunk-encrypted",
            trunk.holds && self.rounds_of_trunk > 0,
            format!(
                "{} changes of all keys; {}",
                self.rounds_of_trunk, trunk.figure
            ),
        );
        let arrived = renamed("rekey-marker-arrived", self.trunk.arrived());
        let mut facts = vec![rounds];
        facts.extend(ways);
        facts.extend([arrived, trunk]);
        facts
    }

    /// What the roles' last words say of it: every SA was installed and switched to, and no packet
    /// ended by a name that a rekey gone wrong would give it.
    pub fn accounted(&self, finals: &[Final]) -> Fact {
        let mut problems = Vec::new();
        let (mut installed, mut switched, mut retired) = (0, 0, 0);
        for (site, status) in finals
            .iter()
            .filter_map(|end| Some((end.site, end.status.as_ref()?)))
        {
            let steering = &status.steering;
            let mut counts = vec![&steering.drops, &steering.punts];
            counts.extend(status.workers.iter().map(|worker| &worker.drops));
            for name in SUSPECTS {
                let count: u64 = counts.iter().filter_map(|reasons| reasons.get(name)).sum();
                if count > 0 {
                    problems.push(format!("{site}: {count} {name}"));
                }
            }
            for worker in &status.workers {
                installed += worker.sa_changes.installed;
                switched += worker.sa_changes.switched;
                retired += worker.sa_changes.retired;
            }
        }
        let expected = u64::from(self.switched);
        if (installed, switched) != (expected, expected) {
            problems.push(format!("expected {expected} SAs each way"));
        }
        let mut figure = format!(
            "0 unknown-spi on any role; {installed} SAs installed, {switched} switched, {retired} retired by then"
        );
        if !problems.is_empty() {
            figure = format!(
                "{}; {installed} installed, {switched} switched",
                problems.join("; ")
            );
        }
        Fact::new("rekey-unknown-spi", problems.is_empty(), figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SaChanges, Site, Status, Worker};

    fn rekey() -> Rekey {
        Rekey {
            every: 2,
            rounds: 2,
            switched: 4,
            longest: 0.1,
            probe: BothWays {
                there: None,
                back: None,
            },
            tcp: BothWays {
                there: None,
                back: None,
            },
            trunk: Trunk {
                census: Default::default(),
                stream: Default::default(),
            },
            rounds_of_trunk: 1,
        }
    }

    fn end(number: u8, reason: &str, count: u64) -> Final {
        let worker = Worker {
            drops: [(reason.to_owned(), count)].into(),
            sa_changes: SaChanges {
                installed: 2,
                switched: 2,
                retired: 1,
            },
            ..Worker::default()
        };
        Final {
            site: Site::gateway(1, number),
            status: Some(Status {
                workers: vec![worker],
                ..Status::default()
            }),
            problem: None,
        }
    }

    #[test]
    fn one_suspicious_drop_or_missing_switch_spoils_the_fact() {
        let good = [end(1, "transmit-ring-full", 9), end(2, "unknown-spi", 0)];
        assert!(rekey().accounted(&good).holds);
        for name in SUSPECTS {
            let fact = rekey().accounted(&[end(1, name, 1), end(2, name, 0)]);
            assert!(!fact.holds && fact.figure.contains(name), "{fact:?}");
        }
        assert!(!rekey().accounted(&good[..1]).holds);
        let mut punts = good.clone();
        if let Some(status) = &mut punts[0].status {
            status.steering.punts.insert("unknown-spi".to_owned(), 1);
        }
        assert!(!rekey().accounted(&punts).holds);
    }
}
