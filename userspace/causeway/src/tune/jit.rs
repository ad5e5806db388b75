//! The kernel's BPF settings.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy, Setting};

const COMPILER: Check = Check {
    name: "bpf-jit",
    why: "an interpreted XDP program takes several times as long per packet",
};
const HARDENING: Check = Check {
    name: "bpf-jit-harden",
    why: "2 blinds the constants of root's programs too, which costs instructions per packet",
};
const STATISTICS: Check = Check {
    name: "bpf-stats",
    why: "statistics read the clock twice per run of a program",
};

pub fn compiler(env: &Environment) -> Finding {
    sysctl(env, COMPILER, "net/core/bpf_jit_enable", &["1", "2"])
}

pub fn hardening(env: &Environment) -> Finding {
    sysctl(env, HARDENING, "net/core/bpf_jit_harden", &["0", "1"])
}

pub fn statistics(env: &Environment) -> Finding {
    sysctl(env, STATISTICS, "kernel/bpf_stats_enabled", &["0"])
}

/// Values in `good` are as recommended; the first of them is the recommendation.
fn sysctl(env: &Environment, check: Check, name: &str, good: &[&str]) -> Finding {
    let path = format!("/proc/sys/{name}");
    let Some(before) = env.host.read(&path) else {
        return check.unknown(format!(
            "{path} cannot be read; only the initial network namespace has it"
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
