use std::io;

/// What can go wrong between this crate and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum RoutesError {
    /// No netlink socket could be opened or bound.
    #[error("cannot open a netlink socket: {0}")]
    Open(#[source] io::Error),

    /// The kernel answered a request with an error.
    #[error("the kernel refused to list its {what}: {source}")]
    Refused {
        /// What was asked for, in the plural.
        what: &'static str,
        /// The kernel's error.
        source: io::Error,
    },

    /// The netlink socket failed while it was in use; the log has the cause.
    #[error("the netlink socket closed unexpectedly; the log says why")]
    Closed,

    /// No interface has this name in the network namespace of the caller.
    #[error(
        "there is no network interface named {name:?} in this network namespace; it has: {existing}"
    )]
    NoSuchInterface {
        /// The name asked for.
        name: String,
        /// The names that exist, separated by commas.
        existing: String,
    },

    /// No interface has this index in the network namespace of the caller.
    #[error("there is no network interface with index {0} in this network namespace")]
    NoSuchIndex(u32),

    /// The interface has no 48-bit MAC address.
    #[error("the network interface {name:?} is not Ethernet: it has no 48-bit MAC address")]
    NotEthernet {
        /// The interface's name.
        name: String,
    },

    /// The kernel described an interface without something every interface has.
    #[error("the kernel's description of network interface {interface} has no {what}")]
    Incomplete {
        /// Name or index of the interface.
        interface: String,
        /// What is missing.
        what: &'static str,
    },

    /// The watched interface was deleted, or moved to another network namespace.
    #[error("the network interface with index {0} was removed while in use")]
    InterfaceRemoved(u32),
}
