//! XDP in the driver, and AF_XDP zero-copy.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};

const MODE: Check = Check {
    name: "xdp-mode",
    why: "in generic mode the kernel makes a socket buffer of each packet before the program runs",
};
const ZERO_COPY: Check = Check {
    name: "zero-copy",
    why: "without zero-copy the kernel copies each packet between the NIC and the workers' frames",
};
const NOT_REPORTED: &str =
    "the kernel does not report the driver's XDP features (Linux 6.3 and later do)";

pub fn mode(env: &Environment) -> Finding {
    let generic = env.nic.generic_xdp;
    let Some(xdp) = env.nic.hardware.xdp else {
        return MODE.unknown(NOT_REPORTED);
    };
    match (xdp.native && xdp.redirect, generic) {
        (true, false) => MODE.ok("in the driver"),
        (true, true) => MODE.change(
            "generic, as configured",
            "in the driver, which supports it",
            Remedy::by_hand("set mode = \"auto\" in [nic]"),
        ),
        (false, _) => MODE.information(
            "generic, because the driver does not support XDP; another NIC would be faster",
        ),
    }
}

pub fn zero_copy(env: &Environment) -> Finding {
    match env.nic.hardware.xdp {
        _ if env.workers.is_empty() => ZERO_COPY.not_applicable("no worker runs on this host"),
        None => ZERO_COPY.unknown(NOT_REPORTED),
        Some(xdp) if xdp.zero_copy => ZERO_COPY.ok("supported, and used where it works"),
        Some(_) => ZERO_COPY.information("the driver does not support it"),
    }
}
