//! The address of a host.

use std::net::IpAddr;

use causeway_routes::is_link_local;
use ipnet::IpNet;
use toml::Spanned;

use crate::report::Report;

/// Parses a unicast address that a gateway or demux can have.
pub(crate) fn host_address(
    text: &Spanned<String>,
    field: impl std::fmt::Display,
    report: &mut Report<'_>,
) -> Option<IpAddr> {
    let written = text.get_ref();
    let Ok(address) = written.parse::<IpAddr>() else {
        report.error(
            text.span(),
            field,
            format_args!(
                "{written:?} is not an IP address; write it as \"10.1.0.101\" or \"fd00:1::101\""
            ),
        );
        return None;
    };
    let fault = match address {
        IpAddr::V4(v4) if v4.is_broadcast() => Some("expected a unicast address"),
        _ if is_link_local(address) => Some("a link-local address is valid only on its link"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Some("an IPv4-mapped address does not occur on the wire; write the IPv4 address")
        }
        _ if address.is_unspecified() || address.is_multicast() || address.is_loopback() => {
            Some("expected a unicast address")
        }
        _ => None,
    };
    if let Some(fault) = fault {
        report.error(
            text.span(),
            field,
            format_args!("{address} cannot be the address of a gateway or demux: {fault}"),
        );
        return None;
    }
    Some(address)
}

/// Whether no host of an IPv4 subnet can have this address: it is that of the network, or the broadcast address (RFC 1122
/// section 3.2.1.3). A subnet of two addresses has neither (RFC 3021).
pub(crate) fn is_reserved(subnet: &IpNet, address: IpAddr) -> bool {
    subnet.addr().is_ipv4()
        && subnet.prefix_len() < 31
        && (address == subnet.network() || address == subnet.broadcast())
}
