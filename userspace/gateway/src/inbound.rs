//! The SAs on which a worker receives. One tunnel may have several at a time (RFC 4301 section 4.1):
//! while a new key takes over, packets under the old one are still on their way.

use std::time::Instant;

use causeway_device::{Arrived, Device};
use causeway_esp::{InboundSa, SaTable, Spi};

use crate::control::{Bound, Direction, Limit, Port};
use crate::counters::Changes;
use crate::reply::{Refused, Reply};
use crate::sa::Metered;

/// Inbound SAs by SPI.
#[derive(Debug)]
pub(crate) struct Inbound {
    sas: SaTable<Receiver>,
    leaving: Vec<Leaving>,
    /// The places of those that are used in this burst.
    used: Vec<u32>,
    /// The place of the one that is next to be reviewed.
    next_review: usize,
}

/// One SA, and the tunnel for whose peer it speaks.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) tunnel: usize,
    pub(crate) sa: Metered<InboundSa>,
    /// Whether it is one of those used in this burst.
    used: bool,
}

/// An SA towards which nothing is steered any more, until the receive rings hold none of its
/// packets.
#[derive(Debug)]
struct Leaving {
    spi: Spi,
    /// What stood in the rings then.
    before: Arrived,
    reply: Reply,
}

impl Receiver {
    /// Fetches ahead what opening takes beyond the SA itself, which should be in the cache by then.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.sa.sa().fetch();
        self.sa.fetch_meter();
    }

    /// Holds the SA against its lifetime, and tells control of a limit that it has reached.
    #[inline]
    pub(crate) fn review(&mut self, now: Instant, port: &Port, changes: &mut Changes) {
        let (tunnel, spi) = (self.tunnel, self.sa.sa().spi());
        self.sa.review(now, |stage| {
            let reached = Limit {
                tunnel,
                direction: Direction::Inbound,
                spi,
                stage,
                bound: Bound::Lifetime,
            };
            port.tell(reached, changes)
        });
    }
}

impl Inbound {
    /// None, for bursts of at most so many packets.
    pub(crate) fn new(burst: usize) -> Self {
        Self {
            sas: SaTable::new(),
            leaving: Vec::new(),
            used: Vec::with_capacity(burst),
            next_review: 0,
        }
    }

    /// Adds an SA, unless there is one of its SPI.
    pub(crate) fn install(&mut self, tunnel: usize, sa: Metered<InboundSa>) -> Result<(), Refused> {
        let spi = sa.sa().spi();
        if self.sas.get(spi).is_some() {
            return Err(Refused::SpiInUse { spi });
        }
        let used = false;
        self.sas.insert(spi, Receiver { tunnel, sa, used });
        Ok(())
    }

    /// The place of the SA of an SPI that a packet carried. It stays there for as long as a burst is under way, since
    /// SAs come and go between bursts.
    #[inline]
    pub(crate) fn place(&self, spi: u32) -> Option<u32> {
        Some(self.sas.place(Spi::new(spi)?)? as u32)
    }

    /// The SA at a place.
    #[inline]
    pub(crate) fn at_mut(&mut self, place: u32) -> &mut Receiver {
        self.sas.at_mut(place as usize)
    }

    /// Notes that the SA at a place is used in this burst, and tells whose it is.
    #[inline]
    pub(crate) fn used(&mut self, place: u32) -> usize {
        let receiver = self.sas.at_mut(place as usize);
        if !receiver.used {
            receiver.used = true;
            self.used.push(place);
            receiver.sa.fetch();
        }
        receiver.tunnel
    }

    /// Publishes what those have carried that were used in this burst, and holds them against their lifetimes.
    #[inline]
    pub(crate) fn account(&mut self, now: Instant, port: &Port, changes: &mut Changes) {
        for place in self.used.drain(..) {
            let receiver = self.sas.at_mut(place as usize);
            receiver.used = false;
            receiver.sa.publish();
            receiver.review(now, port, changes);
        }
    }

    /// Lets an SA go when nothing that has arrived `before` is left in the rings.
    pub(crate) fn retire(&mut self, spi: Spi, before: Arrived, reply: Reply) {
        if self.sas.get(spi).is_none() {
            reply.send(Err(Refused::NoSuchSpi { spi }));
            return;
        }
        self.leaving.push(Leaving { spi, before, reply });
    }

    /// Drops the SAs that may go, tells so, and returns how many.
    #[inline]
    pub(crate) fn depart(&mut self, device: &mut impl Device) -> u64 {
        if self.leaving.is_empty() {
            return 0;
        }
        self.drop_leaving(device)
    }

    #[cold]
    fn drop_leaving(&mut self, device: &mut impl Device) -> u64 {
        let Self { sas, leaving, .. } = self;
        let before = sas.len();
        leaving.retain_mut(|each| {
            let goes = each.before.is_read(device);
            if goes {
                sas.remove(each.spi);
                each.reply.send(Ok(()));
            }
            !goes
        });
        (before - sas.len()) as u64
    }

    /// Holds at most so many of them against their lifetimes, in turn.
    pub(crate) fn review(&mut self, most: usize, now: Instant, port: &Port, changes: &mut Changes) {
        let first = self.next_review;
        for (_, receiver) in self.sas.iter_mut().skip(first).take(most) {
            receiver.review(now, port, changes);
        }
        let next = first + most;
        self.next_review = if next < self.sas.len() { next } else { 0 };
    }
}
