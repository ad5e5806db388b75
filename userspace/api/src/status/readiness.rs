//! Why a role is not ready.

use serde::{Deserialize, Serialize};

/// A reason for which packets of the role do not pass, or soon will not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotReady {
    /// The kind of the reason.
    pub reason: NotReadyReason,
    /// What is concerned, in one sentence.
    pub detail: String,
}

/// The kind of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NotReadyReason {
    /// The XDP program is not attached: the role has not started yet, or has ended.
    Detached,
    /// The NIC is down or has no carrier.
    LinkDown,
    /// The NIC's MAC address or MTU is not the one with which the role started.
    NicChanged,
    /// The kernel has no route to a peer gateway through the NIC.
    NoRoute,
    /// The MAC address of a gateway that has buckets is not resolved.
    GatewayUnresolved,
    /// All SAs of one direction of a tunnel are past their hard limit.
    SaExpired,
    /// An outbound SA has less than one reservation of sequence numbers left.
    SequenceNumbersShort,
}

impl NotReadyReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Detached,
        Self::LinkDown,
        Self::NicChanged,
        Self::NoRoute,
        Self::GatewayUnresolved,
        Self::SaExpired,
        Self::SequenceNumbersShort,
    ];

    /// The name, as in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detached => "detached",
            Self::LinkDown => "link-down",
            Self::NicChanged => "nic-changed",
            Self::NoRoute => "no-route",
            Self::GatewayUnresolved => "gateway-unresolved",
            Self::SaExpired => "sa-expired",
            Self::SequenceNumbersShort => "sequence-numbers-short",
        }
    }
}
