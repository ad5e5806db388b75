//! Replies of a worker to commands.

use causeway_esp::Spi;
use causeway_steering::DropReason;
use crossbeam::channel::{Receiver, Sender, bounded};

/// The sender of one reply to a command.
#[derive(Debug)]
pub struct Reply<T = ()>(Sender<Result<T, Refused>>);

impl<T> Reply<T> {
    /// A reply's sender and receiver. If the worker ends first, the receiver is disconnected.
    pub fn channel() -> (Self, Receiver<Result<T, Refused>>) {
        let (sender, receiver) = bounded(1);
        (Self(sender), receiver)
    }

    pub(crate) fn send(&self, answer: Result<T, Refused>) {
        // The channel has room for one reply; only a receiver that control dropped fails.
        let _ = self.0.try_send(answer);
    }
}

/// Why the worker refused a command. The command has changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The worker has no such tunnel.
    #[error("the worker has no tunnel {tunnel}")]
    NoSuchTunnel {
        /// The tunnel's index in the command.
        tunnel: usize,
    },
    /// The worker has an inbound SA with this SPI already.
    #[error("the worker has an inbound SA with SPI {spi} already: choose another SPI")]
    SpiInUse {
        /// The SPI in use.
        spi: Spi,
    },
    /// The worker has no inbound SA with this SPI.
    #[error("the worker has no inbound SA with SPI {spi}")]
    NoSuchSpi {
        /// The SPI in the command.
        spi: Spi,
    },
    /// The tunnel's MTU would be below the minimum of an address family.
    #[error("the tunnel would have an MTU of {max_inner}, expected at least {least}")]
    MtuTooSmall {
        /// The MTU with the new SA.
        max_inner: usize,
        /// The minimum: 68, or 1280 for a tunnel with IPv6 prefixes.
        least: usize,
    },
    /// A hold with this id has ended; the command is a late copy.
    #[error("hold {id:#x} has ended: use a new id for another hold")]
    HoldEnded {
        /// The hold's id.
        id: u64,
    },
    /// No hold with this id exists or has ended recently.
    #[error("the worker has no hold {id:#x}")]
    NoSuchHold {
        /// The hold's id.
        id: u64,
    },
    /// The worker has the most holds that it can have.
    #[error("the worker has {most} holds already: release one")]
    TooManyHolds {
        /// The limit.
        most: usize,
    },
    /// The packet was not sealed, for a reason for which packets are dropped.
    #[error("the packet was not sealed: {}", reason.name())]
    NotSealed {
        /// The reason for which a packet would be dropped.
        reason: DropReason,
    },
}
