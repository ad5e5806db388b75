//! Huge pages for the packet buffers.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy, Setting};

const HUGE_PAGES: Check = Check {
    name: "huge-pages",
    why: "packet buffers use huge pages if enough are reserved, and each one saves 512 TLB entries of 4 KiB pages",
};
const RESERVED: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
const BYTES: u64 = 2 << 20;

pub fn examine(env: &Environment) -> Finding {
    if env.workers.is_empty() {
        return HUGE_PAGES.not_applicable("no worker runs on this host");
    }
    let Some(before) = env.host.read(RESERVED) else {
        return HUGE_PAGES.not_applicable("this kernel has no huge pages of 2 MiB");
    };
    let Ok(reserved) = before.parse::<u64>() else {
        return HUGE_PAGES.unknown(format!("expected a number in {RESERVED}"));
    };
    let needed = env.umem_bytes.div_ceil(BYTES);
    if reserved >= needed {
        return HUGE_PAGES.ok(format!("{reserved} reserved, {needed} needed"));
    }
    let setting = Setting {
        path: RESERVED.to_owned(),
        before,
        value: needed.to_string(),
    };
    HUGE_PAGES.change(
        format!("{reserved} reserved"),
        needed.to_string(),
        Remedy::Writes(vec![setting]),
    )
}
