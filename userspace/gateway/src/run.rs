//! A worker's life: rounds and commands in turn, sleep when idle, and a drain at the end.

use std::mem;
use std::time::{Duration, Instant};

use causeway_device::{Device, Diagnostics, RxWatermark};
use causeway_steering::{DropReason, Headers};
use crossbeam::channel::TryRecvError;
use hdrhistogram::Histogram;

use crate::control::Command;
use crate::counters::Totals;
use crate::io::Io;
use crate::reply::{Refused, Reply};
use crate::tunnel::Demuxes;
use crate::worker::Worker;

/// The longest sleep, and so the greatest delay of a timeout; well below [`STALL_AFTER`](crate::STALL_AFTER). A command
/// wakes the worker.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);
/// The sleep while the transmit ring is full, for devices that do not report when it has room.
const FULL_RING_SLEEP: Duration = Duration::from_millis(1);
/// A drain ends when no packet has arrived for this time.
const QUIET: Duration = Duration::from_millis(50);
/// The time limit of a drain when control is gone and has requested none.
const ORPHAN_DRAIN: Duration = Duration::from_secs(2);
/// The least time that the device gets to collect its frames.
const DEVICE_DRAIN: Duration = Duration::from_millis(100);

/// The result of a worker that has ended.
#[derive(Debug)]
pub struct Finished<D> {
    /// The device, with all of its frames returned.
    pub device: D,
    /// The final counts, balanced with no packet waiting.
    pub totals: Totals,
    /// The times from receive to transmit in nanoseconds, since the last [`Command::Latency`].
    pub latency: Histogram<u64>,
    /// Whether all frames of the device were collected in time.
    pub drained: bool,
}

impl<D: Device> Worker<D> {
    /// Runs until [`Command::Drain`] is complete, or until control is gone and the remaining packets are forwarded.
    pub fn run(mut self) -> Finished<D>
    where
        D: Diagnostics,
    {
        let mut busy = Instant::now();
        let mut deadline = None;
        loop {
            let now = Instant::now();
            self.heartbeat(now);
            if let Some(within) = self.process_commands() {
                deadline.get_or_insert(now + within);
                self.dummies.stop();
            }
            let moved = self.round(now);
            if moved > 0 {
                busy = now;
            }
            if let Some(deadline) = deadline
                && (now >= deadline
                    || (self.is_empty() && now.saturating_duration_since(busy) >= QUIET))
            {
                return self.finish(deadline);
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

    /// Whether no packet waits for anything.
    fn is_empty(&self) -> bool {
        self.egress.backlog.len() == 0
            && self.egress.waiting.is_empty()
            && self.ordered.is_empty()
            && self.hold_stage.holds.kept() == 0
    }

    /// Processes all commands that are there. Returns the time limit of a drain, if one was requested.
    pub fn process_commands(&mut self) -> Option<Duration> {
        let mut drain = None;
        loop {
            match self.channels.commands.try_recv() {
                Ok(Command::Drain { within }) => drain = Some(within),
                Ok(command) => self.process(command),
                Err(TryRecvError::Empty) => return drain,
                Err(TryRecvError::Disconnected) => return drain.or(Some(ORPHAN_DRAIN)),
            }
        }
    }

    fn process(&mut self, command: Command) {
        let sas = &mut self.io.totals.sas;
        match command {
            Command::Routes(routes) => {
                self.tunnels.replace_routes(&routes);
                self.egress.replace_routes(routes, &mut self.io);
            }
            Command::Install { tunnel, sa, reply } => {
                reply.send(self.tunnels.install(tunnel, sa, sas));
            }
            Command::Switch { tunnel, sa, reply } => {
                reply.send(self.tunnels.switch(tunnel, sa, sas));
            }
            Command::Retire { spi, reply } => {
                let before = RxWatermark::at(&mut self.io.device);
                self.tunnels.inbound.retire(spi, before, reply);
            }
            Command::ReserveUntil { tunnel, spi, until } => {
                self.tunnels.reserve_until(tunnel, spi, until);
            }
            Command::TooBig { report, at } => {
                let (tunnels, channels) = (&mut self.tunnels, &mut self.channels);
                self.path_mtus.learn(&report, at, tunnels, channels);
            }
            Command::Latency(fresh) => self.swap_latency(fresh),
            Command::Hold { hold, reply } => {
                let known = self.tunnels.get_mut(hold.tunnel);
                reply.send(known.and_then(|_| self.hold_stage.holds.begin(hold)));
            }
            Command::Release { id, reply } => self.hold_stage.release(id, reply),
            Command::Reset { tunnel, reply } => reply.send(self.reset(tunnel)),
            Command::Mark {
                tunnel,
                packet,
                behind,
                reply,
            } => match self.tunnels.get_mut(tunnel) {
                Ok(state) => {
                    // The peer's demux answers to where this one sends from, and sends its own messages there.
                    if let Ok(headers) = Headers::parse(&packet[..], 0) {
                        state.demuxes = Some(Demuxes {
                            own: headers.source,
                            peer: headers.destination,
                        });
                    }
                    let device = &mut self.io.device;
                    self.markers.push(tunnel, packet, behind, reply, device);
                }
                Err(refused) => reply.send(Err(refused)),
            },
            Command::Fence {
                tunnel,
                fenced,
                reply,
            } => self.fence(tunnel, fenced, reply),
            Command::Drain { .. } => {}
        }
    }

    /// Ends the holds and the fence of a tunnel whose demux has restarted.
    fn reset(&mut self, tunnel: usize) -> Result<(), Refused> {
        self.tunnels.get_mut(tunnel)?.fenced = false;
        self.hold_stage.holds.release_all(tunnel);
        Ok(())
    }

    fn fence(&mut self, tunnel: usize, fenced: bool, reply: Reply) {
        match self.tunnels.get_mut(tunnel) {
            Ok(state) => state.fenced = fenced,
            Err(refused) => return reply.send(Err(refused)),
        }
        if fenced {
            let egress = &mut self.egress;
            self.ordered.fence(tunnel, reply, egress, &mut self.io);
        } else {
            reply.send(Ok(()));
        }
    }

    fn swap_latency(&mut self, fresh: Histogram<u64>) {
        let full = mem::replace(&mut self.latency, fresh);
        // If control has not fetched the previous histogram, this one continues, so that no time is lost.
        if let Err(refused) = self.channels.latency.try_send(full) {
            self.latency = refused.into_inner();
        }
    }

    fn sleep(&mut self, longest: Duration) {
        let timeout = if self.egress.backlog.len() > 0 {
            FULL_RING_SLEEP
        } else {
            let sooner = [self.dummies.shortest_interval(), self.ordered.timeout()];
            sooner.into_iter().flatten().fold(longest, Duration::min)
        };
        let before = Instant::now();
        self.io.device.wait(timeout);
        self.io.totals.asleep += before.elapsed();
        self.io.totals.wakeups += 1;
    }

    /// Drops the remaining packets, and lets the device collect its frames.
    fn finish(mut self, deadline: Instant) -> Finished<D> {
        let shutdown = DropReason::Shutdown;
        self.hold_stage.clear(shutdown, &mut self.io);
        self.ordered.drop_messages(shutdown, None, &mut self.io);
        self.egress.drop_waiting(shutdown, &mut self.io);
        self.egress
            .drop_backlog(DropReason::TransmitRingFull, &mut self.io);
        self.publish();
        let left = deadline.saturating_duration_since(Instant::now());
        let Io { mut device, totals } = self.io;
        let drained = device.drain(left.max(DEVICE_DRAIN));
        Finished {
            device,
            totals,
            latency: self.latency,
            drained,
        }
    }
}
