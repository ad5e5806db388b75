//! The channels between a worker and its control thread. The worker never blocks on them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_device::Waker;
use causeway_esp::{InboundSa, OutboundSa, Spi};
use causeway_routes::Snapshot;
use causeway_steering::DropReason;
use crossbeam::channel::{Receiver, Sender, bounded};
use hdrhistogram::Histogram;

use crate::counters::{Changes, Counters};
use crate::hold::{Hold, Released};
use crate::message::ControlMessage;
use crate::rate::TokenBucket;
use crate::reply::Reply;
use crate::sa::{Limit, TrackedSa};
use crate::too_big::TooBig;

/// Commands in flight: control sends a few per second.
const COMMANDS: usize = 64;
/// Events in flight. An event that does not fit is sent again or, if it is an audit event, lost.
const EVENTS: usize = 1024;
/// Control messages in flight: two per probe for each of a dozen tunnels, for a tenth of a second. A message that does
/// not fit is [`DropReason::ControlQueueFull`]; demuxes resend messages until they are answered.
const MESSAGES: usize = 64;

/// A command from control to the worker, processed between two rounds.
#[derive(Debug)]
pub enum Command {
    /// The kernel's current routes and neighbours. Packets that waited for a next hop that is now resolved are sent.
    Routes(Arc<Snapshot>),
    /// Receives on one more SA. Sent before any packet is steered towards it.
    Install {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// The new inbound SA.
        sa: TrackedSa<InboundSa>,
        /// Sent when packets on the SA are opened.
        reply: Reply,
    },
    /// Sends on this SA from the next round on. The previous SA is dropped and its key wiped.
    Switch {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// The new outbound SA.
        sa: TrackedSa<OutboundSa>,
        /// Sent when the next packet of the tunnel uses the SA.
        reply: Reply,
    },
    /// Removes an inbound SA, once no packet is steered towards it any more. Packets that have arrived are still opened.
    /// Then the SA is dropped and its key wiped, and packets on it are [`DropReason::UnknownSpi`].
    Retire {
        /// The SA's SPI.
        spi: Spi,
        /// Sent when the SA is gone.
        reply: Reply,
    },
    /// The sequence numbers of a tunnel's outbound SA below `until` are reserved on disk.
    ReserveUntil {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// The SA's SPI. The command is ignored if another SA is in use.
        spi: Spi,
        /// The first number that is not reserved.
        until: u64,
    },
    /// A report that a packet was too big for its path. Ignored unless it quotes a packet that this worker sent
    /// recently.
    TooBig {
        /// The report.
        report: TooBig,
        /// The time of its arrival.
        at: Instant,
    },
    /// An empty histogram (see [`histogram`](crate::histogram)) that replaces the current one, which is sent through
    /// [`Control::latency`].
    Latency(Histogram<u64>),
    /// Holds packets back. Replies [`Refused::HoldEnded`](crate::Refused::HoldEnded) if a hold with this id existed
    /// and has ended.
    Hold {
        /// The packets and the time limit. A second hold with the same id is ignored.
        hold: Hold,
        /// Sent when packets are held.
        reply: Reply,
    },
    /// Releases, in their order, the packets that a hold keeps. They are forwarded in bursts as if they had just been
    /// received. Packets that arrive for the hold's buckets meanwhile queue behind them.
    Release {
        /// The hold's id.
        id: u64,
        /// Sent when the last packet has been forwarded and the hold has ended, or at once if it ended before.
        reply: Reply<Released>,
    },
    /// Releases all holds of a tunnel and lifts its fence. Sent on behalf of a demux that has just started.
    Reset {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// Sent at once; the held packets leave later.
        reply: Reply,
    },
    /// Sends control's own packet through a tunnel, in the order of its SA.
    Mark {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// A complete IP packet that the tunnel carries unfragmented. Its TTL or hop limit is not decremented.
        packet: Vec<u8>,
        /// Whether it is sealed only behind all packets that were in the worker's rings when the command came, or that a
        /// released hold still kept then.
        behind: bool,
        /// Sent when the packet is sealed.
        reply: Reply,
    },
    /// Fences a tunnel: its inbound packets are [`DropReason::SaFenced`]. Or lifts the fence.
    Fence {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// Whether the tunnel is fenced from now on.
        fenced: bool,
        /// Sent when all packets that were opened before have left or were dropped.
        reply: Reply,
    },
    /// Forwards the packets that are there, then ends the worker.
    Drain {
        /// The time limit.
        within: Duration,
    },
}

