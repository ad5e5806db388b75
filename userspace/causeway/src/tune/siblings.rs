//! Threads that share a physical core.

use super::finding::{Check, Finding, Remedy};
use super::isolation;
use super::scene::Scene;

const SIBLINGS: Check = Check {
    name: "smt-siblings",
    why: "two threads of one physical core share its cipher units and caches, so either is slower",
};

pub fn examine(scene: &Scene) -> Finding {
    let cores = scene.worker_cores();
    if cores.is_empty() {
        return SIBLINGS.not_applicable("no worker is pinned to a core");
    }
    if cores.iter().all(|core| scene.threads(core).is_empty()) {
        return SIBLINGS.unknown("the kernel does not tell which cores share a physical one");
    }
    let shared = cores
        .iter()
        .map(|core| scene.threads(core).common(&cores))
        .find(|threads| threads.len() > 1);
    if let Some(threads) = shared {
        return SIBLINGS.change(
            format!("the workers on {threads} share a physical core"),
            "a physical core for each worker",
            Remedy::by_hand("set core of one [[gateway.worker]] to a core that no other shares"),
        );
    }
    let spinning = scene.spinning_cores();
    let beside = scene.threads_of(&spinning).without(&spinning);
    let open = beside
        .common(&scene.online())
        .without(&isolation::isolated(scene));
    if open.is_empty() {
        return SIBLINGS.ok(format!(
            "nothing else runs on the physical cores of {cores}"
        ));
    }
    let commands = open
        .iter()
        .map(|core| format!("echo 0 > /sys/devices/system/cpu/cpu{core}/online"));
    SIBLINGS.change(
        format!("anything may run on {open}, beside the workers that spin"),
        format!("{open} isolated, or offline"),
        Remedy::ByHand(commands.collect()),
    )
}
