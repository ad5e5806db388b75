//! The NUMA node of the NIC.

use super::finding::{Check, Finding, Remedy};
use super::scene::Scene;

const NUMA: Check = Check {
    name: "numa-node",
    why: "a packet from another node's memory takes about twice as long to read",
};

pub fn examine(scene: &Scene) -> Finding {
    let nodes = scene.host.names("/sys/devices/system/node");
    let count = nodes
        .iter()
        .filter(|name| {
            name.strip_prefix("node")
                .is_some_and(|rest| rest.parse::<u32>().is_ok())
        })
        .count();
    if count < 2 {
        return NUMA.not_applicable("this host has one NUMA node");
    }
    let Some((node, near)) = scene.node() else {
        return NUMA.unknown(format!(
            "the kernel does not tell at which of {count} nodes the NIC is"
        ));
    };
    let cores = scene.worker_cores();
    if cores.is_empty() {
        return NUMA.not_applicable("no worker is pinned to a core");
    }
    let far = cores.without(&near);
    if far.is_empty() {
        return NUMA.ok(format!("NIC and workers are at node {node}"));
    }
    NUMA.change(
        format!("the NIC is at node {node}, the workers on {far} are not"),
        format!("workers on cores of {near}"),
        Remedy::by_hand(format!(
            "set core of these [[gateway.worker]] to cores of {near}"
        )),
    )
}
