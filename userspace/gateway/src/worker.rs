//! The whole loop of one pinned core.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_device::Device;
use causeway_esp::TAIL_ROOM;
use causeway_routes::Snapshot;
use causeway_steering::headers::ETHERNET;
use causeway_steering::{Address, Drop};
use hdrhistogram::Histogram;

use crate::backlog::Backlog;
use crate::behind::Behind;
use crate::config::{WorkerConfig, WorkerError};
use crate::control::{Control, Event, Port, link};
use crate::counters::Totals;
use crate::dummy::Dummies;
use crate::hold::{Holds, Released};
use crate::icmp;
use crate::inbound::Inbound;
use crate::mark::Mark;
use crate::onward::Onward;
use crate::path::Path;
use crate::prefix::Prefixes;
use crate::rate::{self, TokenBucket};
use crate::reply::Reply;
use crate::runs::{OpenRun, SealRun, ToOpen, ToSeal};
use crate::stages::{Stage, Timer};
use crate::standstill::Pulse;
use crate::tunnel::{self, Lane};
use crate::waiting::Waiting;

/// How often control is told of a next hop in use: a sample in which every busy neighbour appears
/// before long, and once is enough.
const CONFIRM: Duration = Duration::from_millis(100);
/// How often the age of the inbound SAs is looked at. There may be thousands, so not in each batch; what
/// they carry is looked at when they carry it.
const REVIEW: Duration = Duration::from_millis(10);
/// How many SAs of each direction are looked at then, so that 10,000 idle ones cost no more than these.
const REVIEWED: usize = 256;

/// A worker: everything between one device's receive and transmit rings.
///
/// A round takes a burst, finds each packet's path, seals or opens it into a frame of the transmit
/// side, and hands the results over at once. Nothing on that way allocates, locks, or calls the
/// kernel; counters and times are kept per batch.
pub struct Worker<D: Device> {
    pub(crate) device: D,
    pub(crate) port: Port,
    pub(crate) mac: [u8; 6],
    pub(crate) address: Address,
    pub(crate) nic_addresses: Vec<Address>,
    pub(crate) icmp_sources: icmp::Sources,
    pub(crate) burst: usize,
    pub(crate) spin: bool,
    pub(crate) own_prefixes: Prefixes,
    pub(crate) peer_prefixes: Prefixes,
    pub(crate) inbound: Inbound,
    pub(crate) mtu: usize,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) routes: Arc<Snapshot>,
    pub(crate) onward: Onward,
    /// Where a packet of this batch went whose next hop was known.
    pub(crate) in_use: Option<IpAddr>,
    confirmed: Instant,
    reviewed: Option<Instant>,
    /// The tunnel that is next to be reviewed.
    next_review: usize,
    /// Tunnels whose outbound SA has sealed in this round, or is a new one.
    used: Vec<usize>,
    /// Whether a tunnel may be short of numbers.
    pub(crate) short: bool,
    /// When the first of the learned MTUs is to be forgotten, if any is.
    pub(crate) forget_at: Option<Instant>,
    /// Whether tunnels send dummies.
    pub(crate) dummies: bool,
    pub(crate) received: Vec<D::Frame>,
    /// The packets of the burst that are not finished yet.
    pub(crate) sealing: Vec<ToSeal>,
    pub(crate) seal_runs: Vec<SealRun>,
    pub(crate) opening: Vec<ToOpen>,
    pub(crate) open_runs: Vec<OpenRun>,
    /// Where those of either way go, in the same order.
    pub(crate) outs: Vec<D::Frame>,
    /// Those that are finished and have a next hop.
    pub(crate) ready: Vec<D::Frame>,
    /// The sealed pieces of one packet, with their lengths, until all of them are.
    pub(crate) pieces: Vec<(D::Frame, usize)>,
    /// What a dummy packet is made of.
    pub(crate) blank: Vec<u8>,
    pub(crate) backlog: Backlog<D::Frame>,
    pub(crate) waiting: Waiting<D::Frame>,
    pub(crate) behind: Behind<D::Frame>,
    pub(crate) holds: Holds<D::Frame>,
    /// The packets of the burst that are to be held: their places, and their holds'.
    pub(crate) keeping: Vec<(usize, usize)>,
    /// A burst of packets that a hold has let go.
    pub(crate) released: Vec<D::Frame>,
    /// Who is told when a hold is gone.
    pub(crate) releases: Vec<(u64, Reply<Released>)>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) pulse: Pulse,
    pub(crate) icmp_tokens: TokenBucket,
    pub(crate) audit_tokens: TokenBucket,
    pub(crate) totals: Totals,
    pub(crate) timer: Timer,
    pub(crate) latency: Histogram<u64>,
}

