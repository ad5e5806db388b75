//! Threads that share a physical core.

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};
use super::isolation;

const SIBLINGS: Check = Check {
    name: "smt-siblings",
    why: "two threads of a physical core share its cipher units and caches, which makes both slower",
};

pub fn examine(env: &Environment) -> Finding {
    let cores = env.worker_cores();
    if cores.is_empty() {
        return SIBLINGS.not_applicable("no worker is pinned to a core");
    }
    if cores.iter().all(|core| env.siblings(core).is_empty()) {
        return SIBLINGS.unknown("the kernel does not report which threads share a physical core");
    }
    let shared = cores
        .iter()
        .map(|core| env.siblings(core).common(&cores))
        .find(|threads| threads.len() > 1);
    if let Some(threads) = shared {
        return SIBLINGS.change(
            format!("the workers on {threads} share a physical core"),
            "one physical core per worker",
            Remedy::by_hand(
                "set core of one [[gateway.worker]] to a core of another physical core",
            ),
        );
    }
    let spinning = env.spinning_cores();
    let siblings = env.siblings_of(&spinning).without(&spinning);
    let open = siblings
        .common(&env.online_cores())
        .without(&isolation::isolated(env));
    if open.is_empty() {
        return SIBLINGS.ok(format!(
            "no other task runs on the physical cores of {cores}"
        ));
    }
    let commands = open
        .iter()
        .map(|core| format!("echo 0 > /sys/devices/system/cpu/cpu{core}/online"));
    SIBLINGS.change(
        format!("other tasks may run on {open}, siblings of spinning workers' cores"),
        format!("{open} isolated, or offline"),
        Remedy::ByHand(commands.collect()),
    )
}
