//! Checks that the host's reverse path filter accepts packets of the peers' demuxes.
//!
//! Peer messages leave the tunnel at a gateway and reach the demux's kernel as IPv4 packets from
//! another VPC. This host may have no route to that VPC. With a reverse path filter (RFC 3704) the
//! kernel then drops them silently. The kernel has no such filter for IPv6.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use crate::Plan;
use causeway_rescale::message::PORT;

/// One warning for each peer whose messages the filter drops. `own` are the NIC's addresses.
///
/// # Errors
/// The filter settings cannot be read.
pub fn warnings(plan: &Plan, own: &[IpAddr]) -> io::Result<Vec<String>> {
    // Workers on this host receive peer messages themselves.
    if plan.workers().next().is_some() {
        return Ok(Vec::new());
    }
    let nic = &plan.nic.name;
    let filter = filter("all")?.max(filter(nic)?);
    let peerings = plan.peerings.iter();
    let demuxes = peerings.filter_map(|peering| Some((&peering.name, peering.demux?)));
    Ok(demuxes
        .filter(|(_, demux)| demux.is_ipv4() && !accepts(filter, source_towards(*demux), own))
        .map(|(peering, demux)| {
            format!(
                "the kernel will drop messages from the demux of peering {peering:?} at {demux}, so \
                 its gateways cannot be probed and the cluster cannot be changed: rp_filter is \
                 {filter} and no route to {demux} leads out of {nic}. Try: sysctl \
                 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{nic}.rp_filter=0"
            )
        })
        .collect())
}

/// Whether the filter accepts a packet. `reply_source` is the source address of a reply, if there is a
/// route for it.
fn accepts(filter: u8, reply_source: Option<IpAddr>, own: &[IpAddr]) -> bool {
    match filter {
        0 => true,
        // Strict: the reply leaves through the NIC that received the packet.
        1 => reply_source.is_some_and(|source| own.contains(&source)),
        // Loose: any route is enough.
        _ => reply_source.is_some(),
    }
}

fn filter(interface: &str) -> io::Result<u8> {
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter");
    let text = fs::read_to_string(path)?;
    text.trim().parse().map_err(io::Error::other)
}

/// The source address of packets to another host, if there is a route. No packet is sent.
fn source_towards(to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((to, PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_drops_peer_messages_only_without_a_return_route() {
        let own = [IpAddr::from([10, 1, 0, 100])];
        let (nic, other) = (Some(own[0]), Some(IpAddr::from([192, 0, 2, 1])));
        for (filter, source, accepted) in [
            (0, None, true),
            (1, None, false),
            (1, other, false),
            (1, nic, true),
            (2, None, false),
            (2, other, true),
        ] {
            assert_eq!(
                accepts(filter, source, &own),
                accepted,
                "{filter} {source:?}"
            );
        }
    }
}