/// An event from the worker to control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Packets wait for this neighbour's MAC address; repeated while they wait. Or packets are sent to this neighbour and
    /// its entry must stay fresh; sampled at most ten times per second.
    Resolve(IpAddr),
    /// A tunnel's outbound SA has used three quarters of its reserved sequence numbers; repeated while that is so.
    ReserveMore {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// The SA's SPI.
        spi: Spi,
    },
    /// An SA has reached a limit of its lifetime, or its sequence numbers run out. Sent once for each state.
    Limit(Limit),
    /// The path MTU to a tunnel's peer has changed: a smaller one was learned, or a learned one aged out and the NIC's MTU
    /// applies again.
    PathMtu {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// The new path MTU in octets.
        mtu: usize,
    },
    /// A report claims a path MTU that is too small for the tunnel to work. It was ignored; rate limited.
    PathTooNarrow {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// The claimed path MTU in octets.
        mtu: usize,
    },
    /// The worker did not run for so long, and has dropped its packets.
    WorkerStalled(Duration),
    /// An event that RFC 4303 sections 3.4.1 to 3.4.4 call auditable. Rate limited; the counters count all.
    Audit(Audit),
}

/// An auditable event, with the fields that RFC 4303 requires in the log besides the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The reason of the drop.
    pub reason: DropReason,
    /// The SPI of the packet.
    pub spi: u32,
    /// The low 32 bits of its sequence number, not authenticated.
    pub sequence: u32,
    /// The outer source address.
    pub source: IpAddr,
    /// The outer destination address.
    pub destination: IpAddr,
}

/// The worker's thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker has ended: its thread finished a drain or panicked")]
pub struct Gone;

/// Control's end of the channels.
#[derive(Clone, Debug)]
pub struct Control {
    commands: Sender<Command>,
    /// The worker's events.
    pub events: Receiver<Event>,
    /// Control messages of peers' demuxes, in the order in which they were opened. Each arrives after every packet opened
    /// before it has left or was dropped.
    pub messages: Receiver<ControlMessage>,
    /// The histograms that [`Command::Latency`] replaced.
    pub latency: Receiver<Histogram<u64>>,
    /// The worker's published counts.
    pub counters: Arc<Counters>,
    waker: Waker,
}

impl Control {
    /// Sends a command and wakes the worker.
    ///
    /// # Errors
    /// [`Gone`] if the worker has ended.
    pub fn send(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).map_err(|_| Gone)?;
        self.waker.wake();
        Ok(())
    }
}

/// The worker's end of the channels.
pub(crate) struct WorkerChannels {
    pub(crate) commands: Receiver<Command>,
    events: Sender<Event>,
    pub(crate) messages: Sender<ControlMessage>,
    pub(crate) latency: Sender<Histogram<u64>>,
    pub(crate) counters: Arc<Counters>,
    /// Bounds the rate of audit events.
    pub(crate) audit_tokens: TokenBucket,
}

impl WorkerChannels {
    /// Sends an event. Returns whether the channel had room.
    #[inline]
    pub(crate) fn notify(&self, event: Event) -> bool {
        self.events.try_send(event).is_ok()
    }

    /// Notifies control of a limit that an SA has reached, and counts it if the event was sent.
    pub(crate) fn notify_limit(&self, reached: Limit, changes: &mut Changes) -> bool {
        let notified = self.notify(Event::Limit(reached));
        if notified {
            changes.reached(reached.state);
        }
        notified
    }
}

/// The two ends of the channels of a worker with this many tunnels.
pub(crate) fn channels(
    tunnels: usize,
    waker: Waker,
    audit_tokens: TokenBucket,
) -> (Control, WorkerChannels) {
    let (send_command, commands) = bounded(COMMANDS);
    let (send_event, events) = bounded(EVENTS);
    let (send_message, messages) = bounded(MESSAGES);
    let (send_latency, latency) = bounded(1);
    let counters = Arc::new(Counters::new(tunnels));
    let control = Control {
        commands: send_command,
        events,
        messages,
        latency,
        counters: counters.clone(),
        waker,
    };
    let worker = WorkerChannels {
        commands,
        events: send_event,
        messages: send_message,
        latency: send_latency,
        counters,
        audit_tokens,
    };
    (control, worker)
}
