//! A worker's life: batches and commands in turn, sleep when there is nothing to do, and a drain at
//! the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_device::{Arrived, Device};
use causeway_esp::{InboundSa, OutboundSa};
use causeway_routes::{Lookup, Snapshot};
use causeway_steering::Drop;
use crossbeam::channel::TryRecvError;
use hdrhistogram::Histogram;

use crate::control::Command;
use crate::counters::Totals;
use crate::onward::Onward;
use crate::reply::Refused;
use crate::sa::Metered;
use crate::worker::Worker;

/// The longest sleep, which is how late a waiting packet's time may be found over; well below
/// [`STANDSTILL`](crate::STANDSTILL). For commands control wakes the worker.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);
/// Sleep while the transmit ring has no room, for devices that cannot tell when it has.
const FULL_RING_SLEEP: Duration = Duration::from_millis(1);
/// A drain ends when nothing came for so long.
const QUIET: Duration = Duration::from_millis(50);
/// What a drain may take when control has gone without asking for one.
const ORPHAN_DRAIN: Duration = Duration::from_secs(2);
/// What the device gets at least to bring its frames home.
const DEVICE_DRAIN: Duration = Duration::from_millis(100);

/// What a worker leaves behind.
#[derive(Debug)]
pub struct Finished<D> {
    /// The device, with every frame that it gave out returned to it.
    pub device: D,
    /// The final counts, which balance with nothing waiting.
    pub totals: Totals,
    /// The times from receive to transmit, in nanoseconds, since the last [`Command::Latency`].
    pub latency: Histogram<u64>,
    /// Whether all of the device's frames came home in time.
    pub drained: bool,
}

impl<D: Device> Worker<D> {
    /// Runs until [`Command::Drain`] is done, or until control is gone and what was left is worked
    /// off.
    pub fn run(mut self) -> Finished<D> {
        let mut busy = Instant::now();
        let mut deadline = None;
        loop {
            let now = Instant::now();
            self.awake(now);
            if let Some(within) = self.obey() {
                deadline.get_or_insert(now + within);
                self.lanes.iter_mut().for_each(|lane| lane.dummies = None);
            }
            let moved = self.round(now);
            if moved > 0 {
                busy = now;
            }
            if let Some(deadline) = deadline {
                let empty = self.backlog.len() == 0
                    && self.waiting.is_empty()
                    && self.behind.is_empty()
                    && self.holds.kept() == 0;
                if now >= deadline || (empty && now.saturating_duration_since(busy) >= QUIET) {
                    return self.finish(deadline);
                }
            }
            if moved == 0 && !self.spin {
                let longest = if deadline.is_some() {
                    QUIET
                } else {
                    LONGEST_SLEEP
                };
                self.sleep(longest);
            }
        }
    }

    /// Obeys all commands that are there. Returns the time for a drain if one was asked for.
    pub fn obey(&mut self) -> Option<Duration> {
        let mut drain = None;
        loop {
            match self.port.commands.try_recv() {
                Ok(Command::Routes(routes)) => self.reroute(routes),
                Ok(Command::Install { tunnel, sa, reply }) => reply.send(self.install(tunnel, sa)),
                Ok(Command::Switch { tunnel, sa, reply }) => reply.send(self.switch(tunnel, sa)),
                Ok(Command::Retire { spi, reply }) => {
                    let before = Arrived::at(&mut self.device);
                    self.inbound.retire(spi, before, reply);
                }
                Ok(Command::ReserveUntil { tunnel, spi, until }) => {
                    if let Some(lane) = self.lanes.get_mut(tunnel) {
                        lane.reserve_until(spi, until);
                        self.short = true;
                    }
                }
                Ok(Command::TooBig { report, at }) => self.learn(&report, at),
                Ok(Command::Latency(fresh)) => self.swap_latency(fresh),
                Ok(Command::Hold { hold, reply }) => reply.send(self.hold(hold)),
                Ok(Command::Release { id, reply }) => self.release(id, reply),
                Ok(Command::Reset { tunnel, reply }) => reply.send(self.reset(tunnel)),
                Ok(Command::Mark {
                    tunnel,
                    packet,
                    behind,
                    reply,
                }) => self.mark(tunnel, packet, behind, reply),
                Ok(Command::Fence {
                    tunnel,
                    fenced,
                    reply,
                }) => self.fence(tunnel, fenced, reply),
                Ok(Command::Drain { within }) => drain = Some(within),
                Err(TryRecvError::Empty) => return drain,
                Err(TryRecvError::Disconnected) => return drain.or(Some(ORPHAN_DRAIN)),
            }
        }
    }

    fn install(&mut self, tunnel: usize, sa: Metered<InboundSa>) -> Result<(), Refused> {
        if tunnel >= self.lanes.len() {
            return Err(Refused::NoSuchTunnel { tunnel });
        }
        self.inbound.install(tunnel, sa)?;
        self.totals.sas.installed += 1;
        Ok(())
    }

    fn switch(&mut self, tunnel: usize, sa: Metered<OutboundSa>) -> Result<(), Refused> {
        let lane = self.lanes.get_mut(tunnel);
        let lane = lane.ok_or(Refused::NoSuchTunnel { tunnel })?;
        let max_inner = sa.sa().max_inner(self.mtu);
        let least = lane.least;
        if max_inner < least {
            return Err(Refused::MtuTooSmall { max_inner, least });
        }
        lane.switch(sa);
        self.short = true;
        self.used(tunnel);
        self.totals.sas.switched += 1;
        Ok(())
    }

    /// Takes a new snapshot into force, and lets go what waited for it.
    fn reroute(&mut self, routes: Arc<Snapshot>) {
        self.onward = Onward::none();
        for lane in &mut self.lanes {
            lane.hop = routes.lookup(lane.peer);
        }
        let mut waiting = self.waiting.take();
        waiting.review(&routes, |hop, outgoing| match hop {
            Lookup::Ready(mac) => self.send(outgoing, mac),
            Lookup::Unreachable | Lookup::Unresolved(_) => {
                self.discard(outgoing, Drop::Unreachable);
            }
        });
        self.waiting = waiting;
        self.routes = routes;
    }

    fn swap_latency(&mut self, fresh: Histogram<u64>) {
        let full = std::mem::replace(&mut self.latency, fresh);
        // Control has not fetched the last one: this one goes on, and nothing is lost.
        if let Err(refused) = self.port.latency.try_send(full) {
            self.latency = refused.into_inner();
        }
    }

    fn sleep(&mut self, longest: Duration) {
        let timeout = if self.backlog.len() > 0 {
            FULL_RING_SLEEP
        } else {
            let sooner = [self.shortest_interval(), self.behind.patience()];
            sooner.into_iter().flatten().fold(longest, Duration::min)
        };
        let before = Instant::now();
        self.device.wait(timeout);
        self.totals.asleep += before.elapsed();
        self.totals.wakeups += 1;
    }

    /// Drops what is left by name and lets the device bring its frames home.
    fn finish(mut self, deadline: Instant) -> Finished<D> {
        self.clear_holds(Drop::Shutdown);
        self.drop_words(Drop::Shutdown, None);
        while let Some(outgoing) = self.waiting.pop() {
            self.discard(outgoing, Drop::Shutdown);
        }
        while let Some(outgoing) = self.backlog.pop() {
            self.discard(outgoing, Drop::TransmitRingFull);
        }
        self.publish();
        let left = deadline.saturating_duration_since(Instant::now());
        let drained = self.device.drain(left.max(DEVICE_DRAIN));
        Finished {
            device: self.device,
            totals: self.totals,
            latency: self.latency,
            drained,
        }
    }
}
