//! How the kernel runs BPF programs.

use super::finding::{Check, Finding, Remedy, Setting};
use super::scene::Scene;

const COMPILER: Check = Check {
    name: "bpf-jit",
    why: "an XDP program that is interpreted takes several times as long for each packet",
};
const HARDENING: Check = Check {
    name: "bpf-jit-harden",
    why: "2 blinds the constants of root's programs too, which costs instructions for each packet",
};
const STATISTICS: Check = Check {
    name: "bpf-stats",
    why: "statistics read the clock twice for each run of a program",
};

pub fn compiler(scene: &Scene) -> Finding {
    sysctl(scene, COMPILER, "net/core/bpf_jit_enable", &["1", "2"])
}

pub fn hardening(scene: &Scene) -> Finding {
    sysctl(scene, HARDENING, "net/core/bpf_jit_harden", &["0", "1"])
}

pub fn statistics(scene: &Scene) -> Finding {
    sysctl(scene, STATISTICS, "kernel/bpf_stats_enabled", &["0"])
}

/// Any of `good` is; the last is what should be.
fn sysctl(scene: &Scene, check: Check, name: &str, good: &[&str]) -> Finding {
    let path = format!("/proc/sys/{name}");
    let Some(before) = scene.host.read(&path) else {
        return check.unknown(format!(
            "{path} cannot be read; only the first network namespace has it"
        ));
    };
    if good.contains(&before.as_str()) {
        return check.ok(before);
    }
    let value = good[0].to_owned();
    let is = before.clone();
    let remedy = Remedy::Writes(vec![Setting {
        path,
        before,
        value: value.clone(),
    }]);
    check.change(is, value, remedy)
}
