//! A model that predicts the fate of each packet between two gateways, independently of their code.

use std::collections::BTreeMap;

use causeway_steering::DropReason;
use proptest::prelude::*;

use crate::side::max_inner;

/// One step of a test.
#[derive(Clone, Debug)]
pub enum Step {
    /// A host of VPC 1 sends a packet.
    Send(Sent),
    /// Time advances, in milliseconds.
    Pass(u64),
    /// VPC 2 learns the MAC addresses of these hosts, in addition to those known from the start.
    Learn(Vec<u8>),
    /// Gateway 1 holds the buckets with this remainder modulo 3, unless a hold is active.
    Hold(u32),
    /// Gateway 1 releases its hold.
    Release,
    /// A demux sends a marker to the peer demux.
    Mark,
    /// Gateway 2 is fenced, or its fence is lifted.
    Fence(bool),
}

#[derive(Clone, Debug)]
pub struct Sent {
    pub v6: bool,
    /// Network and host of the source. Network 7 belongs to no VPC.
    pub source: (u8, u8),
    /// Network and host of the destination. Network 3 has no tunnel.
    pub destination: (u8, u8),
    pub ttl: u8,
    pub length: usize,
    pub dont_fragment: bool,
    pub options: bool,
    pub abuse: Abuse,
}

/// The manipulation of a sealed packet by the network between the gateways.
#[derive(Clone, Debug)]
pub enum Abuse {
    None,
    /// A copy with one flipped bit of ciphertext or ICV arrives first.
    Forge(prop::sample::Index),
    /// The packet arrives twice.
    Replay,
    /// A copy with another SPI arrives first.
    ForeignSpi,
    /// A truncated copy arrives first.
    Truncate(prop::sample::Index),
}

/// The hosts of VPC 2 whose MAC addresses are unknown at the start.
pub const UNKNOWN_AT_FIRST: [u8; 2] = [8, 9];
fn sent() -> impl Strategy<Value = Sent> {
    let source = prop_oneof![9 => (2u8..4).prop_map(|h| (1, h)), 1 => Just((7, 2))];
    let destination = prop_oneof![
        9 => prop::sample::select(vec![2u8, 3, 8, 9]).prop_map(|h| (2, h)),
        1 => Just((3, 2)),
    ];
    let ttl = prop_oneof![8 => Just(64u8), 2 => 0u8..3];
    let length =
        prop_oneof![4 => 0usize..200, 2 => 1418usize - 80..1438 + 40, 1 => 1300usize..1900];
    let index = any::<prop::sample::Index>;
    let abuse = prop_oneof![
        6 => Just(Abuse::None),
        1 => index().prop_map(Abuse::Forge),
        1 => Just(Abuse::Replay),
        1 => Just(Abuse::ForeignSpi),
        1 => index().prop_map(Abuse::Truncate),
    ];
    (
        any::<bool>(),
        source,
        destination,
        ttl,
        length,
        any::<bool>(),
        prop::bool::weighted(0.1),
        abuse,
    )
        .prop_map(
            |(v6, source, destination, ttl, length, dont_fragment, options, abuse)| Sent {
                v6,
                source,
                destination,
                ttl,
                length,
                dont_fragment,
                options,
                abuse,
            },
        )
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => sent().prop_map(Step::Send),
        2 => prop_oneof![0u64..60, 0u64..700].prop_map(Step::Pass),
        1 => prop::sample::subsequence(UNKNOWN_AT_FIRST.to_vec(), 0..=2).prop_map(Step::Learn),
        2 => (0u32..3).prop_map(Step::Hold),
        2 => Just(Step::Release),
        3 => Just(Step::Mark),
        1 => any::<bool>().prop_map(Step::Fence),
    ]
}

/// A packet that waits at gateway 2 for a next hop.
struct Waiter {
    deadline: u64,
    /// Family and host. The two families of a host are resolved separately.
    hop: (bool, u8),
    number: u16,
}

/// A marker at gateway 2 that waits for earlier packets.
struct WaitingMarker {
    since: u64,
    /// The numbers of the earlier packets that still wait.
    earlier: Vec<u16>,
    number: u16,
}

/// The expected state of both gateways.
#[derive(Default)]
pub struct Model {
    outer_v6: bool,
    now: u64,
    known: Vec<u8>,
    waiting: Vec<Waiter>,
    waiting_markers: Vec<WaitingMarker>,
    fenced: bool,
    /// The remainder modulo 3 of the buckets that gateway 1 holds.
    holds: Option<u32>,
    /// The packets that gateway 1 holds.
    pub held: Vec<(Sent, u16)>,
    /// The numbers of the packets in the order in which gateway 2 must send them. A fragmented packet appears twice.
    pub delivered: Vec<u16>,
    /// Drops of gateway 1, by reason.
    pub a: BTreeMap<&'static str, u64>,
    /// Drops of gateway 2, by reason.
    pub b: BTreeMap<&'static str, u64>,
    pub icmp: u64,
    pub fragments: u64,
    pub marks: u64,
}

/// The most packets that gateway 1 may hold.
pub const HOLD_PACKETS: usize = 6;
/// The longest wait of a marker at gateway 2, in milliseconds.
const MARKER_TIMEOUT: u64 = 50;

fn count(counts: &mut BTreeMap<&'static str, u64>, reason: DropReason, packets: usize) {
    if packets > 0 {
        *counts.entry(reason.name()).or_default() += packets as u64;
    }
}

