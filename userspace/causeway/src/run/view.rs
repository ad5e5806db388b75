//! What status and metrics see of a running role.

mod profile;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use causeway_demux::steering::Place;
use causeway_demux::{Counters, Mode, Program};
use causeway_device::{AfXdp, CopyMode};
use causeway_esp::Spi;
use causeway_gateway::{Command, Finished, Totals, histogram};
use causeway_rescale::BucketSet;
use causeway_routes::Interface;
use causeway_steering::headers::ETHERNET;
use causeway_steering::{Drop, Punt};
use hdrhistogram::Histogram;

use super::rescale::{Buckets, Directory, Rescale};
use super::sas::{Sas, Steer};
use super::workers::{self, Seat};
use super::xdp_mode;
use crate::config::Plan;
use crate::status::{self, Role, Status, XdpMode, reasons};

/// The state of a role, readable at any time.
pub struct View {
    role: Role,
    cluster: Option<String>,
    since: u64,
    nic: status::Nic,
    directory: Arc<Directory>,
    rescale: OnceLock<Arc<Rescale>>,
    seats: Vec<Seat>,
    sas: Arc<Sas>,
    state: Mutex<State>,
    nic_dropped: AtomicU64,
}

struct State {
    program: Program,
    mode: XdpMode,
    /// The program's counters when they could last be read.
    counters: Option<Counters>,
    /// Each worker's times so far.
    latency: Vec<Histogram<u64>>,
    /// An empty histogram for each worker, to be swapped for the one in use.
    spare: Vec<Option<Histogram<u64>>>,
    /// How long each peering's buckets must be idle to move by themselves.
    pauses: Vec<Pause>,
}

#[derive(Clone, Default)]
struct Pause {
    time: Duration,
    /// Its buckets that may move so. The program knows one time for all peerings: the longest of
    /// those that have any, so that none is moved by another's, and none waits for one that moves nothing.
    moving: BucketSet,
}

impl View {
    /// A view of a role whose program is not attached yet.
    pub fn new(
        role: Role,
        plan: &Plan,
        nic: &Interface,
        program: Program,
        seats: Vec<Seat>,
        sas: Arc<Sas>,
        directory: Arc<Directory>,
    ) -> Self {
        Self {
            role,
            cluster: plan.cluster.clone(),
            since: SystemTime::UNIX_EPOCH
                .elapsed()
                .map_or(0, |time| time.as_secs()),
            nic: status::Nic {
                name: nic.name.clone(),
                xdp_mode: XdpMode::Detached,
                mtu: nic.mtu,
                tx_dropped: 0,
            },
            directory,
            rescale: OnceLock::new(),
            state: Mutex::new(State {
                program,
                mode: XdpMode::Detached,
                counters: None,
                latency: seats.iter().map(|_| histogram()).collect(),
                spare: seats.iter().map(|_| Some(histogram())).collect(),
                pauses: vec![Pause::default(); plan.peerings.len()],
            }),
            seats,
            sas,
            nic_dropped: AtomicU64::new(0),
        }
    }

    /// The peerings whose clusters change; told once.
    pub fn watch(&self, rescale: Arc<Rescale>) {
        let _ = self.rescale.set(rescale);
    }

    /// The workers.
    pub fn workers(&self) -> &[Seat] {
        &self.seats
    }

    /// The program is attached in this mode.
    pub fn attached(&self, mode: Mode) {
        self.lock().mode = xdp_mode(mode);
    }

    /// Detaches the program: the NIC's packets go to the kernel from now on.
    pub fn detach(&self) -> anyhow::Result<()> {
        Ok(self.lock().program.detach()?)
    }

    /// Moves a gateway in the program's tables.
    pub fn place(&self, index: u32, place: Place) -> anyhow::Result<()> {
        let gateway = self.directory.names().swap_remove(index as usize);
        match place {
            Place::Remote { mac: None } => {
                tracing::warn!(gateway, "the gateway does not answer ARP");
            }
            _ => tracing::info!(gateway, "the gateway is resolved"),
        }
        Ok(self.lock().program.place(index, place)?)
    }

    /// All gateways in their places: their names, and where those on other hosts are.
    pub fn gateways(&self) -> Vec<(String, Option<IpAddr>)> {
        self.directory.gateways()
    }

    /// Asks the program something.
    pub fn of_program<T>(&self, ask: impl FnOnce(&Program) -> T) -> T {
        ask(&self.lock().program)
    }

    /// Packets that the NIC's transmit side has refused since the start.
    pub fn nic_dropped(&self, packets: u64) {
        self.nic_dropped.store(packets, Relaxed);
    }

