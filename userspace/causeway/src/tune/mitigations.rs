//! Mitigations of CPU vulnerabilities.

use super::environment::Environment;
use super::finding::{Check, Finding};

const MITIGATIONS: Check = Check {
    name: "mitigations",
    why: "mitigations make system calls and indirect jumps slower, and the operator decides whether the \
          host needs them",
};
const FOLDER: &str = "/sys/devices/system/cpu/vulnerabilities";

pub fn examine(env: &Environment) -> Finding {
    let names = env.host.names(FOLDER);
    if names.is_empty() {
        return MITIGATIONS.unknown(format!("{FOLDER} cannot be read"));
    }
    let starting_with = |prefix: &str| {
        let texts = names.iter().filter_map(|name| {
            let text = env.host.read(&format!("{FOLDER}/{name}"))?;
            text.starts_with(prefix).then_some(name.as_str())
        });
        let list: Vec<_> = texts.collect();
        if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(", ")
        }
    };
    MITIGATIONS.information(format!(
        "active for: {}; vulnerable: {}",
        starting_with("Mitigation"),
        starting_with("Vulnerable")
    ))
}
