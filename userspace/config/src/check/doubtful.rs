//! Values that are valid and rarely meant. Each is a warning.

use std::net::IpAddr;

use ipnet::IpNet;

use super::tunnels::tunnels;
use crate::file::File;
use crate::plan::Plan;
use crate::report::Report;

pub(crate) fn check(file: &File, plan: &Plan, report: &mut Report<'_>) {
    listens_everywhere(file, plan, report);
    peers(file, plan, report);
}

fn listens_everywhere(file: &File, plan: &Plan, report: &mut Report<'_>) {
    if let (Some(address), Some(http)) = (plan.http, &file.http)
        && address.ip().is_unspecified()
    {
        report.warn(
            http.listen.span(),
            "http.listen",
            format_args!(
                "{} is every address of this host, also those that the peers' hosts reach; status and \
                 metrics are served without authentication. Write one address, such as 127.0.0.1:{}",
                address.ip(),
                address.port()
            ),
        );
    }
}

fn peers(file: &File, plan: &Plan, report: &mut Report<'_>) {
    for (field, tunnel, written) in tunnels(file, plan) {
        if let Some(doubt) = peer(tunnel.peer, plan) {
            report.warn(written.peer.span(), format_args!("{field}.peer"), doubt);
        }
    }
}

fn peer(peer: IpAddr, plan: &Plan) -> Option<String> {
    let covers = |prefix: &&IpNet| prefix.contains(&peer);
    if let Some(prefix) = plan.vpc_prefixes.iter().find(covers) {
        return Some(format!(
            "{peer} is in {prefix}, a prefix of this VPC; the peer gateway is expected in the peer's VPC"
        ));
    }
    let mut prefixes = plan.peerings.iter().flat_map(|peering| &peering.prefixes);
    let prefix = prefixes.find(covers)?;
    Some(format!(
        "{peer} is in {prefix}, a prefix of a peering; this gateway's route to {peer} must not lead to \
         the demux, which drops the gateway's ESP (own-esp)"
    ))
}
