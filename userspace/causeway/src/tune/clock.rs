//! The clock that the kernel reads.

use super::finding::{Check, Finding, Remedy};
use super::scene::Scene;

const CLOCK: Check = Check {
    name: "clocksource",
    why: "workers look at the clock once a burst; these are read without a system call",
};
const FOLDER: &str = "/sys/devices/system/clocksource/clocksource0";
const READ_IN_USERSPACE: [&str; 4] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
];

pub fn examine(scene: &Scene) -> Finding {
    let read = |file| scene.host.read(&format!("{FOLDER}/{file}"));
    let Some(current) = read("current_clocksource") else {
        return CLOCK.unknown(format!("{FOLDER} cannot be read"));
    };
    if READ_IN_USERSPACE.contains(&current.as_str()) {
        return CLOCK.ok(current);
    }
    let available = read("available_clocksource").unwrap_or_default();
    let better = READ_IN_USERSPACE
        .into_iter()
        .find(|wanted| available.split_whitespace().any(|name| name == *wanted));
    match better {
        Some(better) => CLOCK.change(
            current,
            better,
            Remedy::by_hand(format!("echo {better} > {FOLDER}/current_clocksource")),
        ),
        None => CLOCK.unknown(format!(
            "{current}, and the kernel offers no better one: see why with dmesg | grep -i tsc"
        )),
    }
}
