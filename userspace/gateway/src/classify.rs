//! Classify: queues each received packet to be sealed, opened or held back, or returns why it was not queued.

use std::ops::Range;

use causeway_device::Device;
use causeway_esp::{OpenError, SealError};
use causeway_routes::Lookup;
use causeway_steering::headers::{ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, IPV4};
use causeway_steering::{DropReason, Headers, Inbound, Malformed};

use crate::burst::{Burst, OpenRun, Queues, SealRun, ToOpen, ToSeal};
use crate::checksum::update;
use crate::hold_stage::HoldStage;
use crate::mss;
use crate::tunnel::Tunnels;
use crate::waiting::Waiting;

/// The offsets of TTL and header checksum in an IPv4 header.
const TTL: usize = 8;
const CHECKSUM: usize = 10;
/// The offset of the hop limit in an IPv6 header.
const HOP_LIMIT: usize = 7;

/// The reason for which a packet was not queued. The worker handles all but plain drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotQueued {
    Drop(DropReason),
    /// An ESP packet that no SA opens, at this offset of its frame. The drop may be auditable.
    Refuse {
        reason: DropReason,
        esp: u32,
    },
    /// Dropped, and its sender gets an ICMP error.
    TtlExceeded {
        l3: u16,
    },
    /// Dropped, and its sender gets an ICMP error.
    TooBig {
        l3: u16,
        tunnel: u32,
    },
    /// Longer than the tunnel's MTU, and may be fragmented.
    Fragment {
        l3: u16,
        tunnel: u32,
    },
}

