//! Installs, switches and retires SAs while a role runs.
//!
//! The order of the steps ensures that no packet is lost. Install: the worker gets the SA, then the XDP program steers its SPI to
//! the worker, then the request is answered. Retire: the XDP program stops steering the SPI, then the worker drops the SA after
//! its last packet.
//!
//! `template` makes SAs, `registry` has the list of SAs and keys, `lookup` finds the tunnel that a request names, `list` makes
//! the SAs' rows for status and lists.

mod error;
mod list;
mod lookup;
mod registry;
mod steer;
mod template;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use causeway_esp::Spi;
use causeway_gateway::{Command, Direction, Refused, Reply};
use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError};

pub use error::SaError;
pub use registry::{Entry, SaRegistry};
pub use steer::Steer;
pub use template::{RESERVATION, ReservedRange, SaTemplate};

use self::registry::{Retirement, direction};
use crate::program_tables::IN_FLIGHT;
use crate::worker_handle::{WorkerHandle, Workers};
use causeway_api::control::NewSa;
use causeway_keys::sequence::Reservation;
use causeway_keys::{SaKey, read_sa};

/// The time limit for a worker's answer to a command. A worker handles commands between two bursts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The SAs of this host.
pub struct Sas {
    workers: Workers,
    registry: Mutex<SaRegistry>,
    /// Serializes changes. It is held during waits for the disk and for a worker; `registry` is not.
    change: Mutex<()>,
}

impl Sas {
    /// The SAs with which the workers start.
    pub fn new(workers: Workers, registry: SaRegistry) -> Self {
        Self {
            workers,
            registry: Mutex::new(registry),
            change: Mutex::new(()),
        }
    }

    /// The index of the worker whose outbound SA sends to this peer with this SPI.
    pub fn sender(&self, peer: IpAddr, spi: u32) -> Option<usize> {
        let registry = self.registry();
        let mut entries = registry.entries().iter();
        let template = |entry: &Entry| &self.workers[entry.worker].templates[entry.tunnel];
        let sends = |entry: &&Entry| {
            entry.direction == Direction::Outbound
                && entry.spi.get() == spi
                && template(entry).peer_address() == peer
        };
        entries.find(sends).map(|entry| entry.worker)
    }

    /// Adds an inbound SA. When this returns, the worker opens packets on it.
    ///
    /// # Errors
    /// [`SaError`]. Nothing has changed, except possibly after [`SaError::NoAnswer`].
    pub fn install(&self, new: &NewSa, steer: &dyn Steer) -> Result<String, SaError> {
        let _change = lock(&self.change);
        let index @ (worker, tunnel) = self.find_tunnel(new)?;
        let spi = spi(new.spi)?;
        let worker = &self.workers[worker];
        let template = &worker.templates[tunnel];
        {
            let registry = self.registry();
            registry.check_capacity()?;
            if let Some(entry) = registry.inbound(spi) {
                return Err(self.in_use(entry));
            }
        }
        let key = read_sa(&new.key_file)?;
        self.registry().take_key(&key, spi, &new.key_file)?;
        self.with_key(&key, || {
            let sa = template.inbound(spi, &key)?;
            let lifetime = sa.lifetime();
            let sa = causeway_gateway::TrackedSa::from(sa);
            let entry = Entry::new((spi, Direction::Inbound), index, sa.meter(), lifetime);
            worker.request(|reply| Command::Install { tunnel, sa, reply })?;
            if let Err(error) = steer.steer(spi, worker.id) {
                // No packet was steered to the SA, so the worker can drop it at any time.
                let reply = Reply::channel().0;
                worker.control.send(Command::Retire { spi, reply })?;
                return Err(SaError::Steering { spi, error });
            }
            self.registry().add(entry);
            Ok(())
        })?;
        tracing::info!(gateway = worker.gateway, worker = worker.id, peering = template.peering, %spi, "inbound SA installed");
        Ok(format!(
            "worker {} of {} receives {} on SPI {spi}",
            worker.id, worker.gateway, template.peering
        ))
    }

    /// Replaces the outbound SA of a tunnel. When this returns, the next packet uses the new SA, and the key of the old SA is
    /// wiped.
    ///
    /// # Errors
    /// [`SaError`]. Nothing has changed, except possibly after [`SaError::NoAnswer`].
    pub fn switch(&self, new: &NewSa) -> Result<String, SaError> {
        let _change = lock(&self.change);
        let index @ (worker, tunnel) = self.find_tunnel(new)?;
        let spi = spi(new.spi)?;
        let worker = &self.workers[worker];
        let template = &worker.templates[tunnel];
        self.check_outbound_spi(template, spi)?;
        let key = read_sa(&new.key_file)?;
        let reservation = Reservation::open(&new.key_file, &key)?;
        self.registry().take_key(&key, spi, &new.key_file)?;
        self.with_key(&key, || {
            let (sa, reserved) = template.outbound(spi, &key, reservation)?;
            let lifetime = sa.lifetime();
            let sa = causeway_gateway::TrackedSa::from(sa);
            let entry = Entry::new((spi, Direction::Outbound), index, sa.meter(), lifetime);
            // Stored before the worker can request more numbers.
            let previous = std::mem::replace(&mut lock(&worker.reserved)[tunnel], reserved);
            let switched = worker.request(|reply| Command::Switch { tunnel, sa, reply });
            if let Err(error @ (SaError::Refused(_) | SaError::Gone(_))) = switched {
                lock(&worker.reserved)[tunnel] = previous;
                return Err(error);
            }
            switched?;
            self.registry().replace_outbound(entry);
            Ok(())
        })?;
        tracing::info!(gateway = worker.gateway, worker = worker.id, peering = template.peering, %spi, "outbound SA switched");
        Ok(format!(
            "worker {} of {} sends {} on SPI {spi}",
            worker.id, worker.gateway, template.peering
        ))
    }

