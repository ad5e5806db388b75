//! Reads the status document of a running role from its counters.

mod profile;
mod worker;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use causeway_api::status::{self, Role, Status, reasons};
use causeway_config::Plan;
use causeway_demux::Counters;
use causeway_device::{AfXdp, Monitor};
use causeway_gateway::{Command, Finished, histogram};
use causeway_routes::{Interface, Link, Snapshot};
use causeway_steering::headers::ETHERNET;
use causeway_steering::{DropReason, PuntReason};
use hdrhistogram::Histogram;
use tokio::sync::watch;

use crate::program_tables::ProgramTables;
use crate::readiness::{Facts, not_ready};
use crate::rescale::{Directory, Rescale};
use crate::sas::Sas;
use crate::worker_handle::Workers;
use crate::workers;
use worker::worker;

/// Reads the status of a role at any time.
pub struct StatusReader {
    role: Role,
    cluster: Option<String>,
    since: u64,
    /// The NIC as it was at the start.
    nic: Interface,
    dropped_before: u64,
    peers: Vec<IpAddr>,
    parts: Parts,
    last: Mutex<Last>,
    transient_errors: AtomicU64,
}

/// The parts of a role that the status is read from.
pub struct Parts {
    pub tables: Arc<ProgramTables>,
    pub workers: Workers,
    /// The counters of each worker's sockets.
    pub monitors: Vec<Monitor>,
    pub sas: Arc<Sas>,
    pub directory: Arc<Directory>,
    pub rescale: Arc<Rescale>,
    pub routes: watch::Receiver<Arc<Snapshot>>,
}

/// The results of the last reads.
struct Last {
    link: Link,
    /// The counters of the program at the last successful read.
    counters: Option<Counters>,
    /// The latencies of each worker since the start.
    latency: Vec<Histogram<u64>>,
    /// An empty histogram for each worker, to be exchanged for the one in use.
    spare: Vec<Option<Histogram<u64>>>,
}

impl StatusReader {
    /// A reader for a role that has just started. The NIC's drops count from `link` on, as the program's counters do from its
    /// start.
    pub fn new(role: Role, plan: &Plan, nic: Interface, link: Link, parts: Parts) -> Self {
        let workers = parts.workers.iter();
        let tunnels = plan.workers().flat_map(|(_, worker)| &worker.tunnels);
        let peers: BTreeSet<IpAddr> = tunnels.map(|tunnel| tunnel.peer).collect();
        Self {
            role,
            cluster: plan.cluster.clone(),
            since: SystemTime::UNIX_EPOCH
                .elapsed()
                .map_or(0, |time| time.as_secs()),
            nic,
            dropped_before: link.tx_dropped,
            peers: peers.into_iter().collect(),
            last: Mutex::new(Last {
                link,
                counters: None,
                latency: workers.clone().map(|_| histogram()).collect(),
                spare: workers.map(|_| Some(histogram())).collect(),
            }),
            parts,
            transient_errors: AtomicU64::new(0),
        }
    }

    /// Sets the state of the NIC's link.
    pub fn set_link(&self, link: Link) {
        self.lock().link = link;
    }

    /// Sets [`Status::transient_errors`].
    pub fn set_transient_errors(&self, count: u64) {
        self.transient_errors.store(count, Relaxed);
    }

    /// Adds the latencies that the workers have recorded, and sends each worker an empty histogram.
    pub fn collect_latency(&self) {
        let mut last = self.lock();
        let Last { latency, spare, .. } = &mut *last;
        for ((worker, sum), spare) in self.parts.workers.iter().zip(latency).zip(spare) {
            if let Ok(mut full) = worker.control.latency.try_recv() {
                // Both histograms have the bounds of `histogram()`, so every value is in range.
                let _ = sum.add(&full);
                full.reset();
                *spare = Some(full);
            }
            if let Some(empty) = spare.take() {
                // A worker that has ended has returned its histogram.
                let _ = worker.control.send(Command::Latency(empty));
            }
        }
    }

