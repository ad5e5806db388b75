//! What the NIC does to packets before XDP sees them.
//!
//! TSO, GSO and the kernel's own GRO are left alone: they work on packets of the host's sockets,
//! which the workers' never meet.

use super::finding::{Check, Finding, Remedy};
use super::scene::Scene;

const LRO: Check = Check {
    name: "lro",
    why: "merged packets are larger than a frame, and most drivers refuse XDP with it",
};
const HARDWARE_GRO: Check = Check {
    name: "hardware-gro",
    why: "merged packets are larger than a frame",
};
const VLAN: Check = Check {
    name: "rx-vlan-offload",
    why: "a tag that the NIC takes off is hidden from XDP, and what is redirected leaves without it",
};

pub fn lro(scene: &Scene) -> Finding {
    off(scene, LRO, "rx-lro")
}

pub fn hardware_gro(scene: &Scene) -> Finding {
    off(scene, HARDWARE_GRO, "rx-gro-hw")
}

pub fn vlan(scene: &Scene) -> Finding {
    off(scene, VLAN, "rx-vlan-hw-parse")
}

/// The kernel's name of an offload is one that ethtool takes.
fn off(scene: &Scene, check: Check, name: &str) -> Finding {
    let hardware = &scene.nic.hardware;
    if hardware.offloads.is_empty() {
        return check.unknown("the driver does not tell its offloads");
    }
    match hardware.offload(name) {
        None => check.ok("the driver has none"),
        Some(offload) if !offload.on => check.ok("off"),
        Some(offload) if offload.fixed => check.unknown(
            "on, and only the driver itself can turn it off; those that must, do so for XDP",
        ),
        Some(_) => check.change(
            "on",
            "off",
            Remedy::by_hand(format!("ethtool -K {} {name} off", scene.nic.name)),
        ),
    }
}
