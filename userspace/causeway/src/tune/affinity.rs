//! The cores of the NIC's interrupts.

use std::collections::{BTreeMap, BTreeSet};

use super::cores::Cores;
use super::environment::Environment;
use super::finding::{Check, Finding, Remedy, Setting};
use super::interrupts::{self, Interrupt};

const INTERRUPTS: Check = Check {
    name: "irq-affinity",
    why: "the core of a queue's interrupt does the kernel's work for its packets, so it should not be a \
          worker's core, and queues should not share one",
};
const BALANCER: Check = Check {
    name: "irqbalance",
    why: "irqbalance moves interrupts every ten seconds, also to the workers' cores",
};

pub fn interrupts(env: &Environment) -> Finding {
    if !env.sysfs_shows_nic() {
        return INTERRUPTS.unknown("/sys belongs to another network namespace");
    }
    let Some(table) = env.host.read("/proc/interrupts") else {
        return INTERRUPTS.unknown("/proc/interrupts cannot be read");
    };
    let queues: Vec<Queue> = interrupts::parse(&table)
        .into_iter()
        .filter(|interrupt| is_of_nic(env, interrupt))
        .filter_map(|interrupt| Queue::read(env, &interrupt))
        .collect();
    if queues.is_empty() {
        return INTERRUPTS.not_applicable("the NIC has no interrupts");
    }
    let Some(assignment) = Assignment::new(env, &queues) else {
        return INTERRUPTS.unknown("the kernel does not report its cores");
    };
    let is = list(&queues, |queue| queue.effective.to_string());
    if assignment.accepts(&queues) {
        return INTERRUPTS.ok(is);
    }
    let should = list(&queues, |queue| {
        assignment.core_of(queue.number).to_string()
    });
    let settings = queues.into_iter().filter_map(|queue| {
        let value = assignment.core_of(queue.number).to_string();
        (queue.before != value).then_some(Setting {
            path: queue.path,
            before: queue.before,
            value,
        })
    });
    INTERRUPTS.change(is, should, Remedy::Writes(settings.collect()))
}

pub fn balancer(env: &Environment) -> Finding {
    let mut processes = env.host.names("/proc").into_iter();
    let runs = processes.any(|name| {
        name.bytes().all(|octet| octet.is_ascii_digit())
            && env.host.read(&format!("/proc/{name}/comm")).as_deref() == Some("irqbalance")
    });
    if !runs {
        return BALANCER.ok("not running");
    }
    BALANCER.change(
        "running",
        "stopped",
        Remedy::by_hand("systemctl disable --now irqbalance"),
    )
}

/// A queue and its interrupt.
struct Queue {
    number: u32,
    interrupt: u32,
    path: String,
    /// The cores that may serve the interrupt.
    before: String,
    /// The cores that serve the interrupt.
    effective: Cores,
}

impl Queue {
    fn read(env: &Environment, interrupt: &Interrupt) -> Option<Self> {
        let folder = format!("/proc/irq/{}", interrupt.number);
        let path = format!("{folder}/smp_affinity_list");
        let before = env.host.read(&path)?;
        let effective = env.host.read(&format!("{folder}/effective_affinity_list"));
        let effective = effective.filter(|text| !text.is_empty());
        Some(Self {
            number: interrupt.queue()?,
            interrupt: interrupt.number,
            effective: Cores::parse(effective.as_ref().unwrap_or(&before))?,
            path,
            before,
        })
    }
}

/// Whether the interrupt belongs to the NIC, by the device's list or by the interrupt's name.
fn is_of_nic(env: &Environment, interrupt: &Interrupt) -> bool {
    let number = interrupt.number.to_string();
    let lists = ["device/msi_irqs", "device/../msi_irqs"];
    if lists
        .iter()
        .any(|list| env.host.names(&env.nic_path(list)).contains(&number))
    {
        return true;
    }
    let device = env.host.target(&env.nic_path("device"));
    let names = [
        Some(env.nic.name.clone()),
        device.filter(|name| name.starts_with("virtio")),
    ];
    let is_named = |word: &str, name: &str| {
        word.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    interrupt
        .words
        .last()
        .is_some_and(|word| names.iter().flatten().any(|name| is_named(word, name)))
}

/// Recommended cores of the queues, round robin.
struct Assignment {
    allowed: Cores,
    queues: BTreeSet<u32>,
}

impl Assignment {
    fn new(env: &Environment, queues: &[Queue]) -> Option<Self> {
        let (near, workers) = (env.nic_cores(), env.worker_cores());
        let siblings = env.siblings_of(&workers);
        // First choice: no physical core of a worker. Then: no core of a worker. Then: any core.
        let others = near.without(&workers);
        let choices = [others.without(&siblings), others, near];
        Some(Self {
            allowed: choices.into_iter().find(|cores| !cores.is_empty())?,
            queues: queues.iter().map(|queue| queue.number).collect(),
        })
    }

    fn core_of(&self, number: u32) -> usize {
        let index = self.queues.range(..number).count() % self.allowed.len();
        self.allowed.iter().nth(index).unwrap_or_default()
    }

    /// Whether the queues use allowed cores only and are spread evenly.
    fn accepts(&self, queues: &[Queue]) -> bool {
        let mut served: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for queue in queues {
            for core in queue.effective.iter() {
                served.entry(core).or_default().insert(queue.number);
            }
        }
        let most = self.queues.len().div_ceil(self.allowed.len());
        queues
            .iter()
            .all(|queue| queue.effective.is_within(&self.allowed))
            && served.values().all(|queues| queues.len() <= most)
    }
}

fn list(queues: &[Queue], core: impl Fn(&Queue) -> String) -> String {
    let each = queues.iter().map(|queue| {
        format!(
            "queue {} (interrupt {}) on {}",
            queue.number,
            queue.interrupt,
            core(queue)
        )
    });
    each.collect::<Vec<_>>().join(", ")
}
