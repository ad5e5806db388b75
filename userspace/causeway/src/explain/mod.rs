//! `causeway explain`: where a packet would go, and why, step by step.
//!
//! The story is told by the program's own verdict: [`story::tell`] runs `steering::decide` over tables that
//! note what they are asked ([`asked`]), so its last word is the verdict's, and each step is a
//! look-up that was made or a part of the packet as the shared parser reads it.
//!
//! In the order of a question: [`command`] (the arguments), [`subject`] (what a person gives), [`flow`] and
//! [`capture`] (packets from words and from files), [`packet`] and [`question`] (as they go over the
//! control socket), [`source`] (whose tables answer), [`names`] (what the tables' numbers are called),
//! [`story`] (the steps), `text` (the steps in words), `print`.

pub mod asked;
pub mod capture;
pub mod command;
pub mod flow;
pub mod names;
pub mod packet;
mod print;
pub mod question;
pub mod source;
pub mod story;
pub mod subject;
mod text;

pub use asked::Look;
pub use command::Explain;
pub use names::Names;
pub use packet::Packet;
pub use question::Question;
pub use story::{End, Step, Story, tell};

use causeway_steering::headers::protocol;

/// The protocols that have a name, here and in what people write.
const PROTOCOLS: [(&str, u8); 9] = [
    ("icmp", protocol::ICMP),
    ("tcp", protocol::TCP),
    ("udp", protocol::UDP),
    ("dccp", protocol::DCCP),
    ("gre", 47),
    ("esp", protocol::ESP),
    ("icmpv6", protocol::ICMPV6),
    ("sctp", protocol::SCTP),
    ("udp-lite", protocol::UDP_LITE),
];

/// A protocol's name, or its number.
fn name_of(protocol: u8) -> String {
    let known = PROTOCOLS
        .into_iter()
        .find(|(_, number)| *number == protocol);
    known.map_or_else(|| protocol.to_string(), |(name, _)| name.to_owned())
}