impl<D: Device> Worker<D> {
    /// A worker over `device`, and control's end of its channels.
    ///
    /// # Errors
    /// [`WorkerError`] if configuration and device do not go together.
    pub fn new(config: WorkerConfig, mut device: D) -> Result<(Self, Control), WorkerError> {
        if config.burst == 0 {
            return Err(WorkerError::EmptyBurst);
        }
        let needed = ETHERNET + config.mtu + TAIL_ROOM;
        let mut frame = device.allocate().ok_or(WorkerError::NoFrames)?;
        let room = device.room(&mut frame).len();
        device.release(frame);
        if room < needed {
            let mtu = config.mtu;
            return Err(WorkerError::FrameTooSmall { room, needed, mtu });
        }
        let peers = config.tunnels.iter().enumerate();
        let peer_prefixes = Prefixes::new(
            peers.flat_map(|(tunnel, each)| each.peer_prefixes.iter().map(move |&p| (p, tunnel))),
        );
        let mut inbound = Inbound::new(config.burst);
        let mut lanes = Vec::with_capacity(config.tunnels.len());
        for (tunnel, each) in config.tunnels.into_iter().enumerate() {
            let max_inner = each.outbound.sa().max_inner(config.mtu);
            let least = tunnel::least(&each.peer_prefixes);
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
            let path = Path::new(config.mtu, each.path_mtu_age);
            let mut lane = Lane::new(
                each.peer,
                least,
                each.clamp_mss,
                path,
                each.outbound,
                &config.routes,
            );
            lane.dummies = each.dummy_interval.map(Dummies::new);
            lanes.push(lane);
        }
        let now = Instant::now();
        let (control, port) = link(lanes.len(), device.waker());
        let mut worker = Self {
            port,
            mac: config.mac,
            address: config.address.into(),
            nic_addresses: config.nic_addresses.iter().map(|&a| a.into()).collect(),
            icmp_sources: icmp::Sources::of(
                std::iter::once(config.address).chain(config.nic_addresses),
            ),
            burst: config.burst,
            spin: config.spin,
            own_prefixes: Prefixes::new(config.own_prefixes.into_iter().map(|p| (p, 0))),
            peer_prefixes,
            inbound,
            mtu: config.mtu,
            used: Vec::with_capacity(lanes.len()),
            dummies: lanes.iter().any(|lane| lane.dummies.is_some()),
            lanes,
            routes: config.routes,
            onward: Onward::none(),
            in_use: None,
            confirmed: now,
            reviewed: None,
            next_review: 0,
            short: true,
            forget_at: None,
            received: Vec::with_capacity(config.burst),
            sealing: Vec::with_capacity(config.burst),
            seal_runs: Vec::with_capacity(config.burst),
            opening: Vec::with_capacity(config.burst),
            open_runs: Vec::with_capacity(config.burst),
            outs: Vec::with_capacity(config.burst),
            ready: Vec::with_capacity(config.burst),
            pieces: Vec::with_capacity(16),
            blank: Vec::with_capacity(config.mtu + TAIL_ROOM),
            // Two bursts with a second frame each (a fragment, an ICMP error), and all that may
            // wait for a next hop.
            backlog: Backlog::with_capacity(4 * config.burst + crate::waiting::CAPACITY),
            waiting: Waiting::new(),
            behind: Behind::new(),
            holds: Holds::new(config.hold_packets),
            keeping: Vec::with_capacity(config.burst),
            released: Vec::with_capacity(config.burst),
            releases: Vec::new(),
            marks: Vec::new(),
            pulse: Pulse::default(),
            icmp_tokens: rate::icmp(now),
            audit_tokens: rate::audit(now),
            totals: Totals::default(),
            timer: Timer::new(),
            latency: crate::latency::histogram(),
            device,
        };
        for (tunnel, lane) in worker.lanes.iter().enumerate() {
            let mtu = lane.path.mtu() as u64;
            worker.port.counters.publish_path(tunnel, mtu);
            lane.publish(tunnel, &worker.port.counters);
        }
        worker.publish();
        Ok((worker, control))
    }

