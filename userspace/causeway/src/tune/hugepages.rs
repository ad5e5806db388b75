//! Huge pages for the packet buffers.

use super::finding::{Check, Finding, Remedy, Setting};
use super::scene::Scene;

const HUGE_PAGES: Check = Check {
    name: "huge-pages",
    why: "packet buffers take them where enough are reserved, and each spares the TLB 512 common pages",
};
const RESERVED: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
const BYTES: u64 = 2 << 20;

pub fn examine(scene: &Scene) -> Finding {
    if scene.workers.is_empty() {
        return HUGE_PAGES.not_applicable("no worker runs on this host");
    }
    let Some(before) = scene.host.read(RESERVED) else {
        return HUGE_PAGES.not_applicable("this kernel has no huge pages of 2 MiB");
    };
    let Ok(reserved) = before.parse::<u64>() else {
        return HUGE_PAGES.unknown(format!("{RESERVED} holds no number"));
    };
    let needed = scene.umem.div_ceil(BYTES);
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