impl Model {
    pub fn new(outer_v6: bool) -> Self {
        Self {
            outer_v6,
            ..Self::default()
        }
    }

    /// The number of packets that wait at gateway 2.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.waiting_markers.len()
    }

    /// Begins a hold and returns true, unless a hold is active.
    pub fn hold(&mut self, remainder: u32) -> bool {
        let begins = self.holds.is_none();
        self.holds = self.holds.or(Some(remainder));
        begins
    }

    /// Ends the hold and returns its packets, which are then processed as new arrivals.
    pub fn release(&mut self) -> Option<Vec<(Sent, u16)>> {
        self.holds.take().map(|_| std::mem::take(&mut self.held))
    }

    /// Whether the hold of gateway 1 takes an arriving packet, or drops it because the hold is full.
    pub fn keep(&mut self, sent: &Sent, number: u16, bucket: u32) -> bool {
        let kept = sent.destination.0 == 2 && self.holds == Some(bucket % 3);
        if kept && self.held.len() == HOLD_PACKETS {
            count(&mut self.a, DropReason::HoldFull, 1);
        } else if kept {
            self.held.push((sent.clone(), number));
        }
        kept
    }

    /// A marker reaches gateway 2.
    pub fn mark(&mut self, number: u16) {
        self.marks += 1;
        if self.fenced {
            count(&mut self.b, DropReason::SaFenced, 1);
            return;
        }
        self.waiting_markers.push(WaitingMarker {
            since: self.now,
            earlier: self.waiting.iter().map(|waiter| waiter.number).collect(),
            number,
        });
        self.advance();
    }

    /// Delivers the markers without earlier packets, and those whose timeout is over.
    fn advance(&mut self) {
        for mut marker in std::mem::take(&mut self.waiting_markers) {
            let waiting = self.waiting.iter().map(|waiter| waiter.number);
            let before: Vec<u16> = waiting.filter(|n| marker.earlier.contains(n)).collect();
            if !before.is_empty() && self.now < marker.since + MARKER_TIMEOUT {
                marker.earlier = before;
                self.waiting_markers.push(marker);
                continue;
            }
            self.waiting
                .retain(|waiter| !before.contains(&waiter.number));
            count(&mut self.b, DropReason::NeighbourUnresolved, before.len());
            self.delivered.push(marker.number);
        }
    }

    pub fn fence(&mut self, fenced: bool) {
        self.fenced = fenced;
        if fenced {
            let waiting = self.waiting();
            count(&mut self.b, DropReason::SaFenced, waiting);
            self.waiting.clear();
            self.waiting_markers.clear();
        }
    }

    /// The number of ESP packets that gateway 1 makes of this packet.
    pub fn seal(&mut self, sent: &Sent, total: usize) -> usize {
        let drop = |counts: &mut BTreeMap<_, _>, reason: DropReason| {
            *counts.entry(reason.name()).or_default() += 1;
            0
        };
        if sent.destination.0 == 3 {
            return drop(&mut self.a, DropReason::NoTunnel);
        }
        if sent.source.0 == 7 {
            return drop(&mut self.a, DropReason::SelectorSource);
        }
        if sent.ttl <= 1 {
            self.icmp += 1;
            return drop(&mut self.a, DropReason::TtlExceeded);
        }
        if total <= max_inner(self.outer_v6) {
            return 1;
        }
        if sent.v6 || sent.dont_fragment {
            self.icmp += 1;
            return drop(&mut self.a, DropReason::TooBig);
        }
        if sent.options {
            return drop(&mut self.a, DropReason::TooBigOptions);
        }
        self.fragments += 1;
        2
    }

    /// One ESP packet and its manipulated copy reach gateway 2.
    pub fn open(&mut self, sent: &Sent, number: u16) {
        let mut drop = |reason: DropReason| *self.b.entry(reason.name()).or_default() += 1;
        match sent.abuse {
            Abuse::None => {}
            Abuse::Forge(_) | Abuse::Replay if self.fenced => drop(DropReason::SaFenced),
            Abuse::Forge(_) => drop(DropReason::AuthenticationFailed),
            Abuse::Replay => drop(DropReason::Replayed),
            Abuse::ForeignSpi => drop(DropReason::UnknownSpi),
            Abuse::Truncate(_) if self.outer_v6 => drop(DropReason::Ipv6Malformed),
            Abuse::Truncate(_) => drop(DropReason::Ipv4Malformed),
        }
        if self.fenced {
            return drop(DropReason::SaFenced);
        }
        let host = sent.destination.1;
        let hop = (sent.v6, host);
        if !UNKNOWN_AT_FIRST.contains(&host) || self.known.contains(&host) {
            self.delivered.push(number);
        } else if self.waiting.iter().filter(|w| w.hop == hop).count() < 32 {
            let deadline = self.now + 1000;
            self.waiting.push(Waiter {
                deadline,
                hop,
                number,
            });
        } else {
            drop(DropReason::NeighbourQueueFull);
        }
    }

    pub fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let before = self.waiting.len();
        self.waiting.retain(|w| w.deadline > self.now);
        let expired = before - self.waiting.len();
        count(&mut self.b, DropReason::NeighbourUnresolved, expired);
        self.advance();
    }

    pub fn learn(&mut self, hosts: &[u8]) {
        self.known = hosts.to_vec();
        let (resolved, unresolved) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w| hosts.contains(&w.hop.1));
        self.waiting = unresolved;
        let resolved: Vec<Waiter> = resolved;
        self.delivered.extend(resolved.iter().map(|w| w.number));
        self.advance();
    }
}