    /// One batch: receives, works, transmits, and puts everything back in its place. Returns how
    /// many packets it moved; 0 means that there was nothing to do.
    pub fn round(&mut self, now: Instant) -> usize {
        self.timer.begin();
        self.review(now);
        if !self.holds.is_empty() {
            self.expire_holds(now);
        }
        let received = self.receive(now);
        while let Some(outgoing) = self.waiting.pop_expired(now) {
            self.discard(outgoing, Drop::NeighbourUnresolved);
        }
        self.send_dummies(now);
        self.advance(now);
        self.account(now);
        self.ask(now);
        self.forget(now);
        if self.backlog.len() > 0 {
            // The last moment at which it can be known that it is late.
            self.has_stood_still(Instant::now());
        }
        self.timer.lap(Stage::Control, received);
        let sent = self
            .backlog
            .transmit(&mut self.device, &mut self.totals, &mut self.latency);
        self.timer.lap(Stage::Transmit, sent);
        self.tell();
        self.device.release_burst(&mut self.received);
        self.device.maintain();
        self.timer.lap(Stage::Maintain, received);
        self.totals.rounds += 1;
        self.totals.empty_rounds += u64::from(received + sent == 0);
        self.publish();
        self.timer.lap(Stage::Publish, received);
        if self.timer.end(received) {
            let (stages, rings) = (&self.timer.stages, &self.timer.rings);
            self.port.counters.profile.publish(stages, rings);
        }
        received + sent
    }

    /// Asks control for what is short: MAC addresses, sequence numbers.
    fn ask(&mut self, now: Instant) {
        let events = &self.port.events;
        self.waiting
            .ask(now, |hop| events.try_send(Event::Resolve(hop)).is_ok());
        // The kernel keeps an entry that it knew before us as it is, right or wrong, until somebody
        // asks: it sees none of our traffic.
        if let Some(destination) = self.in_use.take()
            && now.saturating_duration_since(self.confirmed) >= CONFIRM
            && let Some(hop) = self.routes.next_hop(destination)
        {
            let _ = events.try_send(Event::Resolve(hop));
            self.confirmed = now;
        }
        if self.short {
            self.short = false;
            for (tunnel, lane) in self.lanes.iter_mut().enumerate() {
                lane.ask_for_numbers(now, |spi| {
                    events.try_send(Event::ReserveMore { tunnel, spi }).is_ok()
                });
                self.short |= lane.is_short();
            }
        }
    }

    /// Notes that a tunnel's outbound SA seals, or is a new one: it is reviewed and published in this round.
    #[inline]
    pub(crate) fn used(&mut self, tunnel: usize) {
        let lane = &mut self.lanes[tunnel];
        if !lane.used {
            lane.used = true;
            self.used.push(tunnel);
            lane.outbound.fetch();
        }
    }

    /// Holds SAs against their lifetimes, now and then, whether they are in use or not.
    fn review(&mut self, now: Instant) {
        let reviewed = self.reviewed;
        if reviewed.is_none_or(|at| now.saturating_duration_since(at) >= REVIEW) {
            self.reviewed = Some(now);
            for _ in 0..self.lanes.len().min(REVIEWED) {
                let tunnel = self.next_review;
                self.next_review = (tunnel + 1) % self.lanes.len();
                self.lanes[tunnel].review(tunnel, now, &self.port, &mut self.totals.sas);
            }
            let changes = &mut self.totals.sas;
            self.inbound.review(REVIEWED, now, &self.port, changes);
        }
    }

    /// Publishes what those outbound SAs have carried that were in use in this round, behind the last packet that they
    /// seal in it, and holds them against their lifetimes and the end of their numbers.
    fn account(&mut self, now: Instant) {
        for tunnel in self.used.drain(..) {
            let lane = &mut self.lanes[tunnel];
            lane.used = false;
            lane.review(tunnel, now, &self.port, &mut self.totals.sas);
            lane.publish(tunnel, &self.port.counters);
            self.short |= lane.is_short();
        }
    }

    pub(crate) fn publish(&mut self) {
        self.totals.holds = self.holds.len() as u64;
        self.totals.holding = self.holds.kept() as u64;
        self.port.counters.publish(&self.totals);
    }
}
