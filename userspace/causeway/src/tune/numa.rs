//! The NUMA node of the NIC.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};

const NUMA: Check = Check {
    name: "numa-node",
    why: "reading a packet from another node's memory takes about twice as long",
};

pub fn examine(env: &Environment) -> Finding {
    let nodes = env.host.names("/sys/devices/system/node");
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
    let Some((node, near)) = env.nic_node() else {
        return NUMA.unknown(format!(
            "the kernel does not report which of {count} nodes has the NIC"
        ));
    };
    let cores = env.worker_cores();
    if cores.is_empty() {
        return NUMA.not_applicable("no worker is pinned to a core");
    }
    let far = cores.without(&near);
    if far.is_empty() {
        return NUMA.ok(format!("NIC and workers are on node {node}"));
    }
    NUMA.change(
        format!("the NIC is on node {node}, the workers on {far} are not"),
        format!("workers on {near}"),
        Remedy::by_hand(format!(
            "set core of these [[gateway.worker]] to one of {near}"
        )),
    )
}
