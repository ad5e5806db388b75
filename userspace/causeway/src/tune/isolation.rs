//! Cores that the kernel leaves to their workers.

use super::cmdline;
use super::cores::Cores;
use super::finding::{Check, Finding, Remedy};
use super::scene::Scene;

const SCHEDULER: Check = Check {
    name: "isolated-cores",
    why: "whatever the scheduler puts on a spinning worker's core stops it for milliseconds",
};
const TICK: Check = Check {
    name: "nohz-full",
    why: "the timer tick interrupts a spinning worker 100 to 1000 times a second",
};
const RCU: Check = Check {
    name: "rcu-nocbs",
    why: "RCU callbacks run on a spinning worker's core unless they are sent to others",
};

const TICKLESS: &str = "/sys/devices/system/cpu/nohz_full";

/// Cores that the scheduler leaves alone.
pub fn isolated(scene: &Scene) -> Cores {
    // By the command line, and by a cgroup's isolated partition.
    let files = [
        "/sys/devices/system/cpu/isolated",
        "/sys/fs/cgroup/cpuset.cpus.isolated",
    ];
    let texts = files.iter().filter_map(|file| scene.host.read(file));
    let sets = texts.filter_map(|text| Cores::parse(&text));
    sets.fold(Cores::default(), |all, some| all.with(&some))
}

pub fn scheduler(scene: &Scene) -> Finding {
    judge(scene, SCHEDULER, "isolcpus=managed_irq,domain,", || {
        Ok(isolated(scene))
    })
}

pub fn tick(scene: &Scene) -> Finding {
    if scene.host.read(TICKLESS).is_none() {
        return TICK.not_applicable("the kernel is built without CONFIG_NO_HZ_FULL");
    }
    judge(scene, TICK, "nohz_full=", || {
        let text = scene.host.read(TICKLESS).unwrap_or_default();
        Cores::parse(&text).ok_or("the kernel's list of cores is not as expected")
    })
}

pub fn rcu(scene: &Scene) -> Finding {
    judge(scene, RCU, "rcu_nocbs=", || {
        let text = scene.host.read("/proc/cmdline");
        let text = text.ok_or("the kernel's command line cannot be read")?;
        let told = match cmdline::value(&text, "rcu_nocbs") {
            None => Cores::default(),
            Some("all") => scene.online(),
            Some(list) => Cores::parse(list).ok_or("rcu_nocbs= has no list of cores")?,
        };
        // What is without a tick is without callbacks too.
        let tickless = scene.host.read(TICKLESS);
        let tickless = tickless
            .and_then(|text| Cores::parse(&text))
            .unwrap_or_default();
        Ok(told.with(&tickless))
    })
}

fn judge(
    scene: &Scene,
    check: Check,
    parameter: &str,
    free: impl FnOnce() -> Result<Cores, &'static str>,
) -> Finding {
    let spinning = scene.spinning_cores();
    if spinning.is_empty() {
        return check.not_applicable("no worker spins on a core of its own");
    }
    if scene.online().without(&spinning).is_empty() {
        return check
            .not_applicable("every core has a worker that spins; one must stay the kernel's");
    }
    let free = match free() {
        Ok(free) => free,
        Err(reason) => return check.unknown(reason),
    };
    if spinning.is_within(&free) {
        return check.ok(free.to_string());
    }
    let is = if free.is_empty() {
        "none".to_owned()
    } else {
        free.to_string()
    };
    let wanted = spinning.with(&free);
    check.change(
        is,
        wanted.to_string(),
        Remedy::ByHand(vec![
            format!(
                "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{parameter}{wanted} /' /etc/default/grub && \
                 update-grub"
            ),
            "reboot".to_owned(),
        ]),
    )
}