    /// Retires an inbound SA `after` a time in which packets on it are still opened.
    ///
    /// # Errors
    /// [`SaError::NoSuchSpi`], [`SaError::LastInbound`]. Nothing has changed.
    pub fn retire(&self, number: u32, after: Duration) -> Result<String, SaError> {
        let spi = spi(number)?;
        let mut registry = self.registry();
        let entry = registry.inbound(spi).ok_or(SaError::NoSuchSpi(spi))?;
        let worker = &self.workers[entry.worker];
        if matches!(entry.retirement, Retirement::None) && !registry.has_successor(entry) {
            return Err(SaError::LastInbound {
                spi,
                peering: worker.templates[entry.tunnel].peering.clone(),
                worker: worker.id,
            });
        }
        if let Some(entry) = registry.inbound_mut(spi)
            && matches!(entry.retirement, Retirement::None | Retirement::At(_))
        {
            entry.retirement = Retirement::At(Instant::now() + after);
        }
        tracing::info!(gateway = worker.gateway, worker = worker.id, %spi, ?after, "inbound SA will be retired");
        Ok(format!(
            "SPI {spi} will be retired after {} s",
            after.as_secs()
        ))
    }

    /// Advances the retirement of SAs. Called periodically.
    pub fn tick(&self, now: Instant, steer: &dyn Steer) {
        let mut retired = Vec::new();
        let mut registry = self.registry();
        for entry in registry.entries_mut() {
            let (spi, worker) = (entry.spi, &self.workers[entry.worker]);
            match &entry.retirement {
                Retirement::At(time) if now >= *time => match steer.unsteer(spi) {
                    Ok(()) => entry.retirement = Retirement::Unsteered(now),
                    Err(error) => {
                        tracing::error!(%spi, %error, "cannot stop steering the SPI; will retry")
                    }
                },
                Retirement::Unsteered(since)
                    if now.saturating_duration_since(*since) >= IN_FLIGHT =>
                {
                    let (reply, answer) = Reply::channel();
                    match worker.control.send(Command::Retire { spi, reply }) {
                        Ok(()) => entry.retirement = Retirement::Requested(answer),
                        Err(_) => retired.push(spi),
                    }
                }
                Retirement::Requested(answer) => match answer.try_recv() {
                    Err(TryRecvError::Empty) => {}
                    Ok(_) | Err(TryRecvError::Disconnected) => retired.push(spi),
                },
                Retirement::None | Retirement::At(_) | Retirement::Unsteered(_) => {}
            }
        }
        for spi in retired {
            tracing::info!(%spi, "inbound SA retired");
            registry.remove_inbound(spi);
        }
    }

    fn registry(&self) -> MutexGuard<'_, SaRegistry> {
        lock(&self.registry)
    }

    /// Runs `work`, which passes a key to a worker. If it fails, and the worker cannot have received the key, the key may be
    /// used again.
    fn with_key(
        &self,
        key: &SaKey,
        work: impl FnOnce() -> Result<(), SaError>,
    ) -> Result<(), SaError> {
        let result = work();
        if let Err(error) = &result
            && !matches!(error, SaError::NoAnswer { .. })
        {
            self.registry().release_key(key);
        }
        result
    }

    /// Checks that no outbound SA to the same peer has this SPI. An outbound SPI is an inbound SPI of the peer, where it selects
    /// one SA.
    fn check_outbound_spi(&self, template: &SaTemplate, spi: Spi) -> Result<(), SaError> {
        let registry = self.registry();
        let taken = registry.entries().iter().find(|entry| {
            let other = &self.workers[entry.worker].templates[entry.tunnel];
            entry.direction == Direction::Outbound
                && entry.spi == spi
                && other.peer_address() == template.peer_address()
        });
        match taken {
            Some(entry) => Err(self.in_use(entry)),
            None => Ok(()),
        }
    }

    fn in_use(&self, entry: &Entry) -> SaError {
        SaError::SpiInUse {
            spi: entry.spi,
            direction: direction(entry.direction).name(),
            gateway: self.workers[entry.worker].gateway.clone(),
        }
    }
}

impl WorkerHandle {
    /// Sends a command to the worker and waits for its answer.
    fn request(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), SaError> {
        let (reply, answer): (_, Receiver<Result<(), Refused>>) = Reply::channel();
        self.control.send(command(reply))?;
        match answer.recv_timeout(ANSWER_TIMEOUT) {
            Ok(answer) => Ok(answer?),
            Err(RecvTimeoutError::Disconnected) => Err(causeway_gateway::Gone.into()),
            Err(RecvTimeoutError::Timeout) => Err(SaError::NoAnswer {
                gateway: self.gateway.clone(),
                worker: self.id,
                seconds: ANSWER_TIMEOUT.as_secs(),
            }),
        }
    }
}

fn spi(number: u32) -> Result<Spi, SaError> {
    Spi::new(number).ok_or(SaError::ReservedSpi(number))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
