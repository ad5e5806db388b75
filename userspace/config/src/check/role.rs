//! Checks that a configuration fits a role.

use crate::file::File;
use crate::report::Report;
use causeway_api::status::Role;

pub(crate) fn check(file: &File, role: Role, report: &mut Report<'_>) {
    match role {
        Role::Demux => demux(file, report),
        Role::Gateway => gateway(file, report),
    }
}

/// The gateways of a demux are all local or all remote.
fn demux(file: &File, report: &mut Report<'_>) {
    if let Some(demux) = &file.vpc.demux {
        report.error(
            demux.span(),
            "vpc.demux",
            "is a setting of a gateway; remove it here, and set it in the configuration of each gateway",
        );
    }
    let Some(first) = file.gateway.first() else {
        return;
    };
    let place = |local| if local { "local" } else { "remote" };
    let local = !first.get_ref().worker.is_empty();
    for (index, gateway) in file.gateway.iter().enumerate() {
        let other = !gateway.get_ref().worker.is_empty();
        if other != local {
            report.error(
                gateway.span(),
                format_args!("gateway[{index}]"),
                format_args!(
                    "is {} while gateway[0] (line {}) is {}; a demux has only local gateways \
                     (with workers) or only remote ones (without)",
                    place(other),
                    report.line(first.span()),
                    place(local),
                ),
            );
        }
    }
}

fn gateway(file: &File, report: &mut Report<'_>) {
    for (index, peering) in file.peering.iter().enumerate() {
        if let Some(demux) = &peering.get_ref().demux {
            report.error(
                demux.span(),
                format_args!("peering[{index}].demux"),
                "is a setting of a demux; remove it here, and set it in the demux's configuration",
            );
        }
    }
    for (index, gateway) in file.gateway.iter().enumerate() {
        let field = format!("gateway[{index}]");
        if index > 0 {
            report.error(
                gateway.span(),
                field,
                "is one too many; `causeway gateway` runs exactly one gateway: remove the others \
                 here and from the lists `gateways` of the peerings",
            );
        } else if gateway.get_ref().worker.is_empty() {
            report.error(
                gateway.span(),
                field,
                "has no workers; `causeway gateway` runs one local gateway: add a \
                 [[gateway.worker]] section",
            );
        }
    }
}
