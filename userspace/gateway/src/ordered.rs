//! Messages that are delivered only after every earlier packet of the same tunnel has left or was dropped: control
//! messages of the peer's demux, and the replies to fences.
//!
//! A message may state that all packets of a bucket have passed this pair of gateways. The bucket's next packet then
//! takes another pair. Its gateway may have the MAC address of a neighbour that this gateway still waits for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use causeway_device::Device;
use causeway_steering::headers::ETHERNET;
use causeway_steering::{Address, DropReason};

use crate::control::WorkerChannels;
use crate::egress::Egress;
use crate::io::Io;
use crate::message::ControlMessage;
use crate::next_hop::Route;
use crate::reply::Reply;
use crate::transmit::Origin;
use crate::waiting::Waiting;

/// Messages of one tunnel at a time: more than a peer's demux sends in two probe intervals. The bound is for each tunnel, so
/// that no peer takes the places of another.
const CAPACITY: usize = 16;
/// The longest wait of a message for earlier packets without a MAC address; then those packets are dropped. A neighbour
/// replies within a millisecond. Without a bound, one host that is down would make every pair look dead.
const TIMEOUT: Duration = Duration::from_millis(50);

/// An opened packet that does not leave with its burst.
pub(crate) struct OpenedPacket<F> {
    pub(crate) frame: F,
    /// The length of the inner packet.
    pub(crate) length: usize,
    pub(crate) tunnel: usize,
}

pub(crate) struct OrderedQueue<F> {
    messages: VecDeque<Entry<F>>,
    /// Fences, each complete when this number of packets has left the backlog.
    fences: Vec<(u64, Reply)>,
    /// The NIC's addresses: messages to these are for control.
    local: Vec<Address>,
}

struct Entry<F> {
    packet: OpenedPacket<F>,
    destination: Address,
    arrived: Instant,
    /// The number of packets that had been queued for a next hop when it arrived.
    waiting: u64,
    /// The number of packets that had entered the backlog when the last of those left [`Waiting`].
    backlog: Option<u64>,
    /// Whether it is for control. Otherwise it is sent to another host like any packet.
    is_local: bool,
}

impl<F> OrderedQueue<F> {
    pub(crate) fn new(local: Vec<Address>, tunnels: usize) -> Self {
        Self {
            messages: VecDeque::with_capacity(CAPACITY * tunnels),
            fences: Vec::new(),
            local,
        }
    }

