//! Whether the host's kernel takes what the peers' demuxes say to this one.
//!
//! Their words leave the tunnel at a gateway and come to the demux's kernel as IPv4 packets from
//! another VPC, to which this host may have no route: with its reverse path filter on (RFC 3704) the
//! kernel drops them and says nothing. IPv6 has no such filter in the kernel itself.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use crate::config::Plan;
use crate::wire::PORT;

/// What would keep the words of the plan's peers out; `own`: the NIC's addresses.
///
/// # Errors
/// The kernel does not say how it filters.
pub fn warnings(plan: &Plan, own: &[IpAddr]) -> io::Result<Vec<String>> {
    // Workers on this host hear the peers themselves.
    if plan.workers().next().is_some() {
        return Ok(Vec::new());
    }
    let nic = &plan.nic.name;
    let filter = filter("all")?.max(filter(nic)?);
    let peerings = plan.peerings.iter();
    let demuxes = peerings.filter_map(|peering| Some((&peering.name, peering.demux?)));
    Ok(demuxes
        .filter(|(_, demux)| demux.is_ipv4() && !takes(filter, way(*demux), own))
        .map(|(peering, demux)| {
            format!(
                "the kernel will drop what the demux of peering {peering:?} says from {demux}, so the \
                 cluster can be neither watched nor changed: rp_filter is {filter} and no route to \
                 {demux} leads out of {nic}. Try: sysctl net.ipv4.conf.all.rp_filter=0 \
                 net.ipv4.conf.{nic}.rp_filter=0"
            )
        })
        .collect())
}

/// Whether the filter lets a packet in from an address: `way` is whence this host would answer it.
fn takes(filter: u8, way: Option<IpAddr>, own: &[IpAddr]) -> bool {
    match filter {
        0 => true,
        // Strict: the answer would go out of the NIC by which it came.
        1 => way.is_some_and(|way| own.contains(&way)),
        // Loose: it would go anywhere.
        _ => way.is_some(),
    }
}

fn filter(interface: &str) -> io::Result<u8> {
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter");
    let text = fs::read_to_string(path)?;
    text.trim().parse().map_err(io::Error::other)
}

/// The address from which this host would speak to another, if it has a route. Nothing is sent.
fn way(to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((to, PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_filter_without_a_way_back_keeps_words_out() {
        let own = [IpAddr::from([10, 1, 0, 100])];
        let (nic, other) = (Some(own[0]), Some(IpAddr::from([192, 0, 2, 1])));
        for (filter, way, taken) in [
            (0, None, true),
            (1, None, false),
            (1, other, false),
            (1, nic, true),
            (2, None, false),
            (2, other, true),
        ] {
            assert_eq!(takes(filter, way, &own), taken, "{filter} {way:?}");
        }
    }
}
