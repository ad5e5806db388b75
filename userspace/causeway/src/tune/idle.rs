//! How deeply idle cores sleep.

use super::cores::Cores;
use super::finding::{Check, Finding, Remedy, Setting};
use super::scene::Scene;

const IDLE: Check = Check {
    name: "idle-states",
    why: "a worker that sleeps, or the interrupt that wakes it, is late by what its core takes to wake",
};
/// Microseconds: shallow states take 1 to 10, and from the next on it is 50 and more.
const LONGEST: u32 = 20;

pub fn examine(scene: &Scene) -> Finding {
    let cores = scene.busy().without(&scene.spinning_cores());
    if cores.is_empty() {
        return IDLE.ok("the workers spin, so their cores are never idle");
    }
    let mut states = 0;
    let mut deep: Vec<(usize, String, Setting)> = Vec::new();
    for core in cores.iter() {
        let folder = format!("/sys/devices/system/cpu/cpu{core}/cpuidle");
        for state in scene.host.names(&folder) {
            let read = |file| scene.host.read(&format!("{folder}/{state}/{file}"));
            let Some(latency) = read("latency").and_then(|text| text.parse::<u32>().ok()) else {
                continue;
            };
            states += 1;
            if latency > LONGEST && read("disable").as_deref() == Some("0") {
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
        return IDLE.not_applicable(if scene.host.is_virtual() {
            "a virtual machine has no idle states; they are its host's"
        } else {
            "the kernel has no driver for idle states"
        });
    }
    if deep.is_empty() {
        return IDLE.ok(format!(
            "none of {cores} takes more than {LONGEST} us to wake"
        ));
    }
    let asleep: Cores = deep.iter().map(|(core, ..)| *core).collect();
    let mut names: Vec<_> = deep.iter().map(|(_, name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    IDLE.change(
        format!("{} on {asleep}", names.join(", ")),
        format!("no state that takes more than {LONGEST} us to wake"),
        Remedy::Writes(deep.into_iter().map(|(.., setting)| setting).collect()),
    )
}