impl From<DropReason> for NotQueued {
    #[inline(always)]
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

/// A packet's class, with the fields that the check has read.
enum Class {
    /// Plaintext for this tunnel's peer.
    Seal { headers: Headers, tunnel: usize },
    /// ESP for this gateway, at these octets of the frame.
    Open {
        l3: usize,
        esp: Range<usize>,
        spi: u32,
    },
}

/// Classifies the packet at `index` of the burst and queues it.
#[inline(always)]
pub(crate) fn classify<D: Device>(
    burst: &mut Burst<D::Frame>,
    index: usize,
    device: &D,
    tunnels: &mut Tunnels,
    waiting: &Waiting<D::Frame>,
    holds: &HoldStage<D::Frame>,
) -> Result<(), NotQueued> {
    // Resolved once, for all that reads and changes the packet here.
    let frame = device.bytes_mut(&mut burst.received[index]);
    let queues = &mut burst.queues;
    if is_fast_path(frame) {
        let headers = Headers::ipv4(frame, ETHERNET).map_err(ipv4_malformed)?;
        queue(frame, queues, index, headers, tunnels, waiting, holds)
    } else {
        slow_path(frame, queues, index, tunnels, waiting, holds)
    }
}

/// Whether the frame carries IPv4 without options and without a VLAN tag. Its header fields have fixed offsets and its
/// addresses 32 bits, so a copy of the code that is compiled for it alone takes a third less time.
#[inline(always)]
fn is_fast_path(frame: &[u8]) -> bool {
    let [high, low] = ETHERTYPE_IPV4.to_be_bytes();
    frame.get(12..15) == Some(&[high, low, 0x45])
}

#[inline(never)]
fn slow_path<F>(
    frame: &mut [u8],
    queues: &mut Queues,
    index: usize,
    tunnels: &mut Tunnels,
    waiting: &Waiting<F>,
    holds: &HoldStage<F>,
) -> Result<(), NotQueued> {
    let headers = parse_any(frame)?;
    queue(frame, queues, index, headers, tunnels, waiting, holds)
}

fn parse_any(frame: &[u8]) -> Result<Headers, DropReason> {
    let ethernet = Ethernet::parse(frame).ok_or(DropReason::EthernetTruncated)?;
    match ethernet.ethertype {
        ETHERTYPE_IPV4 => Headers::ipv4(frame, ethernet.l3).map_err(ipv4_malformed),
        ETHERTYPE_IPV6 => {
            Headers::ipv6(frame, ethernet.l3).map_err(|Malformed| DropReason::Ipv6Malformed)
        }
        _ => Err(DropReason::NoTunnel),
    }
}

#[inline(always)]
fn ipv4_malformed(Malformed: Malformed) -> DropReason {
    DropReason::Ipv4Malformed
}

#[inline(always)]
fn queue<F>(
    frame: &mut [u8],
    queues: &mut Queues,
    index: usize,
    headers: Headers,
    tunnels: &mut Tunnels,
    waiting: &Waiting<F>,
    holds: &HoldStage<F>,
) -> Result<(), NotQueued> {
    match class(frame, headers, tunnels)? {
        Class::Seal { headers, tunnel } => {
            if !holds.is_empty()
                && let Some(hold) = holds.find(frame, headers.l3, tunnel)
            {
                queues.held_back.push((index, hold));
                return Ok(());
            }
            queue_to_seal(frame, queues, index, headers, tunnel, tunnels, waiting)
        }
        Class::Open { l3, esp, spi } => queue_to_open(queues, index, l3, esp, spi, tunnels),
    }
}

// Inlined, so that the headers stay in registers.
#[inline(always)]
fn class(frame: &[u8], headers: Headers, tunnels: &Tunnels) -> Result<Class, DropReason> {
    if headers.destination == tunnels.address {
        return match Inbound::of(frame, &headers) {
            Inbound::Esp { at, end, spi } => Ok(Class::Open {
                l3: headers.l3,
                esp: at..end,
                spi,
            }),
            Inbound::EspTruncated => Err(DropReason::EspTruncated),
            Inbound::EspFragment => Err(DropReason::EspFragment),
            Inbound::Keepalive => Err(DropReason::Keepalive),
            Inbound::Ike | Inbound::Other => Err(DropReason::NoTunnel),
        };
    }
    match tunnels.peer_prefixes.lookup(headers.destination) {
        Some(tunnel) => Ok(Class::Seal { headers, tunnel }),
        None => Err(DropReason::NoTunnel),
    }
}

/// Checks a packet that enters `tunnel`, makes the changes of a forwarded packet in place, and queues it to be sealed.
#[inline(always)]
fn queue_to_seal<F>(
    frame: &mut [u8],
    queues: &mut Queues,
    index: usize,
    headers: Headers,
    tunnel: usize,
    tunnels: &mut Tunnels,
    waiting: &Waiting<F>,
) -> Result<(), NotQueued> {
    if tunnels.own_prefixes.lookup(headers.source).is_none() {
        return Err(DropReason::SelectorSource.into());
    }
    let l3 = headers.l3 as u16;
    let ttl = if headers.is_ipv4() { TTL } else { HOP_LIMIT };
    if frame[headers.l3 + ttl] <= 1 {
        return Err(NotQueued::TtlExceeded { l3 });
    }
    let state = &tunnels.states[tunnel];
    let (max, hop) = (state.max_inner, state.hop);
    let fits = headers.total <= max;
    // IPv6 packets count as DF: only their sender fragments them (RFC 8200 section 5).
    if !fits && headers.dont_fragment {
        let tunnel = tunnel as u32;
        return Err(NotQueued::TooBig { l3, tunnel });
    }
    if !fits && headers.l4 - headers.l3 != IPV4 {
        return Err(DropReason::TooBigOptions.into());
    }

    // From here on the received frame is changed in place.
    if headers.is_ipv4() {
        decrement_ttl(&mut frame[headers.l3..]);
    } else {
        frame[headers.l3 + HOP_LIMIT] -= 1;
    }
    if state.clamp_mss {
        mss::clamp(frame, &headers, max);
    }
    let run = tunnel as u32;
    if !fits {
        return Err(NotQueued::Fragment { l3, tunnel: run });
    }
    if !matches!(hop, Lookup::Ready(_)) {
        admit_another(hop, queues, tunnels, waiting)?;
    }
    queues.to_seal.push(ToSeal {
        index: index as u32,
        tunnel: run,
        l3,
        length: headers.total as u16,
        sealed: Err(SealError::OutputTooSmall),
    });
    let end = queues.to_seal.len() as u32;
    match queues.seal_runs.last_mut() {
        Some(last) if last.tunnel == run => last.end = end,
        _ => {
            queues.seal_runs.push(SealRun { tunnel: run, end });
            tunnels.mark_used(tunnel);
        }
    }
    Ok(())
}

/// [`Waiting::admit`] for one packet more than those already queued for the same next hop.
#[cold]
fn admit_another<F>(
    hop: Lookup,
    queues: &Queues,
    tunnels: &Tunnels,
    waiting: &Waiting<F>,
) -> Result<(), DropReason> {
    let same = |packet: &&ToSeal| tunnels.states[packet.tunnel as usize].hop == hop;
    waiting.admit(hop, queues.to_seal.iter().filter(same).count() + 1)
}

/// Queues an ESP packet to be opened, unless its SPI is unknown or its tunnel is fenced.
#[inline]
fn queue_to_open(
    queues: &mut Queues,
    index: usize,
    l3: usize,
    esp: Range<usize>,
    spi: u32,
    tunnels: &mut Tunnels,
) -> Result<(), NotQueued> {
    match queues.open_runs.last_mut() {
        Some(run) if run.spi == spi => run.end += 1,
        _ => begin_open_run(queues, spi, tunnels).map_err(|reason| {
            let esp = esp.start as u32;
            NotQueued::Refuse { reason, esp }
        })?,
    }
    queues.to_open.push(ToOpen {
        index: index as u32,
        l3: l3 as u16,
        esp: esp.start as u32..esp.end as u32,
        opened: Err(OpenError::OutputTooSmall),
    });
    Ok(())
}

/// Begins a run that ends with the next packet to open.
#[inline]
fn begin_open_run(queues: &mut Queues, spi: u32, tunnels: &mut Tunnels) -> Result<(), DropReason> {
    let sa = tunnels.inbound.index(spi).ok_or(DropReason::UnknownSpi)?;
    let tunnel = tunnels.inbound.mark_used(sa);
    if tunnels.states[tunnel].fenced {
        return Err(DropReason::SaFenced);
    }
    queues.open_runs.push(OpenRun {
        spi,
        sa,
        tunnel: tunnel as u32,
        end: queues.to_open.len() as u32 + 1,
    });
    Ok(())
}

/// Decrements the TTL of an IPv4 packet, which is at least 2: RFC 1812 section 5.3.1. The far gateway does not
/// decrement it, although RFC 4301 section 5.1.2.1, note 2, has every router do so: the two gateways of a tunnel count as
/// one hop.
fn decrement_ttl(packet: &mut [u8]) {
    let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let (old, sum) = (word(TTL), word(CHECKSUM));
    let new = old - 0x0100;
    packet[TTL..TTL + 2].copy_from_slice(&new.to_be_bytes());
    packet[CHECKSUM..CHECKSUM + 2].copy_from_slice(&update(sum, old, new).to_be_bytes());
}
