use std::io;

use ipnet::IpNet;

/// An error of the communication with the kernel.
#[derive(Debug, thiserror::Error)]
pub enum RoutesError {
    /// No netlink socket could be opened or bound.
    #[error("cannot open a netlink socket: {0}")]
    Open(#[source] io::Error),

    /// The kernel answered a request with an error.
    #[error("the kernel refused to list its {objects}: {source}")]
    Refused {
        /// The requested objects, in the plural.
        objects: &'static str,
        /// The kernel's error.
        source: io::Error,
    },

    /// The kernel refused to change the guard of a prefix.
    #[error(
        "cannot {action} the guard of {prefix} (a blackhole route and a policy rule): {source}"
    )]
    Guard {
        /// What was requested: `add` or `remove`.
        action: &'static str,
        /// The prefix.
        prefix: IpNet,
        /// The kernel's error.
        source: io::Error,
    },

    /// The netlink socket failed while it was in use. The cause is logged.
    #[error("the netlink socket closed unexpectedly; see the log for the cause")]
    Closed,

    /// No interface has this name in the network namespace of the caller.
    #[error(
        "there is no network interface named {name:?} in this network namespace; it has: {existing}"
    )]
    NoSuchInterface {
        /// The requested name.
        name: String,
        /// The existing names, separated by commas.
        existing: String,
    },

    /// No interface has this index in the network namespace of the caller.
    #[error("there is no network interface with index {0} in this network namespace")]
    NoSuchIndex(u32),

    /// The interface has no 48-bit MAC address.
    #[error("the network interface {name:?} is not Ethernet: it has no 48-bit MAC address")]
    NotEthernet {
        /// The name of the interface.
        name: String,
    },

    /// The kernel's description of an interface lacks a required attribute.
    #[error("the kernel's description of network interface {interface} has no {attribute}")]
    Incomplete {
        /// Name or index of the interface.
        interface: String,
        /// The missing attribute.
        attribute: &'static str,
    },

    /// The watched interface was deleted, or moved to another network namespace.
    #[error("the network interface with index {0} was removed while in use")]
    InterfaceRemoved(u32),
}

impl RoutesError {
    /// True if the kernel lacked memory or descriptors, or was interrupted: the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        const EINTR: i32 = 4;
        const EAGAIN: i32 = 11;
        const ENOMEM: i32 = 12;
        const EBUSY: i32 = 16;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const ENOBUFS: i32 = 105;
        let (Self::Open(source) | Self::Refused { source, .. }) = self else {
            return false;
        };
        matches!(
            source.raw_os_error(),
            Some(EINTR | EAGAIN | ENOMEM | EBUSY | ENFILE | EMFILE | ENOBUFS)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_resources_is_transient() {
        let refused = |code| RoutesError::Refused {
            objects: "routes",
            source: io::Error::from_raw_os_error(code),
        };
        for code in [4, 11, 12, 16, 23, 24, 105] {
            assert!(refused(code).is_transient(), "{}", refused(code));
        }
        // EPERM, EINVAL.
        assert!(!refused(1).is_transient() && !refused(22).is_transient());
        assert!(!RoutesError::Closed.is_transient());
    }
}
