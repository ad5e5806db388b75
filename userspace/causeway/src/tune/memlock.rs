//! Memory that may be locked.

use super::finding::{Check, Finding, Remedy};
use super::scene::Scene;

const MEMLOCK: Check = Check {
    name: "memlock",
    why: "the packet buffers of AF_XDP are locked memory, and a socket is refused beyond the limit",
};

pub fn examine(scene: &Scene) -> Finding {
    let needed = scene.umem.div_ceil(1 << 20);
    if scene.workers.is_empty() {
        return MEMLOCK.not_applicable("no worker runs on this host");
    }
    match scene.lockable {
        None => MEMLOCK.ok(format!(
            "no limit for this process; {needed} MiB are needed"
        )),
        Some(limit) if limit >= scene.umem => MEMLOCK.ok(format!("{} MiB", limit >> 20)),
        Some(limit) => MEMLOCK.change(
            format!("{limit} bytes for this process, without CAP_IPC_LOCK"),
            format!("{needed} MiB, or CAP_IPC_LOCK"),
            Remedy::by_hand("set LimitMEMLOCK=infinity in the service's unit"),
        ),
    }
}
