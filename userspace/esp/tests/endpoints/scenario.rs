//! The settings of a path, and the steps that a test applies to it.

use causeway_esp::Cipher;
use proptest::sample::Index;

/// Sequence numbers in one round of the low 32 bits.
pub(crate) const ROUND: u64 = 1 << 32;

/// The settings that both ends of a path share, and the first sequence number of each SA.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) cipher: Cipher,
    pub(crate) esn: bool,
    pub(crate) window: u32,
    pub(crate) over_ipv6: bool,
    pub(crate) udp: bool,
    pub(crate) pad_to: usize,
    pub(crate) starts: Vec<u64>,
}

/// An event on a path. An index selects a packet in flight.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send {
        ipv6: bool,
        body: usize,
    },
    /// The sender skips reserved numbers, as after a crash.
    Jump(u64),
    Deliver(Index),
    Repeat(Index),
    Corrupt(Index, Index, u8),
    Lose(Index),
    /// The three steps of a rekey: the receiver installs the new SA, the sender switches to it, the receiver
    /// removes the old SA.
    Install,
    Switch,
    Retire,
}
