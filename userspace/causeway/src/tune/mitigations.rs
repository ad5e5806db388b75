//! What the kernel does about the CPU's leaks.

use super::finding::{Check, Finding};
use super::scene::Scene;

const MITIGATIONS: Check = Check {
    name: "mitigations",
    why: "they make system calls and indirect jumps dearer; whether the host may do without is for its \
          owner to judge",
};
const FOLDER: &str = "/sys/devices/system/cpu/vulnerabilities";

pub fn examine(scene: &Scene) -> Finding {
    let names = scene.host.names(FOLDER);
    if names.is_empty() {
        return MITIGATIONS.unknown(format!("{FOLDER} cannot be read"));
    }
    let starting = |word: &str| {
        let texts = names.iter().filter_map(|name| {
            let text = scene.host.read(&format!("{FOLDER}/{name}"))?;
            text.starts_with(word).then_some(name.as_str())
        });
        let list: Vec<_> = texts.collect();
        if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(", ")
        }
    };
    MITIGATIONS.information(format!(
        "in force: {}; vulnerable: {}",
        starting("Mitigation"),
        starting("Vulnerable")
    ))
}