    /// The status document now.
    pub fn status(&self) -> Status {
        let sas = self.sas();
        let mut last = self.lock();
        let Parts {
            workers, monitors, ..
        } = &self.parts;
        let workers = workers.iter().zip(monitors).zip(&last.latency).zip(sas);
        let workers = workers
            .map(|(((handle, monitor), latency), sas)| {
                let frames = (monitor.frames_total(), monitor.frames_home());
                let totals = handle.control.counters.totals();
                worker(handle, monitor, &totals, sas, latency, frames)
            })
            .collect();
        self.document(&mut last, workers, false)
    }

    /// The status document after the drain, with the final counters of the workers.
    pub fn final_status(&self, finished: &[Finished<AfXdp>]) -> Status {
        let sas = self.sas();
        let mut last = self.lock();
        let mut drained = true;
        let mut workers = Vec::with_capacity(finished.len());
        let handles = self.parts.workers.iter().zip(&self.parts.monitors);
        let handles = handles.zip(sas).zip(&mut last.latency);
        for ((((handle, monitor), sas), sum), finished) in handles.zip(finished) {
            drained &= finished.drained;
            // The histogram that the worker returned after the last tick, then the one in use at its end.
            if let Ok(full) = handle.control.latency.try_recv() {
                let _ = sum.add(&full);
            }
            let _ = sum.add(&finished.latency);
            let frames = workers::frames(finished);
            workers.push(worker(handle, monitor, &finished.totals, sas, sum, frames));
        }
        self.document(&mut last, workers, drained)
    }

    fn document(&self, last: &mut Last, workers: Vec<status::Worker>, drained: bool) -> Status {
        let Parts {
            tables, directory, ..
        } = &self.parts;
        match tables.counters() {
            Ok(counters) => last.counters = Some(counters),
            Err(error) => {
                tracing::error!(%error, "cannot read the program's counters; the status has older values")
            }
        }
        let xdp_mode = tables.mode();
        // A driver may restart its count with the link.
        let nic_dropped = last.link.tx_dropped.saturating_sub(self.dropped_before);
        let steering = last.counters.as_ref();
        let tables = self.parts.rescale.tables();
        let not_ready = not_ready(&Facts {
            xdp_mode,
            nic: &self.nic,
            link: &last.link,
            routes: &self.parts.routes.borrow(),
            peers: &self.peers,
            tables: &tables,
            unresolved: &directory.unresolved(),
            workers: &workers,
        });
        Status {
            role: self.role,
            cluster: self.cluster.clone(),
            since: self.since,
            nic: status::Nic {
                name: self.nic.name.clone(),
                xdp_mode,
                mtu: last.link.mtu,
                tx_dropped: nic_dropped,
            },
            transient_errors: self.transient_errors.load(Relaxed),
            ready: not_ready.is_empty(),
            not_ready,
            drained,
            steering: steering
                .map(|counters| steering_of(counters, &directory.names(), nic_dropped))
                .unwrap_or_default(),
            tables,
            workers,
        }
    }

    /// The SAs of each worker.
    fn sas(&self) -> Vec<Vec<status::Sa>> {
        let mut all = vec![Vec::new(); self.parts.workers.len()];
        for (worker, sa) in self.parts.sas.rows() {
            all[worker].push(sa);
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn steering_of(counters: &Counters, gateways: &[String], nic_dropped: u64) -> status::Steering {
    // The NIC may refuse a packet after the program has redirected it. The program cannot count that, but the NIC does.
    let refused = nic_dropped.min(counters.to_gateway());
    let drops = DropReason::ALL.iter().map(|&reason| {
        let after = if reason == DropReason::NicRingFull {
            refused
        } else {
            0
        };
        (reason.name(), counters.dropped(reason) + after)
    });
    let punts = PuntReason::ALL
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
