//! The corpus: packets with their expected outcomes.

mod case;
mod ipv4;
mod ipv6;
mod tags;

use causeway_steering::PuntReason;

use crate::packet::{OWN_MAC, ethernet};
use case::case;

pub use case::{Case, End};

/// Every case of the corpus.
pub fn corpus() -> Vec<Case> {
    let mut cases = vec![
        case(
            "ARP",
            ethernet([0xff; 6], 0x0806, &[0; 28]),
            End::Punt(PuntReason::Arp),
        ),
        case(
            "ARP to us",
            ethernet(OWN_MAC, 0x0806, &[0; 28]),
            End::Punt(PuntReason::Arp),
        ),
        case(
            "neither IP nor ARP",
            ethernet(OWN_MAC, 0x88b5, &[0; 46]),
            End::Punt(PuntReason::NotIp),
        ),
    ];
    cases.extend(ipv4::cases());
    cases.extend(ipv6::cases());
    cases.extend(tags::cases());
    cases
}
