//! What a worker answers to a command.

use causeway_esp::Spi;
use causeway_steering::Drop;
use crossbeam::channel::{Receiver, Sender, bounded};

/// Where the worker answers a command, once.
#[derive(Debug)]
pub struct Reply<T = ()>(Sender<Result<T, Refused>>);

impl<T> Reply<T> {
    /// A reply, and where it arrives. If the worker ends first, the receiver is disconnected.
    pub fn channel() -> (Self, Receiver<Result<T, Refused>>) {
        let (sender, receiver) = bounded(1);
        (Self(sender), receiver)
    }

    pub(crate) fn send(&self, answer: Result<T, Refused>) {
        // The place is there; control may have given up waiting.
        let _ = self.0.try_send(answer);
    }
}

/// Why the worker did not do as it was told. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has no such tunnel.
    #[error("the worker has no tunnel {tunnel}")]
    NoSuchTunnel {
        /// The tunnel's place in the configuration.
        tunnel: usize,
    },
    /// It receives on this SPI already.
    #[error("the worker receives on SPI {spi} already: choose another")]
    SpiInUse {
        /// The SPI.
        spi: Spi,
    },
    /// It does not receive on this SPI.
    #[error("the worker does not receive on SPI {spi}")]
    NoSuchSpi {
        /// The SPI.
        spi: Spi,
    },
    /// The tunnel would carry less than every link must.
    #[error(
        "the tunnel would carry packets of at most {max_inner} octets, less than the {least} that every link must"
    )]
    MtuTooSmall {
        /// The tunnel's MTU.
        max_inner: usize,
        /// What it must carry: 68, or 1280 if it has IPv6 prefixes.
        least: usize,
    },
    /// A hold that was let go does not come back: the command is an echo of an old one.
    #[error("hold {id:#x} was let go a while ago: use a new id for another")]
    HoldIsOver {
        /// The hold's id.
        id: u64,
    },
    /// It has no such hold, nor had it of late.
    #[error("the worker has no hold {id:#x}")]
    NoSuchHold {
        /// The hold's id.
        id: u64,
    },
    /// Too many at a time.
    #[error("the worker has {most} holds already: release one")]
    TooManyHolds {
        /// How many it can have.
        most: usize,
    },
    /// The tunnel did not take the packet, for a reason by which other packets are dropped.
    #[error("the packet was not sealed: {}", reason.name())]
    NotSealed {
        /// The reason.
        reason: Drop,
    },
}
