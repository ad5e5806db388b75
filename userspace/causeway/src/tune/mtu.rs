//! The NIC's MTU, between the tunnels' minimum and the maximum of XDP.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};
use causeway_config::MAX_MTU;

const MTU: Check = Check {
    name: "mtu",
    why: "below the tunnels' minimum no packet fits into them, and a native XDP program takes at most a page",
};

pub fn examine(env: &Environment) -> Finding {
    let (mtu, minimum) = (env.nic.mtu, env.minimum_mtu);
    let wanted = mtu.clamp(minimum, MAX_MTU);
    if wanted == mtu {
        return MTU.ok(format!("{mtu}, within {minimum} to {MAX_MTU}"));
    }
    MTU.change(
        mtu.to_string(),
        format!("{minimum} to {MAX_MTU}"),
        Remedy::by_hand(format!("ip link set dev {} mtu {wanted}", env.nic.name)),
    )
}
