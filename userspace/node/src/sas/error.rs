//! Errors of changes to SAs.

use std::path::PathBuf;

use causeway_esp::Spi;
use causeway_gateway::{Gone, Refused};
use causeway_steering::MAX_SAS;

use causeway_keys::KeyError;
use causeway_keys::sequence::SequenceError;

/// Why a change to an SA failed. No variant contains key material.
#[derive(Debug, thiserror::Error)]
pub enum SaError {
    #[error("there is no gateway {name:?} on this host; its gateways are: {known}")]
    NoSuchGateway { name: String, known: String },
    /// The worker does not exist, or it was not selected among several.
    #[error("{gateway} has {found}; its workers are: {known}")]
    NoSuchWorker {
        gateway: String,
        found: String,
        known: String,
    },
    /// The peering does not exist, or it was not selected among several.
    #[error("worker {worker} has {found}; its peerings are: {known}")]
    NoSuchPeering {
        worker: u32,
        found: String,
        known: String,
    },
    #[error("SPI {0} is reserved (RFC 4303 section 2.1); choose 256 to 4294967295")]
    ReservedSpi(u32),
    #[error("SPI {spi} is in use by an {direction} SA of {gateway}; choose another")]
    SpiInUse {
        spi: Spi,
        direction: &'static str,
        gateway: String,
    },
    #[error("there is no inbound SA with SPI {0}; `causeway local sa list` shows the SAs")]
    NoSuchSpi(Spi),
    #[error(
        "SPI {spi} is the only inbound SA of {peering} at worker {worker}, which could not receive \
         packets of the peering without it. Install its successor first, and let the peer switch to it"
    )]
    LastInbound {
        spi: Spi,
        peering: String,
        worker: u32,
    },
    #[error("this host has {MAX_SAS} inbound SAs, which is the maximum; retire one first")]
    TooMany,
    #[error(
        "{} holds a key that this process uses, or has used, for SPI {spi}; one key serves one SA \
         in one direction. Make a new one with `causeway key new`",
        key_file.display()
    )]
    KeyInUse { key_file: PathBuf, spi: Spi },
    #[error(transparent)]
    KeyFile(#[from] KeyError),
    #[error(transparent)]
    Key(#[from] causeway_esp::KeyError),
    #[error(transparent)]
    Window(#[from] causeway_esp::WindowError),
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Gone(#[from] Gone),
    #[error(
        "worker {worker} of {gateway} did not answer within {seconds} s; the state of the SA is \
         unknown: check `causeway local sa list` and the log"
    )]
    NoAnswer {
        gateway: String,
        worker: u32,
        seconds: u64,
    },
    #[error("the XDP program cannot steer SPI {spi}: {error}")]
    Steering { spi: Spi, error: anyhow::Error },
}
