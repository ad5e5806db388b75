//! Why the tables cannot be kept, or what was kept cannot be gone by, and what to do.

use std::io;
use std::path::PathBuf;

/// Why the tables cannot be kept, or what was kept cannot be gone by.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk refuses.
    #[error("{action} {} (rescale.state): {error}", path.display())]
    Io {
        /// What was tried, such as `cannot write`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// It is not what was written.
    #[error(
        "{} (rescale.state) is damaged: {error}. Both VPCs must steer by one table, so none is \
         guessed: put back an intact file, or stop both demuxes, remove the file in both VPCs, \
         write the cluster as it is now into both configurations, and start them",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// Another demux has it.
    #[error(
        "{} (rescale.state) is in use by another process; give each demux a file of its own",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A cluster has a gateway that nobody describes.
    #[error(
        "gateway {gateway:?} is in the cluster of peering {peering:?} by what rescale.state keeps, \
         but not in the configuration; write its [[gateway]] section again, start, and then take it \
         out with `causeway local gateway remove`"
    )]
    UnknownGateway {
        /// The peering.
        peering: String,
        /// The gateway.
        gateway: String,
    },
    /// A local gateway is in a cluster whose packets it cannot carry.
    #[error(
        "gateway {gateway:?} is in the cluster of peering {peering:?} by what rescale.state keeps, \
         but a worker of it has no tunnel for that peering; add a [[gateway.worker.tunnel]] for it"
    )]
    NoTunnel {
        /// The peering.
        peering: String,
        /// The gateway.
        gateway: String,
    },
    /// There is nothing to steer by.
    #[error("peering {peering:?} has no gateways; name those that carry it")]
    NoGateways {
        /// The peering.
        peering: String,
    },
}
