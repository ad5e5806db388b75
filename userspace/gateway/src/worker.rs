//! The worker: the loop of one pinned core. [`Worker::round`] drives a burst from receive to reclaim:
//!
//! 1. **Receive** a burst, behind packets that a hold has released.
//! 2. **Classify** each packet: to seal, to open, to hold back, or to drop.
//! 3. **Seal** the packets for tunnels, run by run.
//! 4. **Open** the packets from tunnels, run by run.
//! 5. **Deliver** both: next hop and Ethernet header, or a queue that waits for one.
//! 6. Do the work that is not per packet: markers, dummies, ordered messages, limits of SAs, requests to control.
//! 7. **Transmit** the backlog.
//! 8. **Reclaim** the frames.
//! 9. Publish the counters.

use std::time::{Duration, Instant};

use causeway_device::{Device, Diagnostics};
use causeway_esp::TAIL_ROOM;
use causeway_steering::DropReason;
use causeway_steering::headers::ETHERNET;
use hdrhistogram::Histogram;

use crate::audit::refuse;
use crate::burst::Burst;
use crate::classify::{NotQueued, classify};
use crate::config::{WorkerConfig, WorkerError};
use crate::control::{Control, Event, WorkerChannels, channels};
use crate::counters::Totals;
use crate::deliver::{deliver_opened, deliver_pieces, deliver_sealed};
use crate::dummy::Dummies;
use crate::egress::Egress;
use crate::hold_stage::HoldStage;
use crate::icmp::{Error, IcmpErrors};
use crate::inbound::InboundSas;
use crate::io::Io;
use crate::latency;
use crate::marker::Markers;
use crate::open::open;
use crate::ordered::OrderedQueue;
use crate::own_packet::OwnSealer;
use crate::path_mtu::PathMtus;
use crate::prefix::Prefixes;
use crate::rate;
use crate::receive::receive;
use crate::reclaim::reclaim;
use crate::seal::{cut, seal, seal_pieces};
use crate::stages::Stage;
use crate::stall::StallDetector;
use crate::timer::Timer;
use crate::tunnel::{TunnelState, Tunnels, min_inner};

/// A worker: the whole path between one device's receive and transmit rings.
///
/// The path of a packet does not allocate, lock, format or call the kernel. Counters and times are kept per burst.
pub struct Worker<D: Device> {
    pub(crate) io: Io<D>,
    pub(crate) burst: Burst<D::Frame>,
    pub(crate) tunnels: Tunnels,
    pub(crate) egress: Egress<D::Frame>,
    pub(crate) hold_stage: HoldStage<D::Frame>,
    pub(crate) ordered: OrderedQueue<D::Frame>,
    pub(crate) markers: Markers,
    pub(crate) dummies: Dummies,
    own_sealer: OwnSealer,
    pub(crate) path_mtus: PathMtus,
    pub(crate) channels: WorkerChannels,
    icmp: IcmpErrors,
    stall: StallDetector,
    timer: Timer,
    pub(crate) latency: Histogram<u64>,
    /// Whether an idle worker spins instead of sleeping.
    pub(crate) spin: bool,
}

