//! Where the XDP program runs, and who copies its packets.

use super::finding::{Check, Finding, Remedy};
use super::scene::Scene;

const MODE: Check = Check {
    name: "xdp-mode",
    why: "in the generic path the kernel makes a packet of its own of each before the program sees it",
};
const ZERO_COPY: Check = Check {
    name: "zero-copy",
    why: "without it the kernel copies each packet between the NIC and the workers' frames",
};
const UNTOLD: &str = "the kernel does not tell what the driver can do (Linux 6.3 and later do)";

pub fn mode(scene: &Scene) -> Finding {
    let generic = scene.nic.generic_xdp;
    let Some(xdp) = scene.nic.hardware.xdp else {
        return MODE.unknown(UNTOLD);
    };
    match (xdp.native && xdp.redirect, generic) {
        (true, false) => MODE.ok("in the driver"),
        (true, true) => MODE.change(
            "the configuration asks for SKB mode",
            "in the driver, which can do it",
            Remedy::by_hand("set mode = \"auto\" in [nic]"),
        ),
        (false, _) => {
            MODE.information("the driver has no XDP of its own: another NIC would be faster")
        }
    }
}

pub fn zero_copy(scene: &Scene) -> Finding {
    match scene.nic.hardware.xdp {
        _ if scene.workers.is_empty() => ZERO_COPY.not_applicable("no worker runs on this host"),
        None => ZERO_COPY.unknown(UNTOLD),
        Some(xdp) if xdp.zero_copy => {
            ZERO_COPY.ok("the driver has it, and it is taken where it works")
        }
        Some(_) => ZERO_COPY.information("the driver has none"),
    }
}
