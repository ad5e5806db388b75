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
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    sas: SaTable<Receiver>,
    leaving: Vec<Leaving>,
    /// The place of the one that is next to be reviewed.
    next_review: usize,
}

/// One SA, and the tunnel for whose peer it speaks.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) tunnel: usize,
    pub(crate) sa: Metered<InboundSa>,
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
    /// Holds the SA against its lifetime, and tells control of a limit that it has reached.
    #[inline]
    pub(crate) fn review(&mut self, now: Instant, port: &Port, changes: &mut Changes) {
        let (tunnel, spi) = (self.tunnel, self.sa.sa.spi());
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
    /// Adds an SA, unless there is one of its SPI.
    pub(crate) fn install(&mut self, tunnel: usize, sa: Metered<InboundSa>) -> Result<(), Refused> {
        let spi = sa.sa.spi();
        if self.sas.get(spi).is_some() {
            return Err(Refused::SpiInUse { spi });
        }
        self.sas.insert(spi, Receiver { tunnel, sa });
        Ok(())
    }

    /// The SA of an SPI that a packet carried.
    #[inline]
    pub(crate) fn get_mut(&mut self, spi: u32) -> Option<&mut Receiver> {
        self.sas.get_mut(Spi::new(spi)?)
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
