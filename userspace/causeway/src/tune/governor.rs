//! The governor of the cores' frequency.

use super::finding::{Check, Finding, Remedy, Setting};
use super::scene::Scene;

const GOVERNOR: Check = Check {
    name: "cpu-governor",
    why: "a core whose frequency follows its load is slow when a burst begins",
};
const WANTED: &str = "performance";

pub fn examine(scene: &Scene) -> Finding {
    let folder = |core| format!("/sys/devices/system/cpu/cpu{core}/cpufreq");
    let cores = scene.busy();
    let governors: Vec<_> = cores
        .iter()
        .filter_map(|core| {
            let path = format!("{}/scaling_governor", folder(core));
            let governor = scene.host.read(&path)?;
            Some((core, path, governor))
        })
        .collect();
    if governors.is_empty() {
        return GOVERNOR.not_applicable(if scene.host.is_virtual() {
            "a virtual machine has no governor; the frequency is its host's"
        } else {
            "the kernel has no driver for the frequency of these cores"
        });
    }
    let others: Vec<_> = governors
        .into_iter()
        .filter(|(_, _, governor)| governor != WANTED)
        .collect();
    let Some((core, _, first)) = others.first() else {
        return GOVERNOR.ok(format!("{WANTED} on {cores}"));
    };
    let choice = scene
        .host
        .read(&format!("{}/scaling_available_governors", folder(*core)));
    let offered = choice.is_none_or(|choice| choice.split_whitespace().any(|name| name == WANTED));
    if !offered {
        return GOVERNOR.unknown(format!("{first}, and the driver offers no {WANTED}"));
    }
    let names: Vec<_> = others
        .iter()
        .map(|(core, _, governor)| format!("{governor} on {core}"))
        .collect();
    let settings = others.into_iter().map(|(_, path, before)| Setting {
        path,
        before,
        value: WANTED.to_owned(),
    });
    GOVERNOR.change(
        names.join(", "),
        format!("{WANTED} on {cores}"),
        Remedy::Writes(settings.collect()),
    )
}