impl<D: Device> Worker<D> {
    /// Creates a worker over `device`, and control's end of its channels.
    ///
    /// # Errors
    /// [`WorkerError`] if configuration and device do not fit together.
    pub fn new(config: WorkerConfig, mut device: D) -> Result<(Self, Control), WorkerError> {
        check_frames(&config, &mut device)?;
        let mtu = config.mtu;
        let peers = config.tunnels.iter().enumerate();
        let peer_prefixes = Prefixes::new(
            peers.flat_map(|(tunnel, each)| each.peer_prefixes.iter().map(move |&p| (p, tunnel))),
        );
        let ages = config.tunnels.iter().map(|each| each.path_mtu_age);
        let path_mtus = PathMtus::new(mtu, ages);
        let intervals = config.tunnels.iter().enumerate();
        let intervals = intervals.filter_map(|(n, each)| Some((n, each.dummy_interval?)));
        let dummies = Dummies::new(intervals);
        let mut inbound = InboundSas::new(config.burst);
        let mut states = Vec::with_capacity(config.tunnels.len());
        for (tunnel, each) in config.tunnels.into_iter().enumerate() {
            let max_inner = each.outbound.sa().max_inner(mtu);
            let least = min_inner(&each.peer_prefixes);
            if max_inner < least {
                return Err(WorkerError::MtuTooSmall {
                    tunnel,
                    max_inner,
                    least,
                });
            }
            let spi = each.inbound.sa().spi().get();
            inbound
                .install(tunnel, each.inbound)
                .map_err(|_| WorkerError::DuplicateSpi { spi })?;
            let mut state = TunnelState::new(
                each.peer,
                least,
                each.clamp_mss,
                mtu,
                each.outbound,
                &config.routes,
            );
            state.demuxes = each.demuxes;
            states.push(state);
        }
        let now = Instant::now();
        let (control, channels) = channels(states.len(), device.waker(), rate::audit(now));
        let own_prefixes = Prefixes::new(config.own_prefixes.into_iter().map(|p| (p, 0)));
        let address = config.address.into();
        let nic_addresses = config.nic_addresses.iter().map(|&a| a.into()).collect();
        let icmp_sources = std::iter::once(config.address).chain(config.nic_addresses);
        let ordered = OrderedQueue::new(nic_addresses, states.len());
        let mut worker = Self {
            burst: Burst::new(config.burst, now),
            tunnels: Tunnels::new(address, own_prefixes, peer_prefixes, states, inbound, mtu),
            egress: Egress::new(config.mac, config.routes, config.burst, now),
            hold_stage: HoldStage::new(config.hold_packets),
            ordered,
            markers: Markers::default(),
            own_sealer: OwnSealer::new(mtu),
            dummies,
            path_mtus,
            channels,
            icmp: IcmpErrors::new(icmp_sources, rate::icmp(now)),
            stall: StallDetector::default(),
            timer: Timer::new(),
            latency: latency::histogram(),
            spin: config.spin,
            io: Io {
                device,
                totals: Totals::default(),
            },
        };
        for (tunnel, state) in worker.tunnels.states.iter().enumerate() {
            let mtu = state.path_mtu() as u64;
            worker.channels.counters.publish_path(tunnel, mtu);
            state.publish(tunnel, &worker.channels.counters);
        }
        worker.publish();
        Ok((worker, control))
    }

    /// Runs one round, from receive to reclaim. Returns the number of received and transmitted packets; 0 means that the
    /// worker is idle.
    pub fn round(&mut self, now: Instant) -> usize
    where
        D: Diagnostics,
    {
        self.timer.begin();
        self.burst.now = now;
        let sas = &mut self.io.totals.sas;
        self.tunnels.review(now, &self.channels, sas);
        if !self.hold_stage.is_empty() {
            self.hold_stage.expire(now, &mut self.io);
        }

        // 1. to 5.
        let received = self.forward();

        // 6.
        self.egress.drop_expired(now, &mut self.io);
        let (sealer, tunnels) = (&mut self.own_sealer, &mut self.tunnels);
        self.dummies
            .send_due(now, sealer, tunnels, &mut self.egress, &mut self.io);
        self.ordered.advance(now, &mut self.egress, &mut self.io);
        let sas = &mut self.io.totals.sas;
        self.tunnels.account(now, &self.channels, sas);
        self.egress.request_neighbours(now, &self.channels);
        self.tunnels.request_numbers(now, &self.channels);
        self.path_mtus
            .advance(now, &mut self.tunnels, &self.channels);
        if self.egress.backlog.len() > 0 {
            // The last moment before packets leave at which a stall can be detected.
            self.check_stall(Instant::now());
        }
        self.timer.lap(Stage::Control, received);

        // 7.
        let Io { device, totals } = &mut self.io;
        let backlog = &mut self.egress.backlog;
        let sent = backlog.transmit(device, totals, &mut self.latency);
        self.timer.lap(Stage::Transmit, sent);
        self.ordered
            .complete(&self.egress, &mut self.io, &self.channels);

        // 8.
        reclaim(&mut self.burst, &mut self.io.device);
        self.timer.lap(Stage::Reclaim, received);

        // 9.
        self.io.totals.rounds += 1;
        self.io.totals.empty_rounds += u64::from(received + sent == 0);
        self.publish();
        self.timer.lap(Stage::Publish, received);
        if self.timer.end(received) {
            let (stages, rings) = (&self.timer.stages, &self.timer.rings);
            self.channels.counters.profile.publish(stages, rings);
        }
        received + sent
    }

