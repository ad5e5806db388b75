//! Offloads that change packets before XDP reads them.
//!
//! TSO, GSO and the kernel's GRO are not checked, because they affect only packets of the host's sockets.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};

const LRO: Check = Check {
    name: "lro",
    why: "merged packets are larger than a frame, and most drivers refuse XDP while LRO is on",
};
const HARDWARE_GRO: Check = Check {
    name: "hardware-gro",
    why: "merged packets are larger than a frame",
};
const VLAN: Check = Check {
    name: "rx-vlan-offload",
    why: "XDP does not see a tag that the NIC removes, so redirected packets leave without it",
};

pub fn lro(env: &Environment) -> Finding {
    check_off(env, LRO, "rx-lro")
}

pub fn hardware_gro(env: &Environment) -> Finding {
    check_off(env, HARDWARE_GRO, "rx-gro-hw")
}

pub fn vlan(env: &Environment) -> Finding {
    check_off(env, VLAN, "rx-vlan-hw-parse")
}

/// `name` is the kernel's name of the offload, which ethtool accepts.
fn check_off(env: &Environment, check: Check, name: &str) -> Finding {
    let hardware = &env.nic.hardware;
    if hardware.offloads.is_empty() {
        return check.unknown("the driver does not report its offloads");
    }
    match hardware.offload(name) {
        None => check.ok("the driver does not have it"),
        Some(offload) if !offload.on => check.ok("off"),
        Some(offload) if offload.fixed => check.unknown(
            "on, and only the driver can turn it off, which it does for XDP if XDP needs it",
        ),
        Some(_) => check.change(
            "on",
            "off",
            Remedy::by_hand(format!("ethtool -K {} {name} off", env.nic.name)),
        ),
    }
}
