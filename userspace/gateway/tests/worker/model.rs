//! What must become of each packet between two gateways, said without any of their code.

use std::collections::BTreeMap;

use causeway_steering::Drop;
use proptest::prelude::*;

use crate::side::max_inner;

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// A host of VPC 1 sends.
    Send(Sent),
    /// Time passes, in milliseconds.
    Pass(u64),
    /// VPC 2 learns these hosts' MAC addresses, beside those it always knows.
    Learn(Vec<u8>),
    /// Gateway 1 holds the buckets that are this modulo 3, unless it holds any.
    Hold(u32),
    /// Gateway 1 releases what it holds.
    Release,
    /// A marker goes from demux to demux.
    Mark,
    /// Gateway 2 is fenced, or no more.
    Fence(bool),
}

#[derive(Clone, Debug)]
pub struct Sent {
    pub v6: bool,
    /// Network and host of both ends. There is a network 7 that is nobody's, and a network 3
    /// without a tunnel.
    pub source: (u8, u8),
    pub destination: (u8, u8),
    pub ttl: u8,
    pub length: usize,
    pub dont_fragment: bool,
    pub options: bool,
    pub abuse: Abuse,
}

/// What the network between the gateways does to a sealed packet.
#[derive(Clone, Debug)]
pub enum Abuse {
    None,
    /// A copy with one bit of ciphertext or ICV turned arrives first.
    Forge(prop::sample::Index),
    /// It arrives twice.
    Replay,
    /// A copy with another SPI arrives first.
    ForeignSpi,
    /// A copy that was cut off arrives first.
    Truncate(prop::sample::Index),
}

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

/// A packet that waits at gateway 2: when its time is over, its host, its number.
struct Waiter {
    deadline: u64,
    /// Known by two addresses, one of each family, which are asked for apart.
    hop: (bool, u8),
    number: u16,
}

/// A marker that is behind packets which wait at gateway 2.
struct Behind {
    since: u64,
    /// Their numbers.
    older: Vec<u16>,
    number: u16,
}

/// What must have happened so far.
#[derive(Default)]
pub struct Model {
    outer_v6: bool,
    now: u64,
    known: Vec<u8>,
    waiting: Vec<Waiter>,
    behind: Vec<Behind>,
    fenced: bool,
    /// What gateway 1 holds: a remainder modulo 3, and the packets.
    holds: Option<u32>,
    pub held: Vec<(Sent, u16)>,
    /// Numbers in the order in which gateway 2 must send them; a fragmented packet appears twice.
    pub delivered: Vec<u16>,
    pub a: BTreeMap<&'static str, u64>,
    pub b: BTreeMap<&'static str, u64>,
    pub icmp: u64,
    pub fragments: u64,
    pub marks: u64,
}

/// What gateway 1 may hold.
pub const HOLD_PACKETS: usize = 6;
/// How long a marker waits at gateway 2.
const PATIENCE: u64 = 50;

