//! Key changes under full load, for every gateway pair and direction, while a probe must not lose a packet.
//!
//! Full load is iperf3 in one direction at a time, as fast as the machine's cores allow. Its packets in flight fit into the
//! smallest queue on the path, a veth's ring of 256 packets. The cores are then the limit and no queue overflows, so that a
//! key change is the only cause of a lost packet of the probe.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::capture::{self, Trunk};
use super::direction::{Direction, PerDirection};
use super::iperf::Load;
use super::under_load::{self, UnderLoad};
use crate::options::Options;
use crate::{Fact, Lab, RoleExit};

/// The bytes in flight of all connections together: about 100 packets of 1500 bytes, and at most as many acknowledgements.
const WINDOW: u32 = 128 << 10;
/// The time for which packets under an old key are still opened.
const GRACE: Duration = Duration::from_secs(1);
/// The drop and punt reasons that a failed key change would cause.
const REKEY_REASONS: [&str; 8] = [
    "unknown-spi",
    "authentication-failed",
    "replayed",
    "replay-too-old",
    "sequence-not-reserved",
    "sequence-exhausted",
    "sa-expired",
    "no-tunnel",
];

/// The measurements during key changes.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rekey {
    /// Seconds from one change of all keys to the next.
    pub every: u32,
    /// Changes of all keys.
    pub rounds: u32,
    /// Outbound SAs switched in all changes.
    pub switched: u32,
    /// The longest duration of a change of all keys, in seconds.
    pub longest: f64,
    /// The probe that ran at the same time as iperf3.
    pub probe: PerDirection<super::probe::Probe>,
    /// The figures of iperf3.
    pub tcp: PerDirection<super::iperf::Tcp>,
    /// The trunk during these changes.
    pub trunk: Trunk,
    /// Changes of all keys that overlapped with the stream on the trunk.
    pub rounds_of_trunk: u32,
}

/// Loads each direction in turn, then sends the marked stream. Changes all keys every `every` seconds meanwhile.
pub fn run(lab: &Lab, load: Load, every: u32) -> Result<Rekey> {
    let load = Load {
        window: Some(WINDOW),
        ..load
    };
    let stop = AtomicBool::new(false);
    let begun = AtomicU32::new(0);
    let longest = Mutex::new(Duration::ZERO);
    let (measured, changed) = thread::scope(|scope| {
        let changes = scope.spawn(|| change_keys(lab, every, &begun, &stop, &longest));
        let measured = (|| {
            let there = under_load::run(lab, Direction::There, load)?;
            let back = under_load::run(lab, Direction::Back, load)?;
            let before = begun.load(Ordering::Relaxed);
            let (one, two) = Direction::There.ends();
            let mut trunk = capture::trunk(lab, one, two)?;
            // Repeats until a change of keys has overlapped with the stream.
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
    let split = |load: UnderLoad| (load.probe, load.tcp);
    let ((probe_there, tcp_there), (probe_back, tcp_back)) = (split(there), split(back));
    Ok(Rekey {
        every,
        rounds,
        switched: rounds * 2 * u32::from(lab.options().gateways),
        longest: longest.as_secs_f64(),
        probe: PerDirection {
            there: Some(probe_there),
            back: Some(probe_back),
        },
        tcp: PerDirection {
            there: Some(tcp_there),
            back: Some(tcp_back),
        },
        trunk,
        rounds_of_trunk,
    })
}

/// Changes all keys until `stop`, and returns the number of changes.
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
    /// The facts of the measurements.
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
        let directions = [
            ("there", &self.tcp.there, &self.probe.there),
            ("back", &self.tcp.back, &self.probe.back),
        ];
        let directions = directions.into_iter().flat_map(|(name, tcp, probe)| {
            let tcp = tcp
                .iter()
                .map(move |tcp| tcp.fact(&format!("rekey-tcp-{name}")));
            let probe = probe
                .iter()
                .map(move |probe| probe.whole(&format!("rekey-{name}")));
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
        facts.extend(directions);
        facts.extend([arrived, trunk]);
        facts
    }

    /// Holds if, by the final status of all roles, every SA was installed and switched to, and no packet was dropped or
    /// punted for one of `REKEY_REASONS`.
    pub fn accounted(&self, exits: &[RoleExit]) -> Fact {
        let mut problems = Vec::new();
        let (mut installed, mut switched, mut retired) = (0, 0, 0);
        for (site, status) in exits
            .iter()
            .filter_map(|end| Some((end.site, end.status.as_ref()?)))
        {
            let steering = &status.steering;
            let mut counts = vec![&steering.drops, &steering.punts];
            counts.extend(status.workers.iter().map(|worker| &worker.drops));
            for name in REKEY_REASONS {
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
            problems.push(format!("expected {expected} SAs installed and switched"));
        }
        let mut figure = format!(
            "0 unknown-spi on any role; {installed} SAs installed, {switched} switched, {retired} retired so far"
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
    use crate::Site;
    use crate::status::{Role, SaChanges, Status, Worker};

    fn rekey() -> Rekey {
        Rekey {
            every: 2,
            rounds: 2,
            switched: 4,
            longest: 0.1,
            probe: PerDirection {
                there: None,
                back: None,
            },
            tcp: PerDirection {
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

    fn end(number: u8, reason: &str, count: u64) -> RoleExit {
        let worker = Worker {
            drops: [(reason.to_owned(), count)].into(),
            sa_changes: SaChanges {
                installed: 2,
                switched: 2,
                retired: 1,
                ..SaChanges::default()
            },
            ..Worker::default()
        };
        RoleExit {
            site: Site::gateway(1, number),
            status: Some(Status {
                workers: vec![worker],
                ..Status::starting(Role::Gateway)
            }),
            problem: None,
        }
    }

    #[test]
    fn one_drop_by_a_rekey_reason_or_one_missing_switch_fails_the_fact() {
        let good = [end(1, "transmit-ring-full", 9), end(2, "unknown-spi", 0)];
        assert!(rekey().accounted(&good).holds);
        for name in REKEY_REASONS {
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