    /// Fetches the times that the workers have recorded, and asks for the next.
    pub fn collect_latency(&self) {
        let mut state = self.lock();
        let State { latency, spare, .. } = &mut *state;
        for ((seat, sum), spare) in self.seats.iter().zip(latency).zip(spare) {
            if let Ok(mut full) = seat.control.latency.try_recv() {
                // Both have the bounds of `histogram()`, so nothing is out of range.
                let _ = sum.add(&full);
                full.reset();
                *spare = Some(full);
            }
            if let Some(empty) = spare.take() {
                // A worker that has ended hands its times over by itself.
                let _ = seat.control.send(Command::Latency(empty));
            }
        }
    }

    /// The status document now.
    pub fn status(&self) -> Status {
        let mut sas = self.sas();
        let mut state = self.lock();
        let workers =
            self.seats
                .iter()
                .zip(&state.latency)
                .zip(&mut sas)
                .map(|((seat, latency), sas)| {
                    let frames = (seat.monitor.frames_total(), seat.monitor.frames_home());
                    let totals = seat.control.counters.totals();
                    worker(seat, &totals, std::mem::take(sas), latency, frames)
                });
        let workers = workers.collect();
        self.document(&mut state, workers, false)
    }

    /// The status document after the drain, with what the workers left behind.
    pub fn last_words(&self, finished: Vec<Finished<AfXdp>>) -> Status {
        let mut sas = self.sas();
        let mut state = self.lock();
        let mut drained = true;
        let mut workers = Vec::with_capacity(finished.len());
        let seats = self.seats.iter().zip(&mut sas);
        for (((seat, sas), sum), finished) in seats.zip(&mut state.latency).zip(&finished) {
            drained &= finished.drained;
            // Those that came back since the last tick, then those of the worker's last moments.
            if let Ok(full) = seat.control.latency.try_recv() {
                let _ = sum.add(&full);
            }
            let _ = sum.add(&finished.latency);
            let frames = workers::frames(finished);
            let sas = std::mem::take(sas);
            workers.push(worker(seat, &finished.totals, sas, sum, frames));
        }
        self.document(&mut state, workers, drained)
    }

    fn document(&self, state: &mut State, workers: Vec<status::Worker>, drained: bool) -> Status {
        match state.program.counters() {
            Ok(counters) => state.counters = Some(counters),
            Err(error) => tracing::error!(%error, "the program's counters are those of before"),
        }
        let nic_dropped = self.nic_dropped.load(Relaxed);
        let steering = state.counters.as_ref();
        Status {
            role: self.role,
            cluster: self.cluster.clone(),
            since: self.since,
            nic: status::Nic {
                xdp_mode: state.mode,
                tx_dropped: nic_dropped,
                ..self.nic.clone()
            },
            ready: state.mode != XdpMode::Detached,
            drained,
            steering: steering
                .map(|counters| steering_of(counters, &self.directory.names(), nic_dropped))
                .unwrap_or_default(),
            tables: self
                .rescale
                .get()
                .map_or_else(Vec::new, |rescale| rescale.tables()),
            workers,
        }
    }