fn count(counts: &mut BTreeMap<&'static str, u64>, reason: Drop, packets: usize) {
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

    /// Packets that wait at gateway 2.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.behind.len()
    }

    /// A hold begins; not if there is one.
    pub fn hold(&mut self, remainder: u32) -> bool {
        let begins = self.holds.is_none();
        self.holds = self.holds.or(Some(remainder));
        begins
    }

    /// The hold's packets go on as if they came now.
    pub fn release(&mut self) -> Option<Vec<(Sent, u16)>> {
        self.holds.take().map(|_| std::mem::take(&mut self.held))
    }

    /// Whether gateway 1 holds a packet that comes now, or drops it for lack of room.
    pub fn keep(&mut self, sent: &Sent, number: u16, bucket: u32) -> bool {
        let kept = sent.destination.0 == 2 && self.holds == Some(bucket % 3);
        if kept && self.held.len() == HOLD_PACKETS {
            count(&mut self.a, Drop::HoldFull, 1);
        } else if kept {
            self.held.push((sent.clone(), number));
        }
        kept
    }

    /// A marker reaches gateway 2.
    pub fn mark(&mut self, number: u16) {
        self.marks += 1;
        if self.fenced {
            count(&mut self.b, Drop::SaFenced, 1);
            return;
        }
        self.behind.push(Behind {
            since: self.now,
            older: self.waiting.iter().map(|waiter| waiter.number).collect(),
            number,
        });
        self.advance();
    }

    /// Markers go that have nothing before them, or whose patience is over.
    fn advance(&mut self) {
        for mut marker in std::mem::take(&mut self.behind) {
            let waiting = self.waiting.iter().map(|waiter| waiter.number);
            let before: Vec<u16> = waiting.filter(|n| marker.older.contains(n)).collect();
            if !before.is_empty() && self.now < marker.since + PATIENCE {
                marker.older = before;
                self.behind.push(marker);
                continue;
            }
            self.waiting
                .retain(|waiter| !before.contains(&waiter.number));
            count(&mut self.b, Drop::NeighbourUnresolved, before.len());
            self.delivered.push(marker.number);
        }
    }

    pub fn fence(&mut self, fenced: bool) {
        self.fenced = fenced;
        if fenced {
            let waiting = self.waiting();
            count(&mut self.b, Drop::SaFenced, waiting);
            self.waiting.clear();
            self.behind.clear();
        }
    }

    /// How many ESP packets gateway 1 makes of this one.
    pub fn seal(&mut self, sent: &Sent, total: usize) -> usize {
        let drop = |counts: &mut BTreeMap<_, _>, reason: Drop| {
            *counts.entry(reason.name()).or_default() += 1;
            0
        };
        if sent.destination.0 == 3 {
            return drop(&mut self.a, Drop::NoTunnel);
        }
        if sent.source.0 == 7 {
            return drop(&mut self.a, Drop::SelectorSource);
        }
        if sent.ttl <= 1 {
            self.icmp += 1;
            return drop(&mut self.a, Drop::TtlExceeded);
        }
        if total <= max_inner(self.outer_v6) {
            return 1;
        }
        if sent.v6 || sent.dont_fragment {
            self.icmp += 1;
            return drop(&mut self.a, Drop::TooBig);
        }
        if sent.options {
            return drop(&mut self.a, Drop::TooBigOptions);
        }
        self.fragments += 1;
        2
    }

    /// One ESP packet and its abused copy reach gateway 2.
    pub fn open(&mut self, sent: &Sent, number: u16) {
        let mut drop = |reason: Drop| *self.b.entry(reason.name()).or_default() += 1;
        match sent.abuse {
            Abuse::None => {}
            Abuse::Forge(_) | Abuse::Replay if self.fenced => drop(Drop::SaFenced),
            Abuse::Forge(_) => drop(Drop::AuthenticationFailed),
            Abuse::Replay => drop(Drop::Replayed),
            Abuse::ForeignSpi => drop(Drop::UnknownSpi),
            Abuse::Truncate(_) if self.outer_v6 => drop(Drop::Ipv6Malformed),
            Abuse::Truncate(_) => drop(Drop::Ipv4Malformed),
        }
        if self.fenced {
            return drop(Drop::SaFenced);
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
            drop(Drop::NeighbourQueueFull);
        }
    }

    pub fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let before = self.waiting.len();
        self.waiting.retain(|w| w.deadline > self.now);
        let expired = before - self.waiting.len();
        count(&mut self.b, Drop::NeighbourUnresolved, expired);
        self.advance();
    }

    pub fn learn(&mut self, hosts: &[u8]) {
        self.known = hosts.to_vec();
        let (go, stay) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w| hosts.contains(&w.hop.1));
        self.waiting = stay;
        let go: Vec<Waiter> = go;
        self.delivered.extend(go.iter().map(|w| w.number));
        self.advance();
    }
}
