//! The tunnels of a file and its plan side by side.

use crate::file::{self, File};
use crate::plan::{Plan, Tunnel};

/// Each tunnel of this host: its place in the file, its plan and what was written.
pub(crate) fn tunnels<'a>(
    file: &'a File,
    plan: &'a Plan,
) -> impl Iterator<Item = (String, &'a Tunnel, &'a file::Tunnel)> {
    let gateways = plan.gateways.iter().zip(&file.gateway).enumerate();
    let workers = gateways.flat_map(|(gateway, (plan, written))| {
        let workers = plan.workers.iter().zip(&written.get_ref().worker);
        workers
            .enumerate()
            .map(move |(worker, both)| (gateway, worker, both))
    });
    workers.flat_map(|(gateway, worker, (plan, written))| {
        let tunnels = plan.tunnels.iter().zip(&written.get_ref().tunnel);
        tunnels.enumerate().map(move |(tunnel, (plan, written))| {
            let field = format!("gateway[{gateway}].worker[{worker}].tunnel[{tunnel}]");
            (field, plan, written.get_ref())
        })
    })
}