    /// The longest sleep that keeps the timeouts, if anything is queued.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        (!self.is_empty()).then_some(TIMEOUT)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.fences.is_empty()
    }

    /// Queues a message behind the packets that its tunnel has brought before.
    #[cold]
    pub(crate) fn enqueue_after<D: Device<Frame = F>>(
        &mut self,
        waiting: &Waiting<F>,
        packet: OpenedPacket<F>,
        destination: Address,
        now: Instant,
        io: &mut Io<D>,
    ) {
        io.totals.waiting += 1;
        let tunnel = packet.tunnel;
        let of_tunnel = self
            .messages
            .iter()
            .filter(|entry| entry.packet.tunnel == tunnel);
        if of_tunnel.count() >= CAPACITY {
            return io.drop_kept(packet.frame, DropReason::ControlQueueFull);
        }
        self.messages.push_back(Entry {
            packet,
            destination,
            arrived: now,
            waiting: waiting.queued(),
            backlog: None,
            is_local: self.local.contains(&destination),
        });
    }

    /// Drops the waiting packets of a fenced tunnel, and replies when the others have left.
    pub(crate) fn fence<D: Device<Frame = F>>(
        &mut self,
        tunnel: usize,
        reply: Reply,
        egress: &mut Egress<F>,
        io: &mut Io<D>,
    ) {
        egress.drop_opened(tunnel, u64::MAX, DropReason::SaFenced, io);
        self.drop_messages(DropReason::SaFenced, Some(tunnel), io);
        self.fences.push((egress.backlog.queued(), reply));
    }

    /// Sends each message for another host that no packet in [`Waiting`] precedes any more. Called before the backlog is
    /// transmitted.
    #[inline]
    pub(crate) fn advance<D: Device<Frame = F>>(
        &mut self,
        now: Instant,
        egress: &mut Egress<F>,
        io: &mut Io<D>,
    ) {
        if !self.messages.is_empty() {
            self.advance_messages(now, egress, io);
        }
    }

    #[cold]
    fn advance_messages<D: Device<Frame = F>>(
        &mut self,
        now: Instant,
        egress: &mut Egress<F>,
        io: &mut Io<D>,
    ) {
        for _ in 0..self.messages.len() {
            let Some(mut entry) = self.messages.pop_front() else {
                return;
            };
            let tunnel = entry.packet.tunnel;
            if entry.backlog.is_none() && egress.waiting.has_opened(tunnel, entry.waiting) {
                if now.saturating_duration_since(entry.arrived) < TIMEOUT {
                    self.messages.push_back(entry);
                    continue;
                }
                egress.drop_opened(tunnel, entry.waiting, DropReason::NeighbourUnresolved, io);
            }
            if entry.is_local {
                entry.backlog.get_or_insert(egress.backlog.queued());
                self.messages.push_back(entry);
            } else {
                send(entry, now, egress, io);
            }
        }
    }

    /// Delivers messages and fence replies that no packet in the backlog precedes any more. Called after the backlog was
    /// transmitted.
    #[inline]
    pub(crate) fn complete<D: Device<Frame = F>>(
        &mut self,
        egress: &Egress<F>,
        io: &mut Io<D>,
        channels: &WorkerChannels,
    ) {
        if !self.is_empty() {
            self.complete_through(egress.backlog.left(), io, channels);
        }
    }

    #[cold]
    fn complete_through<D: Device<Frame = F>>(
        &mut self,
        left: u64,
        io: &mut Io<D>,
        channels: &WorkerChannels,
    ) {
        self.fences.retain(|(through, reply)| {
            let complete = left >= *through;
            if complete {
                reply.send(Ok(()));
            }
            !complete
        });
        for _ in 0..self.messages.len() {
            let Some(entry) = self.messages.pop_front() else {
                return;
            };
            if entry.backlog.is_some_and(|through| left >= through) {
                deliver_to_control(entry.packet, io, channels);
            } else {
                self.messages.push_back(entry);
            }
        }
    }

    /// Drops all messages, or those of one tunnel.
    pub(crate) fn drop_messages<D: Device<Frame = F>>(
        &mut self,
        reason: DropReason,
        of: Option<usize>,
        io: &mut Io<D>,
    ) {
        for _ in 0..self.messages.len() {
            let Some(entry) = self.messages.pop_front() else {
                return;
            };
            if of.is_none_or(|tunnel| tunnel == entry.packet.tunnel) {
                io.drop_kept(entry.packet.frame, reason);
            } else {
                self.messages.push_back(entry);
            }
        }
    }
}

fn send<D: Device>(
    entry: Entry<D::Frame>,
    now: Instant,
    egress: &mut Egress<D::Frame>,
    io: &mut Io<D>,
) {
    let OpenedPacket {
        frame,
        length,
        tunnel,
    } = entry.packet;
    let destination = entry.destination.into();
    let route = Route {
        destination,
        hop: egress.routes.lookup(destination),
        opened_from: Some(tunnel),
    };
    match egress.waiting.admit(route.hop, 1) {
        Ok(()) => {
            io.totals.waiting -= 1;
            let origin = Origin::Received(entry.arrived);
            egress.enqueue(frame, length, origin, route, now, io);
        }
        Err(reason) => io.drop_kept(frame, reason),
    }
}

fn deliver_to_control<D: Device>(
    mut packet: OpenedPacket<D::Frame>,
    io: &mut Io<D>,
    channels: &WorkerChannels,
) {
    let octets = &io.device.room(&mut packet.frame)[ETHERNET..][..packet.length];
    let message = ControlMessage::new(packet.tunnel, octets);
    // A full channel loses the message: demuxes resend messages until they are answered.
    if message.is_some_and(|message| channels.messages.try_send(message).is_ok()) {
        io.device.release(packet.frame);
        io.totals.waiting -= 1;
        io.totals.sent += 1;
        io.totals.messages += 1;
    } else {
        io.drop_kept(packet.frame, DropReason::ControlQueueFull);
    }
}
