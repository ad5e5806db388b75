//! How long the kernel lets a NIC's packets wait.

use super::finding::{Check, Finding, Remedy, Setting};
use super::scene::Scene;

const DEFER: Check = Check {
    name: "napi-defer-hard-irqs",
    why: "interrupts put off pay only where somebody polls the NIC instead; the workers do not",
};
const FLUSH: Check = Check {
    name: "gro-flush-timeout",
    why: "packets wait so long for others of their flow, and the kernel polls that late",
};

pub fn defer(scene: &Scene) -> Finding {
    zero(scene, DEFER, "napi_defer_hard_irqs", "")
}

pub fn flush(scene: &Scene) -> Finding {
    zero(scene, FLUSH, "gro_flush_timeout", " ns")
}

fn zero(scene: &Scene, check: Check, file: &str, unit: &str) -> Finding {
    let Some(before) = scene.nic_file(file) else {
        return check.unknown("/sys does not show it for this NIC");
    };
    if before == "0" {
        return check.ok(before);
    }
    let setting = Setting {
        path: scene.nic_path(file),
        before: before.clone(),
        value: "0".to_owned(),
    };
    check.change(
        format!("{before}{unit}"),
        "0",
        Remedy::Writes(vec![setting]),
    )
}
