//! Errors of the state file.

use std::io;
use std::path::PathBuf;

/// Why the tables cannot be stored, or the stored tables cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("{action} {} (rescale.state): {error}", path.display())]
    Io {
        /// The failed operation, such as `cannot write`.
        action: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error(
        "{} (rescale.state) is damaged: {error}. Both VPCs must use the same table, so the demux does not \
         guess one. Restore an intact file. If there is none, stop both demuxes, remove the file in both VPCs, \
         write the current cluster into both configurations, and start both demuxes",
        path.display()
    )]
    Damaged {
        path: PathBuf,
        error: serde_json::Error,
    },
    #[error(
        "{} (rescale.state) is in use by another process; configure a different file for each demux",
        path.display()
    )]
    InUse { path: PathBuf },
    /// The stored cluster has a gateway that the configuration does not have.
    #[error(
        "rescale.state has gateway {gateway:?} in the cluster of peering {peering:?}, but the configuration \
         does not have this gateway; add its [[gateway]] section, start the demux, and then remove the \
         gateway with `causeway local gateway remove`"
    )]
    UnknownGateway { peering: String, gateway: String },
    /// The stored cluster has a local gateway that has no tunnel for the peering.
    #[error(
        "rescale.state has gateway {gateway:?} in the cluster of peering {peering:?}, but one of its workers \
         has no tunnel for this peering; add a [[gateway.worker.tunnel]] section for it"
    )]
    NoTunnel { peering: String, gateway: String },
    #[error(
        "peering {peering:?} has no gateways; list them in `gateways` of its [[peering]] section"
    )]
    NoGateways { peering: String },
}
