//! The idle states of cores.

use super::cores::Cores;
use super::environment::Environment;
use super::finding::{Check, Finding, Remedy, Setting};

const IDLE: Check = Check {
    name: "idle-states",
    why: "a deep idle state delays a sleeping worker, and the interrupt that wakes it, by its exit latency",
};
/// In microseconds. Shallow states have an exit latency of 1 to 10, deep states of 50 and more.
const MAX_LATENCY: u32 = 20;

pub fn examine(env: &Environment) -> Finding {
    let cores = env.busy_cores().without(&env.spinning_cores());
    if cores.is_empty() {
        return IDLE.ok("the workers spin, so their cores are never idle");
    }
    let mut states = 0;
    let mut deep: Vec<(usize, String, Setting)> = Vec::new();
    for core in cores.iter() {
        let folder = format!("/sys/devices/system/cpu/cpu{core}/cpuidle");
        for state in env.host.names(&folder) {
            let read = |file| env.host.read(&format!("{folder}/{state}/{file}"));
            let Some(latency) = read("latency").and_then(|text| text.parse::<u32>().ok()) else {
                continue;
            };
            states += 1;
            if latency > MAX_LATENCY && read("disable").as_deref() == Some("0") {
                let name = read("name").unwrap_or_else(|| state.clone());
                let setting = Setting {
                    path: format!("{folder}/{state}/disable"),
                    before: "0".to_owned(),
                    value: "1".to_owned(),
                };
                deep.push((core, format!("{name} ({latency} us)"), setting));
            }
        }
    }
    if states == 0 {
        return IDLE.not_applicable(if env.host.is_virtual() {
            "a virtual machine has no idle states; its host has them"
        } else {
            "the kernel has no driver for idle states"
        });
    }
    if deep.is_empty() {
        return IDLE.ok(format!(
            "none of {cores} takes more than {MAX_LATENCY} us to wake"
        ));
    }
    let asleep: Cores = deep.iter().map(|(core, ..)| *core).collect();
    let mut names: Vec<_> = deep.iter().map(|(_, name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    IDLE.change(
        format!("{} on {asleep}", names.join(", ")),
        format!("no state that takes more than {MAX_LATENCY} us to wake"),
        Remedy::Writes(deep.into_iter().map(|(.., setting)| setting).collect()),
    )
}
