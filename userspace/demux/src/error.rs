//! Errors between this process and the kernel.

use aya::programs::ProgramError as AyaError;
use thiserror::Error;

/// A failure to load, fill, attach or read the program.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The object file is of another version, or not Causeway's program.
    #[error("the kernel program has no {0} \"{1}\": build it again with `cargo xtask build`")]
    Missing(&'static str, &'static str),
    /// The kernel cannot load the object file.
    #[error("the kernel refused the program: {0}")]
    Load(#[source] Box<aya::EbpfError>),
    /// The verifier refused the program, or a privilege is missing.
    #[error("the kernel refused the program: {0}; it needs CAP_BPF and CAP_NET_ADMIN")]
    Verify(#[source] Box<AyaError>),
    /// The program cannot be attached to the NIC.
    #[error(
        "cannot attach the program to {nic} in {mode} mode: {source}; is another XDP program there (`ip link show {nic}`)?"
    )]
    Attach {
        nic: String,
        /// The mode that was tried last.
        mode: &'static str,
        #[source]
        source: Box<AyaError>,
    },
    /// A map cannot be read or written.
    #[error("cannot access the program's map {map}: {source}")]
    Map {
        map: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kernel offers no way to wait until no CPU uses the old table.
    #[error(
        "cannot wait until no CPU steers by the old table: {0} (membarrier(2); a kernel with nohz_full lacks it)"
    )]
    GracePeriod(#[source] rustix::io::Errno),
    /// The tables are larger than the maps.
    #[error("{count} {what}, but the program has room for {room}")]
    TooMany {
        /// The plural noun of the objects, for the message.
        what: &'static str,
        count: usize,
        room: u32,
    },
}

/// Adds the map's name to an error.
pub(crate) fn in_map<E>(map: &'static str) -> impl Fn(E) -> ProgramError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| ProgramError::Map {
        map,
        source: Box::new(source),
    }
}
