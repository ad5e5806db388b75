//! The corpus: what a packet is, and how it must end.

mod ipv4;
mod ipv6;
mod tags;

use causeway_steering::{Drop, Punt};

use crate::packet::{OWN_MAC, ethernet};

/// How a packet must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Given to the kernel.
    Punt(Punt),
    /// Dropped.
    Drop(Drop),
    /// With this worker.
    Worker(u32),
    /// With some worker of a local gateway; the hash says which.
    AnyWorker,
    /// With some remote gateway; the hash says which.
    AnyGateway,
}

/// One packet of the corpus.
pub struct Case {
    /// What it is.
    pub name: &'static str,
    /// The frame.
    pub frame: Vec<u8>,
    /// How it must end.
    pub end: End,
}

fn case(name: &'static str, frame: Vec<u8>, end: End) -> Case {
    Case { name, frame, end }
}

/// The whole corpus.
pub fn corpus() -> Vec<Case> {
    let mut cases = vec![
        case(
            "ARP",
            ethernet([0xff; 6], 0x0806, &[0; 28]),
            End::Punt(Punt::Arp),
        ),
        case(
            "ARP to us",
            ethernet(OWN_MAC, 0x0806, &[0; 28]),
            End::Punt(Punt::Arp),
        ),
        case(
            "neither IP nor ARP",
            ethernet(OWN_MAC, 0x88b5, &[0; 46]),
            End::Punt(Punt::NotIp),
        ),
    ];
    cases.extend(ipv4::cases());
    cases.extend(ipv6::cases());
    cases.extend(tags::cases());
    cases
}
