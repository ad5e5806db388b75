//! The channels between a worker and its control thread. The worker only ever tries: it never
//! blocks on control.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_device::Waker;
use causeway_esp::{InboundSa, OutboundSa, Spi, Stage};
use causeway_routes::Snapshot;
use causeway_steering::Drop;
use crossbeam::channel::{Receiver, Sender, bounded};
use hdrhistogram::Histogram;

use crate::counters::{Changes, Counters};
use crate::hold::{Hold, Released};
use crate::reply::Reply;
use crate::sa::Metered;
use crate::too_big::TooBig;
use crate::word::Word;

/// Commands in flight: control sends a few per second.
const COMMANDS: usize = 64;
/// Events in flight. What does not fit is asked again or, for an audit event, lost.
const EVENTS: usize = 1024;
/// Words of peers' demuxes in flight: two a probe for each of a dozen tunnels, and a tenth of a
/// second of that. What does not fit is [`Drop::WordLost`]; demuxes say again what matters.
const WORDS: usize = 64;

/// From control to the worker, obeyed between two batches.
#[derive(Debug)]
pub enum Command {
    /// The kernel's routes and neighbours as they are now. Packets that waited for a next hop that
    /// is known now are sent.
    Routes(Arc<Snapshot>),
    /// Receive on one more SA. Done before anything is steered towards it.
    Install {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// The SA.
        sa: Metered<InboundSa>,
        /// Told when packets on it are opened.
        reply: Reply,
    },
    /// Send on this SA from the next batch on. The one in use is dropped and its key wiped.
    Switch {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// The SA.
        sa: Metered<OutboundSa>,
        /// Told when the next packet goes out on it.
        reply: Reply,
    },
    /// Receive on this SA no longer: given when nothing is steered towards it any more. What has
    /// arrived is still opened, then the SA is dropped and its key wiped, and packets on it are
    /// [`Drop::UnknownSpi`].
    Retire {
        /// The SA.
        spi: Spi,
        /// Told when it is gone.
        reply: Reply,
    },
    /// The sequence numbers of a tunnel's outbound SA below `until` are reserved on disk.
    ReserveUntil {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// The SA; numbers for another than the one in use are ignored.
        spi: Spi,
        /// The first number that is not reserved.
        until: u64,
    },
    /// Somebody on the path says that a packet was too big. Obeyed if it quotes a packet that this
    /// worker sent of late.
    TooBig {
        /// What was said.
        report: TooBig,
        /// When it came.
        at: Instant,
    },
    /// An empty histogram (see [`histogram`](crate::histogram)) to take the place of the one in
    /// use, which comes back through [`Control::latency`].
    Latency(Histogram<u64>),
    /// Keep packets back. [`Refused::HoldIsOver`](crate::Refused::HoldIsOver) if a hold with this id was there and went.
    Hold {
        /// What, and how long. A second hold of one id is the first one.
        hold: Hold,
        /// Told when packets are held.
        reply: Reply,
    },
    /// Let go, in their order, the packets that a hold keeps. They are worked off in bursts, as if
    /// they had just been received; what comes for their buckets meanwhile goes behind them.
    Release {
        /// The hold's id.
        id: u64,
        /// Told when the last of them has been worked off and the hold is gone; at once if it went
        /// a while ago.
        reply: Reply<Released>,
    },
    /// Let go what all holds of a tunnel keep, and lift its fence: what a demux says that has just
    /// started.
    Reset {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// Told at once; what was held is on its way.
        reply: Reply,
    },
    /// Send a packet of one's own through a tunnel, in the order of its SA.
    Mark {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// A whole IP packet that the tunnel carries unfragmented. Its TTL or hop limit stays.
        packet: Vec<u8>,
        /// Whether it waits until all packets are sealed that had arrived in the worker's rings
        /// when the command came, or that a released hold still kept then.
        behind: bool,
        /// Told when it is sealed.
        reply: Reply,
    },
    /// Open nothing that a tunnel's peer sends ([`Drop::SaFenced`]), or open it again.
    Fence {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// Whether it is fenced from now on.
        fenced: bool,
        /// Told when all packets that were opened before have left or were dropped.
        reply: Reply,
    },
    /// Work off what is there, then end.
    Drain {
        /// How long that may take.
        within: Duration,
    },
}

