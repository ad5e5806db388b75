//! The kernel's clock source.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};

const CLOCK: Check = Check {
    name: "clocksource",
    why: "workers read the clock for each burst, and some clock sources need a system call for it",
};
const FOLDER: &str = "/sys/devices/system/clocksource/clocksource0";
const READ_IN_USERSPACE: [&str; 4] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
];

pub fn examine(env: &Environment) -> Finding {
    let read = |file| env.host.read(&format!("{FOLDER}/{file}"));
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
            "{current}, and the kernel offers no better one; dmesg | grep -i tsc shows why"
        )),
    }
}
