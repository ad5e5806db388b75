//! The limits of the NIC's MTU.

use crate::plan::{Encapsulation, Plan, Tunnel};

/// The largest MTU, in bytes, of a NIC with a native XDP program without multi-buffer: a page of
/// 4096, less 256 of headroom, 320 of the kernel's `skb_shared_info` behind the packet, and 22 for
/// the Ethernet header with a VLAN tag and FCS. AWS ENA has the same limit.
pub const MAX_MTU: u32 = 4096 - 256 - 320 - 22;
/// The smallest packet that a tunnel must carry: every host accepts an IPv4 packet of 576 bytes
/// (RFC 791), and every IPv6 link carries one of 1280 (RFC 8200 section 5).
const LEAST_IPV4: u32 = 576;
const LEAST_IPV6: u32 = 1280;
/// The headers of an IPv4 tunnel: 20 + 8 + 8 + 8 + 2 + 16 bytes, and up to 3 of padding. IPv6's header is
/// 20 bytes longer.
const OVERHEAD_IPV4: u32 = 65;
const OVERHEAD_IPV6: u32 = OVERHEAD_IPV4 + 20;

/// The longest inner packet of a tunnel over a NIC with this MTU, as `causeway_esp::Seal::max_inner` calculates it.
pub(crate) fn tunnel_mtu(tunnel: &Tunnel, mtu: u32) -> u32 {
    let ip = if tunnel.peer.is_ipv6() { 40 } else { 20 };
    let udp = match tunnel.encapsulation {
        Encapsulation::Udp { .. } => 8,
        Encapsulation::Esp => 0,
    };
    // SPI and sequence number, IV, and ICV; then a trailer of 2 in a length that is a multiple of 4.
    let fixed = ip + udp + 8 + 8 + 16;
    (mtu.saturating_sub(fixed) & !3).saturating_sub(2)
}

/// The smallest packet that the tunnels must carry, and the MTU that this packet needs, in bytes.
pub fn tunnel_need(plan: &Plan) -> (u32, u32) {
    let mut prefixes = plan
        .peerings
        .iter()
        .flat_map(|peering| &peering.prefixes)
        .chain(&plan.vpc_prefixes);
    let least = if prefixes.any(|prefix| prefix.addr().is_ipv6()) {
        LEAST_IPV6
    } else {
        LEAST_IPV4
    };
    let over_ipv6 = plan
        .gateways
        .iter()
        .any(|gateway| gateway.address.is_ipv6());
    let overhead = if over_ipv6 {
        OVERHEAD_IPV6
    } else {
        OVERHEAD_IPV4
    };
    (least, least + overhead)
}