    /// The SAs of each worker.
    fn sas(&self) -> Vec<Vec<status::Sa>> {
        let mut all = vec![Vec::new(); self.seats.len()];
        for (post, sa) in self.sas.rows() {
            all[post].push(sa);
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steer for View {
    fn steer(&self, spi: Spi, worker: u32) -> anyhow::Result<()> {
        Ok(self.lock().program.steer_spi(spi.get(), worker)?)
    }

    fn forget(&self, spi: Spi) -> anyhow::Result<()> {
        Ok(self.lock().program.forget_spi(spi.get())?)
    }
}

impl State {
    fn settled(&mut self, peering: u32, buckets: impl IntoIterator<Item = u32>) {
        let moving = &mut self.pauses[peering as usize].moving;
        buckets.into_iter().for_each(|bucket| moving.remove(bucket));
    }

    fn set_skew(&mut self) -> anyhow::Result<()> {
        let moving = self.pauses.iter().filter(|pause| !pause.moving.is_empty());
        let longest = moving.map(|pause| pause.time).max();
        Ok(self.program.set_skew(longest.unwrap_or_default())?)
    }
}

impl Buckets for View {
    fn assign(&self, peering: u32, buckets: &BucketSet, gateway: u32) -> anyhow::Result<()> {
        let mut state = self.lock();
        state.settled(peering, buckets.iter());
        Ok(state.program.assign(peering, buckets.iter(), gateway)?)
    }

    fn assign_when_idle(
        &self,
        peering: u32,
        buckets: &BucketSet,
        gateway: u32,
    ) -> anyhow::Result<()> {
        let mut state = self.lock();
        let moving = &mut state.pauses[peering as usize].moving;
        buckets.iter().for_each(|bucket| moving.insert(bucket));
        // Before the first of them can move.
        state.set_skew()?;
        let program = &mut state.program;
        program.assign_when_idle(peering, buckets.iter(), gateway)?;
        // Those that stay where they are do not move.
        let settled = program.settle(peering, buckets.iter())?;
        state.settled(peering, settled);
        Ok(())
    }

    fn settle(&self, peering: u32, buckets: &BucketSet) -> anyhow::Result<BucketSet> {
        let mut state = self.lock();
        let settled: BucketSet = {
            let settled = state.program.settle(peering, buckets.iter())?;
            settled.into_iter().collect()
        };
        state.settled(peering, settled.iter());
        Ok(settled)
    }

    fn set_skew(&self, peering: u32, skew: Duration) -> anyhow::Result<()> {
        let mut state = self.lock();
        state.pauses[peering as usize].time = skew;
        state.set_skew()
    }
}

fn steering_of(counters: &Counters, gateways: &[String], nic_dropped: u64) -> status::Steering {
    // The program cannot see that the NIC's ring refuses a packet after the redirect; the NIC's
    // own counter can.
    let refused = nic_dropped.min(counters.to_gateway());
    let drops = Drop::ALL.iter().map(|&reason| {
        let after = if reason == Drop::NicRingFull {
            refused
        } else {
            0
        };
        (reason.name(), counters.dropped(reason) + after)
    });
    let punts = Punt::ALL
        .iter()
        .map(|&reason| (reason.name(), counters.punted(reason)));
    let traffic = gateways.iter().zip(&counters.gateways);
    status::Steering {
        received: counters.received(),
        to_worker: counters.to_worker(),
        to_gateway: counters.to_gateway() - refused,
        drops: reasons(drops),
        punts: reasons(punts),
        gateways: traffic
            .map(|(name, traffic)| status::Gateway {
                name: name.clone(),
                packets: traffic.packets,
                bytes: traffic.bytes - ETHERNET as u64 * traffic.packets,
            })
            .collect(),
    }
}

fn worker(
    seat: &Seat,
    totals: &Totals,
    sas: Vec<status::Sa>,
    latency: &Histogram<u64>,
    (total, home): (usize, usize),
) -> status::Worker {
    let stats = seat.monitor.stats();
    let sequences = seat.control.counters.sequences_remaining();
    let measured = seat.control.counters.profile();
    let kernel_drops = [
        ("rx-ring-full", stats.rx_ring_full),
        ("fill-ring-empty", stats.rx_dropped),
    ];
    status::Worker {
        gateway: seat.gateway.clone(),
        worker: seat.id,
        core: seat.core,
        copy_mode: match seat.monitor.copy_mode() {
            CopyMode::Copy => status::CopyMode::Copy,
            CopyMode::ZeroCopy => status::CopyMode::ZeroCopy,
        },
        received: totals.received,
        sent: totals.sent,
        originated: totals.originated,
        waiting: totals.waiting,
        holds: status::Holds {
            now: totals.holds,
            waiting: totals.holding,
            packets: totals.held,
            expired: totals.holds_expired,
        },
        words: totals.words,
        standstills: totals.standstills,
        sealed: volume(totals.sealed),
        opened: volume(totals.opened),
        drops: reasons(
            totals
                .drops
                .iter()
                .map(|(reason, count)| (reason.name(), count)),
        ),
        kernel_drops: reasons(kernel_drops),
        tunnels: seat
            .peerings
            .iter()
            .zip(seat.control.counters.path_mtus())
            .map(|(peering, path_mtu)| status::Tunnel {
                peering: peering.clone(),
                path_mtu,
            })
            .collect(),
        sequence_numbers_remaining: sequences.into_iter().min().unwrap_or(0),
        sas,
        sa_changes: status::SaChanges {
            installed: totals.sas.installed,
            switched: totals.sas.switched,
            retired: totals.sas.retired,
            due: totals.sas.due,
            expired: totals.sas.expired,
        },
        latency_ns: status::Latency {
            count: latency.len(),
            p50: latency.value_at_quantile(0.5),
            p99: latency.value_at_quantile(0.99),
            p999: latency.value_at_quantile(0.999),
            max: latency.max(),
        },
        frames: status::Frames {
            total: total as u64,
            home: home as u64,
        },
        rounds: status::Rounds {
            all: totals.rounds,
            empty: totals.empty_rounds,
            sleeps: totals.wakeups,
            asleep_ns: totals.asleep.as_nanos() as u64,
        },
        bursts: profile::bursts(&measured.bursts),
        stages: profile::stages(&measured.stages),
        rings: profile::rings(&measured.rings),
    }
}

fn volume(traffic: causeway_gateway::Traffic) -> status::Volume {
    status::Volume {
        packets: traffic.packets,
        bytes: traffic.bytes,
    }
}
