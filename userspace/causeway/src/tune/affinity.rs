//! The cores that serve the NIC's interrupts.

use std::collections::{BTreeMap, BTreeSet};

use super::cores::Cores;
use super::finding::{Check, Finding, Remedy, Setting};
use super::interrupts::{self, Interrupt};
use super::scene::Scene;

const INTERRUPTS: Check = Check {
    name: "irq-affinity",
    why: "the kernel's share of a packet is done where the queue's interrupt goes: beside the workers' \
          cores where there are others, and each queue's on one of its own",
};
const BALANCER: Check = Check {
    name: "irqbalance",
    why: "irqbalance moves interrupts every ten seconds, onto the workers' cores too",
};

pub fn interrupts(scene: &Scene) -> Finding {
    if !scene.shown() {
        return INTERRUPTS.unknown("/sys shows another network namespace");
    }
    let Some(table) = scene.host.read("/proc/interrupts") else {
        return INTERRUPTS.unknown("/proc/interrupts cannot be read");
    };
    let queues: Vec<Queue> = interrupts::parse(&table)
        .into_iter()
        .filter(|interrupt| is_of(scene, interrupt))
        .filter_map(|interrupt| Queue::read(scene, &interrupt))
        .collect();
    if queues.is_empty() {
        return INTERRUPTS.not_applicable("the NIC has no interrupts of its own");
    }
    let Some(seats) = Seats::of(scene, &queues) else {
        return INTERRUPTS.unknown("the kernel does not tell which cores there are");
    };
    let is = list(&queues, |queue| queue.goes.to_string());
    if seats.suit(&queues) {
        return INTERRUPTS.ok(is);
    }
    let should = list(&queues, |queue| seats.of_queue(queue.number).to_string());
    let settings = queues.into_iter().filter_map(|queue| {
        let value = seats.of_queue(queue.number).to_string();
        (queue.before != value).then_some(Setting {
            path: queue.path,
            before: queue.before,
            value,
        })
    });
    INTERRUPTS.change(is, should, Remedy::Writes(settings.collect()))
}

pub fn balancer(scene: &Scene) -> Finding {
    let mut processes = scene.host.names("/proc").into_iter();
    let runs = processes.any(|name| {
        name.bytes().all(|octet| octet.is_ascii_digit())
            && scene.host.read(&format!("/proc/{name}/comm")).as_deref() == Some("irqbalance")
    });
    if !runs {
        return BALANCER.ok("it does not run");
    }
    BALANCER.change(
        "it runs",
        "stopped",
        Remedy::by_hand("systemctl disable --now irqbalance"),
    )
}

/// An interrupt of a queue.
struct Queue {
    number: u32,
    interrupt: u32,
    path: String,
    /// Where it is allowed to go.
    before: String,
    /// Where it goes.
    goes: Cores,
}

impl Queue {
    fn read(scene: &Scene, interrupt: &Interrupt) -> Option<Self> {
        let folder = format!("/proc/irq/{}", interrupt.number);
        let path = format!("{folder}/smp_affinity_list");
        let before = scene.host.read(&path)?;
        let effective = scene
            .host
            .read(&format!("{folder}/effective_affinity_list"));
        let goes = effective.filter(|text| !text.is_empty());
        Some(Self {
            number: interrupt.queue()?,
            interrupt: interrupt.number,
            goes: Cores::parse(goes.as_ref().unwrap_or(&before))?,
            path,
            before,
        })
    }
}

/// Whether the NIC's driver asked for it: by the device's own list, else by its name.
fn is_of(scene: &Scene, interrupt: &Interrupt) -> bool {
    let number = interrupt.number.to_string();
    let lists = ["device/msi_irqs", "device/../msi_irqs"];
    if lists
        .iter()
        .any(|list| scene.host.names(&scene.nic_path(list)).contains(&number))
    {
        return true;
    }
    let device = scene.host.target(&scene.nic_path("device"));
    let names = [
        Some(scene.nic.name.clone()),
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

/// Which core serves which queue: in turn.
struct Seats {
    allowed: Cores,
    queues: BTreeSet<u32>,
}

impl Seats {
    fn of(scene: &Scene, queues: &[Queue]) -> Option<Self> {
        let (near, workers) = (scene.near(), scene.worker_cores());
        let threads = scene.threads_of(&workers);
        // Best beside the workers' physical cores, else beside their threads, else with them.
        let beside = near.without(&workers);
        let choices = [beside.without(&threads), beside, near];
        Some(Self {
            allowed: choices.into_iter().find(|cores| !cores.is_empty())?,
            queues: queues.iter().map(|queue| queue.number).collect(),
        })
    }

    fn of_queue(&self, number: u32) -> usize {
        let place = self.queues.range(..number).count() % self.allowed.len();
        self.allowed.iter().nth(place).unwrap_or_default()
    }

    /// Whether the queues go where they may, and are spread as evenly as can be.
    fn suit(&self, queues: &[Queue]) -> bool {
        let mut served: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for queue in queues {
            for core in queue.goes.iter() {
                served.entry(core).or_default().insert(queue.number);
            }
        }
        let most = self.queues.len().div_ceil(self.allowed.len());
        queues
            .iter()
            .all(|queue| queue.goes.is_within(&self.allowed))
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
