//! Why an SA did not come or go.

use std::path::PathBuf;

use causeway_esp::Spi;
use causeway_gateway::{Gone, Refused};
use causeway_steering::MAX_SAS;

use crate::key::KeyError;
use crate::sequence::SequenceError;

/// A sentence for whoever asked. No variant carries key material.
#[derive(Debug, thiserror::Error)]
pub enum SaError {
    /// No such gateway runs here.
    #[error("there is no gateway {name:?} on this host; its gateways are: {known}")]
    NoSuchGateway {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The gateway has no such worker, or several and none was named.
    #[error("{gateway} has {wanted}; its workers are: {known}")]
    NoSuchWorker {
        /// The gateway.
        gateway: String,
        /// What it has not, or has too many of.
        wanted: String,
        /// Those that there are.
        known: String,
    },
    /// The worker has no such peering, or several and none was named.
    #[error("worker {worker} has {wanted}; its peerings are: {known}")]
    NoSuchPeering {
        /// The worker.
        worker: u32,
        /// What it has not, or has too many of.
        wanted: String,
        /// Those that there are.
        known: String,
    },
    /// The SPI is a reserved one.
    #[error("SPI {0} is reserved (RFC 4303 section 2.1); choose 256 to 4294967295")]
    ReservedSpi(u32),
    /// An SA of this direction has the SPI.
    #[error("SPI {spi} is in use by an {direction} SA of {gateway}; choose another")]
    SpiInUse {
        /// The SPI.
        spi: Spi,
        /// `inbound` or `outbound`.
        direction: &'static str,
        /// The gateway that has it.
        gateway: String,
    },
    /// There is no inbound SA of this SPI.
    #[error("there is no inbound SA with SPI {0}; `causeway local sa list` shows those that run")]
    NoSuchSpi(Spi),
    /// The SA is the only one on which the tunnel receives.
    #[error(
        "{peering} has no other inbound SA at worker {worker}: without SPI {spi} nothing of it \
         could be received. Install its successor first, and let the peer switch to it"
    )]
    LastInbound {
        /// The SA.
        spi: Spi,
        /// The peering.
        peering: String,
        /// The worker.
        worker: u32,
    },
    /// No more fit into the XDP program's table.
    #[error("this host has {MAX_SAS} inbound SAs, as many as it can; retire one first")]
    TooMany,
    /// An SA of this process has, or had, this key.
    #[error(
        "{} holds a key that this process uses, or has used, for SPI {spi}; one key serves one SA \
         in one direction. Make a new one with `causeway key new`",
        key_file.display()
    )]
    KeyInUse {
        /// The key file.
        key_file: PathBuf,
        /// The SA that had it first.
        spi: Spi,
    },
    /// The key file was refused.
    #[error(transparent)]
    KeyFile(#[from] KeyError),
    /// The key does not fit its cipher.
    #[error(transparent)]
    Key(#[from] causeway_esp::KeyError),
    /// The replay window is none.
    #[error(transparent)]
    Window(#[from] causeway_esp::WindowError),
    /// No sequence numbers can be reserved.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The worker refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The worker has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The worker does not answer.
    #[error(
        "worker {worker} of {gateway} did not answer within {seconds} s; nothing is known of \
             the SA: look at `causeway local sa list` and at the log"
    )]
    NoAnswer {
        /// The gateway.
        gateway: String,
        /// The worker.
        worker: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// The XDP program's table refused.
    #[error("the XDP program does not steer SPI {spi}: {error}")]
    Steering {
        /// The SPI.
        spi: Spi,
        /// The program's error.
        error: anyhow::Error,
    },
}
