//! Cores without the kernel's own work.

use super::cmdline;
use super::cores::Cores;
use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};

const SCHEDULER: Check = Check {
    name: "isolated-cores",
    why: "another task on a spinning worker's core stops the worker for milliseconds",
};
const TICK: Check = Check {
    name: "nohz-full",
    why: "the timer tick interrupts a spinning worker 100 to 1000 times a second",
};
const RCU: Check = Check {
    name: "rcu-nocbs",
    why: "RCU callbacks run on a spinning worker's core unless they are offloaded to other cores",
};

const TICKLESS: &str = "/sys/devices/system/cpu/nohz_full";

/// Cores on which the scheduler places no tasks.
pub fn isolated(env: &Environment) -> Cores {
    // From the command line, and from isolated partitions of cgroups.
    let files = [
        "/sys/devices/system/cpu/isolated",
        "/sys/fs/cgroup/cpuset.cpus.isolated",
    ];
    let texts = files.iter().filter_map(|file| env.host.read(file));
    let sets = texts.filter_map(|text| Cores::parse(&text));
    sets.fold(Cores::default(), |all, some| all.with(&some))
}

pub fn scheduler(env: &Environment) -> Finding {
    compare(env, SCHEDULER, "isolcpus=managed_irq,domain,", || {
        Ok(isolated(env))
    })
}

pub fn tick(env: &Environment) -> Finding {
    if env.host.read(TICKLESS).is_none() {
        return TICK.not_applicable("the kernel is built without CONFIG_NO_HZ_FULL");
    }
    compare(env, TICK, "nohz_full=", || {
        let text = env.host.read(TICKLESS).unwrap_or_default();
        Cores::parse(&text).ok_or("the kernel's list of cores is malformed")
    })
}

pub fn rcu(env: &Environment) -> Finding {
    compare(env, RCU, "rcu_nocbs=", || {
        let text = env.host.read("/proc/cmdline");
        let text = text.ok_or("the kernel's command line cannot be read")?;
        let listed = match cmdline::value(&text, "rcu_nocbs") {
            None => Cores::default(),
            Some("all") => env.online_cores(),
            Some(list) => Cores::parse(list).ok_or("expected a list of cores in rcu_nocbs=")?,
        };
        // nohz_full implies rcu_nocbs.
        let tickless = env.host.read(TICKLESS);
        let tickless = tickless
            .and_then(|text| Cores::parse(&text))
            .unwrap_or_default();
        Ok(listed.with(&tickless))
    })
}

fn compare(
    env: &Environment,
    check: Check,
    parameter: &str,
    free: impl FnOnce() -> Result<Cores, &'static str>,
) -> Finding {
    let spinning = env.spinning_cores();
    if spinning.is_empty() {
        return check.not_applicable("no worker spins on a pinned core");
    }
    if env.online_cores().without(&spinning).is_empty() {
        return check.not_applicable("every core has a spinning worker; the kernel needs one core");
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
