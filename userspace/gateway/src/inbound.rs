//! The SAs on which a worker receives. One tunnel may have several at a time (RFC 4301 section 4.1): while a new key takes
//! over, packets under the old one are still in flight.

use std::time::Instant;

use causeway_device::{Device, RxWatermark};
use causeway_esp::{InboundSa, SaTable, Spi};

use crate::control::WorkerChannels;
use crate::counters::Changes;
use crate::reply::{Refused, Reply};
use crate::sa::{Bound, Direction, Limit, TrackedSa};

/// Inbound SAs by SPI.
#[derive(Debug)]
pub(crate) struct InboundSas {
    sas: SaTable<Receiver>,
    retiring: Vec<Retiring>,
    /// The indexes of the SAs used in this burst.
    used: Vec<u32>,
    /// The index of the SA that is reviewed next.
    next_review: usize,
}

/// One SA and its tunnel.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) tunnel: usize,
    pub(crate) sa: TrackedSa<InboundSa>,
    /// Whether the SA is one of those used in this burst.
    used: bool,
}

/// An SA towards which no packet is steered any more, until the receive rings hold none of its packets.
#[derive(Debug)]
struct Retiring {
    spi: Spi,
    /// The packets that were in the rings when steering ended.
    before: RxWatermark,
    reply: Reply,
}

impl Receiver {
    /// Prefetches the data that opening needs besides the SA itself, which should be in the cache by then.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.sa.sa().fetch();
        self.sa.fetch_meter();
    }

    /// Checks the SA against its lifetime, and notifies control of a limit.
    #[inline]
    fn review(&mut self, now: Instant, channels: &WorkerChannels, changes: &mut Changes) {
        let (tunnel, spi) = (self.tunnel, self.sa.sa().spi());
        self.sa.review(now, |state| {
            let reached = Limit {
                tunnel,
                direction: Direction::Inbound,
                spi,
                state,
                bound: Bound::Lifetime,
            };
            channels.notify_limit(reached, changes)
        });
    }
}

impl InboundSas {
    /// An empty table for bursts of at most `burst` packets.
    pub(crate) fn new(burst: usize) -> Self {
        Self {
            sas: SaTable::new(),
            retiring: Vec::new(),
            used: Vec::with_capacity(burst),
            next_review: 0,
        }
    }

    /// Adds an SA, unless its SPI is in use.
    pub(crate) fn install(
        &mut self,
        tunnel: usize,
        sa: TrackedSa<InboundSa>,
    ) -> Result<(), Refused> {
        let spi = sa.sa().spi();
        if self.sas.get(spi).is_some() {
            return Err(Refused::SpiInUse { spi });
        }
        let used = false;
        self.sas.insert(spi, Receiver { tunnel, sa, used });
        Ok(())
    }

    /// The index of the SA of a packet's SPI. It stays valid during a burst, since SAs come and go between bursts.
    #[inline]
    pub(crate) fn index(&self, spi: u32) -> Option<u32> {
        Some(self.sas.slot(Spi::new(spi)?)? as u32)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> &mut Receiver {
        self.sas.slot_mut(index as usize)
    }

    /// Marks an SA as used in this burst. Returns its tunnel.
    #[inline]
    pub(crate) fn mark_used(&mut self, index: u32) -> usize {
        let receiver = self.sas.slot_mut(index as usize);
        if !receiver.used {
            receiver.used = true;
            self.used.push(index);
            receiver.sa.fetch();
        }
        receiver.tunnel
    }

    /// Publishes the usage of the SAs used in this burst, and checks them against their lifetimes.
    #[inline]
    pub(crate) fn account(
        &mut self,
        now: Instant,
        channels: &WorkerChannels,
        changes: &mut Changes,
    ) {
        for index in self.used.drain(..) {
            let receiver = self.sas.slot_mut(index as usize);
            receiver.used = false;
            receiver.sa.publish();
            receiver.review(now, channels, changes);
        }
    }

    /// Drops an SA once the rings hold no packet that arrived before `before`.
    pub(crate) fn retire(&mut self, spi: Spi, before: RxWatermark, reply: Reply) {
        if self.sas.get(spi).is_none() {
            reply.send(Err(Refused::NoSuchSpi { spi }));
            return;
        }
        self.retiring.push(Retiring { spi, before, reply });
    }

    /// Drops the retiring SAs whose packets have all been read. Returns their number.
    #[inline]
    pub(crate) fn drop_retired(&mut self, device: &mut impl Device) -> u64 {
        if self.retiring.is_empty() {
            return 0;
        }
        self.check_retiring(device)
    }

    #[cold]
    fn check_retiring(&mut self, device: &mut impl Device) -> u64 {
        let Self { sas, retiring, .. } = self;
        let before = sas.len();
        retiring.retain_mut(|each| {
            let retired = each.before.is_read(device);
            if retired {
                sas.remove(each.spi);
                each.reply.send(Ok(()));
            }
            !retired
        });
        (before - sas.len()) as u64
    }

    /// Checks the next `count` SAs against their lifetimes, in turn.
    pub(crate) fn review(
        &mut self,
        count: usize,
        now: Instant,
        channels: &WorkerChannels,
        changes: &mut Changes,
    ) {
        let first = self.next_review;
        for (_, receiver) in self.sas.iter_mut().skip(first).take(count) {
            receiver.review(now, channels, changes);
        }
        let next = first + count;
        self.next_review = if next < self.sas.len() { next } else { 0 };
    }
}
