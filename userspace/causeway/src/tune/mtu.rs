//! The NIC's MTU between what the tunnels need and what XDP takes.

use super::finding::{Check, Finding, Remedy};
use super::scene::Scene;
use crate::config::MAX_MTU;

const MTU: Check = Check {
    name: "mtu",
    why: "below what the tunnels need nothing fits them; a native XDP program takes no more than a page",
};

pub fn examine(scene: &Scene) -> Finding {
    let (mtu, least) = (scene.nic.mtu, scene.least_mtu);
    let wanted = mtu.clamp(least, MAX_MTU);
    if wanted == mtu {
        return MTU.ok(format!("{mtu}, within {least} to {MAX_MTU}"));
    }
    MTU.change(
        mtu.to_string(),
        format!("{least} to {MAX_MTU}"),
        Remedy::by_hand(format!("ip link set dev {} mtu {wanted}", scene.nic.name)),
    )
}
