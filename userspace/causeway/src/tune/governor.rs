//! The CPU frequency governor.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy, Setting};

const GOVERNOR: Check = Check {
    name: "cpu-governor",
    why: "a core whose frequency follows its load is slow at the start of a burst",
};
const RECOMMENDED: &str = "performance";

pub fn examine(env: &Environment) -> Finding {
    let folder = |core| format!("/sys/devices/system/cpu/cpu{core}/cpufreq");
    let cores = env.busy_cores();
    let governors: Vec<_> = cores
        .iter()
        .filter_map(|core| {
            let path = format!("{}/scaling_governor", folder(core));
            let governor = env.host.read(&path)?;
            Some((core, path, governor))
        })
        .collect();
    if governors.is_empty() {
        return GOVERNOR.not_applicable(if env.host.is_virtual() {
            "a virtual machine has no governor; its host sets the frequency"
        } else {
            "the kernel has no frequency driver for these cores"
        });
    }
    let others: Vec<_> = governors
        .into_iter()
        .filter(|(_, _, governor)| governor != RECOMMENDED)
        .collect();
    let Some((core, _, first)) = others.first() else {
        return GOVERNOR.ok(format!("{RECOMMENDED} on {cores}"));
    };
    let choice = env
        .host
        .read(&format!("{}/scaling_available_governors", folder(*core)));
    let offered =
        choice.is_none_or(|choice| choice.split_whitespace().any(|name| name == RECOMMENDED));
    if !offered {
        return GOVERNOR.unknown(format!(
            "{first}, and the driver does not offer {RECOMMENDED}"
        ));
    }
    let names: Vec<_> = others
        .iter()
        .map(|(core, _, governor)| format!("{governor} on {core}"))
        .collect();
    let settings = others.into_iter().map(|(_, path, before)| Setting {
        path,
        before,
        value: RECOMMENDED.to_owned(),
    });
    GOVERNOR.change(
        names.join(", "),
        format!("{RECOMMENDED} on {cores}"),
        Remedy::Writes(settings.collect()),
    )
}
