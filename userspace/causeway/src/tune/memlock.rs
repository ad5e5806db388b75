//! The limit of locked memory.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};

const MEMLOCK: Check = Check {
    name: "memlock",
    why: "the packet buffers of AF_XDP are locked memory, and beyond the limit the kernel refuses a socket",
};

pub fn examine(env: &Environment) -> Finding {
    let needed = env.umem_bytes.div_ceil(1 << 20);
    if env.workers.is_empty() {
        return MEMLOCK.not_applicable("no worker runs on this host");
    }
    match env.memlock_limit {
        None => MEMLOCK.ok(format!(
            "no limit for this process; {needed} MiB are needed"
        )),
        Some(limit) if limit >= env.umem_bytes => MEMLOCK.ok(format!("{} MiB", limit >> 20)),
        Some(limit) => MEMLOCK.change(
            format!("{limit} bytes for this process, without CAP_IPC_LOCK"),
            format!("{needed} MiB, or CAP_IPC_LOCK"),
            Remedy::by_hand("set LimitMEMLOCK=infinity in the service's unit"),
        ),
    }
}
