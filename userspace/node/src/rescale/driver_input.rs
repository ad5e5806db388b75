//! The inputs of a peering's driver.

use std::net::IpAddr;
use std::time::Instant;

use causeway_rescale::Change;
use causeway_rescale::coordinator::{Input, Outcome, Refusal};
use tokio::sync::oneshot;

use super::directory::AdmitError;

pub enum DriverInput {
    /// An input of the coordinator, with the time at which it arrived.
    Received(Instant, Input),
    /// A change that was requested.
    Change {
        change: Change,
        /// The address of a gateway that is added.
        address: Option<IpAddr>,
        result: oneshot::Sender<Result<Outcome, ChangeError>>,
    },
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Admit(#[from] AdmitError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}
