//! The settings that `--apply` writes.

use causeway::tune::apply::apply;
use causeway::tune::{Status, examine};

use crate::fake_host::{FakeHost, found};

/// A host on which every setting of `--apply` should change.
fn bad() -> FakeHost {
    let host = FakeHost::good();
    host.file(
        "/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor",
        "powersave\n",
    );
    host.file("/sys/devices/system/cpu/cpu3/cpuidle/state2/disable", "0\n");
    host.file("/proc/irq/40/smp_affinity_list", "2-3\n");
    host.file("/proc/irq/41/smp_affinity_list", "0-3\n");
    host.file("/proc/sys/net/core/bpf_jit_enable", "0\n");
    host.file("/proc/sys/net/core/bpf_jit_harden", "2\n");
    host.file("/proc/sys/kernel/bpf_stats_enabled", "1\n");
    host.file("/sys/class/net/eth0/napi_defer_hard_irqs", "2\n");
    host.file("/sys/class/net/eth0/gro_flush_timeout", "200000\n");
    host
}

#[test]
fn apply_makes_every_safe_change_and_then_has_nothing_to_do() {
    let host = bad();
    let env = host.environment();
    let before = examine(&env);
    let applied = apply(&env.host, &before);
    assert_eq!(applied.len(), 9, "{applied:?}");
    for change in &applied {
        assert_eq!(change.error, None, "{change:?}");
        assert_eq!(host.read(&change.path), change.wanted);
        assert_ne!(change.before, change.after);
    }
    for finding in examine(&env) {
        assert_ne!(finding.status, Status::Change, "{finding:?}");
    }
    assert_eq!(apply(&env.host, &examine(&env)), []);
}

#[test]
fn the_undo_commands_restore_the_values() {
    let host = bad();
    let env = host.environment();
    let before = examine(&env);
    for change in apply(&env.host, &before).iter().rev() {
        // As a shell runs the command.
        let undo = change.undo.as_deref().unwrap();
        let (value, path) = undo
            .strip_prefix("echo ")
            .unwrap()
            .split_once(" > ")
            .unwrap();
        env.host.write(path, value).unwrap();
    }
    assert_eq!(examine(&env), before);
}

#[test]
fn changes_that_reset_the_nic_or_need_a_restart_are_not_made() {
    let host = FakeHost::good();
    host.file("/proc/4711/comm", "irqbalance\n");
    host.file(
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "hpet\n",
    );
    let mut env = host.spinning();
    env.nic.mtu = 9001;
    env.nic.rx_queues = 1;
    env.nic.hardware.offloads[0].on = true;
    let rings = env.nic.hardware.rings.as_mut().unwrap();
    rings.rx.current = 64;
    let findings = examine(&env);
    let changes = findings.iter().filter(|one| one.status == Status::Change);
    assert_eq!(changes.count(), 9);
    assert_eq!(apply(&env.host, &findings), []);
    assert_eq!(
        host.read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "hpet"
    );
}

#[test]
fn a_setting_that_the_kernel_refuses_is_reported() {
    let host = bad();
    let env = host.environment();
    let findings = examine(&env);
    host.remove("/proc/sys/net/core/bpf_jit_enable");
    let applied = apply(&env.host, &findings);
    let (failed, rest): (Vec<_>, Vec<_>) = applied.iter().partition(|one| one.error.is_some());
    assert_eq!((failed.len(), rest.len()), (1, 8));
    assert_eq!(failed[0].name, "bpf-jit");
    assert!(
        failed[0].error.as_ref().unwrap().contains("No such file"),
        "{failed:?}"
    );
    assert_eq!(found(&env, "irq-affinity").status, Status::Ok);
}