    /// Steps 1 to 5: receives a burst and forwards its packets, after a burst of released ones. Returns the number of
    /// packets.
    fn forward(&mut self) -> usize
    where
        D: Diagnostics,
    {
        // Back pressure: the backlog goes first. The receive ring fills meanwhile, and the kernel counts its drops.
        if self.egress.backlog.len() > self.burst.limit {
            return 0;
        }
        let (mut released, mut max) = (0, self.burst.limit);
        if self.hold_stage.holds.is_releasing() {
            released = self.forward_released();
            // Fewer packets arrive than leave, so that the hold ends whatever arrives for it.
            max /= 2;
        }
        let (timer, counters) = (&mut self.timer, &self.channels.counters);
        let count = receive(&mut self.burst, max, &mut self.io, timer, counters);
        if self.stall.is_late(self.burst.now) {
            self.io.totals.drops[DropReason::WorkerStalled] += count as u64;
        } else {
            for index in 0..self.burst.received.len() {
                self.classify(index);
            }
            self.flush();
            if !self.burst.queues.held_back.is_empty() {
                self.hold_stage.keep(&mut self.burst, &mut self.io);
            }
        }
        self.timer.lap(Stage::Classify, count);
        let retired = self.tunnels.inbound.drop_retired(&mut self.io.device);
        self.io.totals.sas.retired += retired;
        self.stall.received(&mut self.io.device);
        if !self.markers.is_empty() {
            let releasing = self.hold_stage.holds.is_releasing();
            let (sealer, tunnels) = (&mut self.own_sealer, &mut self.tunnels);
            let (now, egress) = (self.burst.now, &mut self.egress);
            self.markers
                .seal_due(now, releasing, sealer, tunnels, egress, &mut self.io);
        }
        released + count
    }

    /// Forwards a burst of released packets as if they had just been received; a later hold may keep them again. Returns
    /// their number.
    #[cold]
    fn forward_released(&mut self) -> usize {
        let mut count = 0;
        while count < self.burst.limit
            && self.hold_stage.next_released(&mut self.burst, &mut self.io)
        {
            self.classify(count);
            count += 1;
        }
        self.flush();
        self.hold_stage.keep(&mut self.burst, &mut self.io);
        self.hold_stage.end_released();
        count
    }

    /// Step 2 for the packet at `index` of the burst.
    #[inline(always)]
    fn classify(&mut self, index: usize) {
        let (burst, device) = (&mut self.burst, &self.io.device);
        let (tunnels, waiting) = (&mut self.tunnels, &self.egress.waiting);
        match classify(burst, index, device, tunnels, waiting, &self.hold_stage) {
            Ok(()) => {}
            Err(NotQueued::Drop(reason)) => self.io.totals.drops[reason] += 1,
            Err(exception) => self.handle_exception(exception, index),
        }
    }

    /// Steps 3 to 5 for the packets that are queued: those to seal in their order, then those to open in theirs. All
    /// packets of a flow use one SA, so no order is required between the two.
    fn flush(&mut self) {
        self.timer.lap(Stage::Classify, 0);
        if !self.burst.queues.to_seal.is_empty() {
            let (burst, tunnels) = (&mut self.burst, &mut self.tunnels);
            let count = seal(burst, tunnels, &mut self.io);
            self.timer.lap(Stage::Seal, count);
            deliver_sealed(burst, tunnels, &mut self.egress, &mut self.io);
            self.timer.lap(Stage::Deliver, count);
        }
        if !self.burst.queues.to_open.is_empty() {
            let (burst, tunnels) = (&mut self.burst, &mut self.tunnels);
            let (egress, ordered) = (&mut self.egress, &mut self.ordered);
            let count = open(burst, &mut tunnels.inbound, &mut self.io, &self.channels);
            self.timer.lap(Stage::Open, count);
            let channels = &mut self.channels;
            deliver_opened(burst, tunnels, egress, ordered, &mut self.io, channels);
            self.timer.lap(Stage::Deliver, count);
        }
    }

