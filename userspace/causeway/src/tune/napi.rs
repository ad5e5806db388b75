//! Delays of the kernel before it reads a NIC's packets.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy, Setting};

const DEFER: Check = Check {
    name: "napi-defer-hard-irqs",
    why: "deferred interrupts help only if a program polls the NIC, and workers do not",
};
const FLUSH: Check = Check {
    name: "gro-flush-timeout",
    why: "packets wait this long for more packets of their flow, and the kernel polls that late",
};

pub fn defer(env: &Environment) -> Finding {
    zero(env, DEFER, "napi_defer_hard_irqs", "")
}

pub fn flush(env: &Environment) -> Finding {
    zero(env, FLUSH, "gro_flush_timeout", " ns")
}

fn zero(env: &Environment, check: Check, file: &str, unit: &str) -> Finding {
    let Some(before) = env.nic_file(file) else {
        return check.unknown("/sys does not have it for this NIC");
    };
    if before == "0" {
        return check.ok(before);
    }
    let setting = Setting {
        path: env.nic_path(file),
        before: before.clone(),
        value: "0".to_owned(),
    };
    check.change(
        format!("{before}{unit}"),
        "0",
        Remedy::Writes(vec![setting]),
    )
}