/// From the worker to control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Packets wait for this neighbour's MAC address: asked again while they wait. Or packets go
    /// there, and it must be kept fresh: a sample of at most ten a second.
    Resolve(IpAddr),
    /// A tunnel's outbound SA has used three quarters of its reservation. Asked again while that is
    /// so.
    ReserveMore {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// The SA.
        spi: Spi,
    },
    /// An SA has reached a limit of its lifetime, or its sequence numbers come to their end. Told
    /// once for each stage.
    Limit(Limit),
    /// The path to a tunnel's peer takes no larger packet than this: learned, or forgotten with age
    /// so that the NIC's MTU is in force again.
    PathMtu {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// In octets.
        mtu: usize,
    },
    /// The path to a tunnel's peer is said to take so little that the tunnel cannot work. Not
    /// believed; rate limited.
    PathTooNarrow {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// What was said, in octets.
        mtu: usize,
    },
    /// The worker has not run for so long, and has dropped what it had.
    StoodStill(Duration),
    /// Something that RFC 4303 sections 3.4.1 to 3.4.4 call auditable. Rate limited; the counters
    /// count all.
    Audit(Audit),
}

/// The SA that reached a limit, and what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The tunnel's place in the configuration.
    pub tunnel: usize,
    /// Which way the SA carries.
    pub direction: Direction,
    /// The SA.
    pub spi: Spi,
    /// [`Stage::Due`] at a soft limit, [`Stage::Expired`] at a hard one.
    pub stage: Stage,
    /// What limits it.
    pub bound: Bound,
}

/// What ends an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// RFC 4301 section 4.4.2.1.
    Lifetime,
    /// RFC 4303 section 3.3.3.
    SequenceNumbers,
}

/// Which way an SA carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// It seals.
    Outbound,
    /// It opens.
    Inbound,
}

/// An auditable event, with what RFC 4303 asks the log to hold beside the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// What was wrong.
    pub reason: Drop,
    /// The SPI that the packet carried.
    pub spi: u32,
    /// The low 32 bits of its sequence number, not authenticated.
    pub sequence: u32,
    /// The outer source address.
    pub source: IpAddr,
    /// The outer destination address.
    pub destination: IpAddr,
}

/// The worker is gone: its thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker has ended: its thread finished a drain or panicked")]
pub struct Gone;

/// Control's end.
#[derive(Clone, Debug)]
pub struct Control {
    commands: Sender<Command>,
    /// What the worker tells.
    pub events: Receiver<Event>,
    /// What peers' demuxes say to this host's, in the order in which it came out of a tunnel. Each
    /// comes after all that was opened before it has left or was dropped.
    pub words: Receiver<Word>,
    /// The histograms that [`Command::Latency`] took out.
    pub latency: Receiver<Histogram<u64>>,
    /// The worker's counts.
    pub counters: Arc<Counters>,
    waker: Waker,
}

impl Control {
    /// Gives the worker a command and ends its sleep.
    ///
    /// # Errors
    /// [`Gone`] if the worker has ended.
    pub fn send(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).map_err(|_| Gone)?;
        self.waker.wake();
        Ok(())
    }
}

/// The worker's end.
pub(crate) struct Port {
    pub(crate) commands: Receiver<Command>,
    pub(crate) events: Sender<Event>,
    pub(crate) words: Sender<Word>,
    pub(crate) latency: Sender<Histogram<u64>>,
    pub(crate) counters: Arc<Counters>,
}

impl Port {
    /// Tells control of a limit that an SA has reached, and counts it once it is told.
    pub(crate) fn tell(&self, reached: Limit, changes: &mut Changes) -> bool {
        let told = self.events.try_send(Event::Limit(reached)).is_ok();
        if told {
            changes.reached(reached.stage);
        }
        told
    }
}

/// The two ends for a worker with this many tunnels.
pub(crate) fn link(tunnels: usize, waker: Waker) -> (Control, Port) {
    let (commands, obey) = bounded(COMMANDS);
    let (tell, events) = bounded(EVENTS);
    let (pass, words) = bounded(WORDS);
    let (give, latency) = bounded(1);
    let counters = Arc::new(Counters::new(tunnels));
    let control = Control {
        commands,
        events,
        words,
        latency,
        counters: counters.clone(),
        waker,
    };
    let port = Port {
        commands: obey,
        events: tell,
        words: pass,
        latency: give,
        counters,
    };
    (control, port)
}