    /// Handles a packet that was neither queued nor simply dropped: sends an ICMP error or fragments behind all packets
    /// before it, or an audit event.
    #[cold]
    #[inline(never)]
    fn handle_exception(&mut self, exception: NotQueued, index: usize) {
        let dropped = match exception {
            NotQueued::Drop(reason) => Err(reason),
            NotQueued::Refuse { reason, esp } => {
                let frame = self.io.device.bytes(&self.burst.received[index]);
                let (now, totals) = (self.burst.now, &mut self.io.totals);
                return refuse(frame, esp as usize, reason, now, totals, &mut self.channels);
            }
            NotQueued::TtlExceeded { l3 } => {
                self.send_icmp(Error::TimeExceeded, index, l3);
                Err(DropReason::TtlExceeded)
            }
            NotQueued::TooBig { l3, tunnel } => {
                let mtu = self.tunnels.states[tunnel as usize].max_inner;
                self.send_icmp(Error::TooBig { mtu }, index, l3);
                Err(DropReason::TooBig)
            }
            NotQueued::Fragment { l3, tunnel } => self.fragment(index, l3.into(), tunnel as usize),
        };
        if let Err(reason) = dropped {
            self.io.totals.drops[reason] += 1;
        }
    }

    fn send_icmp(&mut self, error: Error, index: usize, l3: u16) {
        self.flush();
        let (frame, now) = (&self.burst.received[index], self.burst.now);
        let egress = &mut self.egress;
        self.icmp
            .send(error, frame, l3.into(), now, egress, &mut self.io);
    }

    fn fragment(&mut self, index: usize, l3: usize, tunnel: usize) -> Result<(), DropReason> {
        self.flush();
        let (burst, tunnels) = (&mut self.burst, &mut self.tunnels);
        let (waiting, device) = (&self.egress.waiting, &self.io.device);
        let cut = cut(burst, index, l3, tunnel, tunnels, waiting, device)?;
        self.timer.lap(Stage::Classify, 0);
        seal_pieces(burst, &cut, tunnels, &mut self.io.device)?;
        self.timer.lap(Stage::Seal, 1);
        self.io.totals.sealed.add(cut.length);
        deliver_pieces(burst, tunnel, tunnels, &mut self.egress, &mut self.io);
        self.timer.lap(Stage::Deliver, 1);
        Ok(())
    }

    /// Reports that the worker's loop runs. After a pause of more than [`STALL_AFTER`](crate::STALL_AFTER), the worker
    /// drops all packets that it has and those in its rings.
    pub fn heartbeat(&mut self, now: Instant) {
        self.check_stall(now);
        self.stall.heartbeat(now);
    }

    #[inline]
    fn check_stall(&mut self, now: Instant) {
        if let Some(silent) = self.stall.stalled_for(now) {
            self.drop_stalled(silent, now);
        }
    }

    #[cold]
    fn drop_stalled(&mut self, silent: Duration, now: Instant) {
        let reason = DropReason::WorkerStalled;
        self.io.device.invalidate_pending();
        self.egress.drop_backlog(reason, &mut self.io);
        self.egress.drop_waiting(reason, &mut self.io);
        self.ordered.drop_messages(reason, None, &mut self.io);
        self.hold_stage.clear(reason, &mut self.io);
        self.stall.resume(now, &mut self.io.device);
        self.io.totals.worker_stalls += 1;
        self.channels.notify(Event::WorkerStalled(silent));
    }

    pub(crate) fn publish(&mut self) {
        self.io.totals.holds = self.hold_stage.holds.len() as u64;
        self.io.totals.holding = self.hold_stage.holds.kept() as u64;
        self.channels.counters.publish(&self.io.totals);
    }
}

/// Checks that a frame has room for a packet as long as the MTU.
fn check_frames(config: &WorkerConfig, device: &mut impl Device) -> Result<(), WorkerError> {
    if config.burst == 0 {
        return Err(WorkerError::EmptyBurst);
    }
    let mtu = config.mtu;
    let needed = ETHERNET + mtu + TAIL_ROOM;
    let mut frame = device.allocate().ok_or(WorkerError::NoFrames)?;
    let room = device.room(&mut frame).len();
    device.release(frame);
    if room < needed {
        return Err(WorkerError::FrameTooSmall { room, needed, mtu });
    }
    Ok(())
}
