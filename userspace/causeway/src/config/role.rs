//! Which role a configuration is for.

use super::error::Report;
use super::file::File;
use crate::status::Role;

pub(super) fn check(file: &File, role: Role, report: &mut Report<'_>) {
    match role {
        Role::Demux => demux(file, report),
        Role::Gateway => gateway(file, report),
    }
}

/// All gateways stand on hosts of their own, or all on this one.
fn demux(file: &File, report: &mut Report<'_>) {
    let Some(first) = file.gateway.first() else {
        return;
    };
    let place = |local| if local { "local" } else { "remote" };
    let local = !first.get_ref().worker.is_empty();
    for (index, gateway) in file.gateway.iter().enumerate() {
        let other = !gateway.get_ref().worker.is_empty();
        if other != local {
            report.refuse(
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
            report.refuse(
                demux.span(),
                format_args!("peering[{index}].demux"),
                "belongs into the demux's file; a gateway answers whoever has the steering key",
            );
        }
    }
    for (index, gateway) in file.gateway.iter().enumerate() {
        let field = format!("gateway[{index}]");
        if index > 0 {
            report.refuse(
                gateway.span(),
                field,
                "is one too many; `causeway gateway` runs exactly one gateway, and its peerings \
                 name only that one",
            );
        } else if gateway.get_ref().worker.is_empty() {
            report.refuse(
                gateway.span(),
                field,
                "has no workers; `causeway gateway` runs one local gateway: add a \
                 [[gateway.worker]] section",
            );
        }
    }
}
