//! What `--apply` writes.

use causeway::tune::apply::apply;
use causeway::tune::{Status, examine};

use crate::tree::{Tree, found};

/// A host on which all that is safe to change is wrong.
fn bad() -> Tree {
    let tree = Tree::good();
    tree.file(
        "/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor",
        "powersave\n",
    );
    tree.file("/sys/devices/system/cpu/cpu3/cpuidle/state2/disable", "0\n");
    tree.file("/proc/irq/40/smp_affinity_list", "2-3\n");
    tree.file("/proc/irq/41/smp_affinity_list", "0-3\n");
    tree.file("/proc/sys/net/core/bpf_jit_enable", "0\n");
    tree.file("/proc/sys/net/core/bpf_jit_harden", "2\n");
    tree.file("/proc/sys/kernel/bpf_stats_enabled", "1\n");
    tree.file("/sys/class/net/eth0/napi_defer_hard_irqs", "2\n");
    tree.file("/sys/class/net/eth0/gro_flush_timeout", "200000\n");
    tree
}

#[test]
fn it_mends_what_is_safe_and_then_has_nothing_to_do() {
    let tree = bad();
    let scene = tree.scene();
    let before = examine(&scene);
    let applied = apply(&scene.host, &before);
    assert_eq!(applied.len(), 9, "{applied:?}");
    for change in &applied {
        assert_eq!(change.error, None, "{change:?}");
        assert_eq!(tree.read(&change.path), change.wanted);
        assert_ne!(change.before, change.after);
    }
    for finding in examine(&scene) {
        assert_ne!(finding.status, Status::Change, "{finding:?}");
    }
    assert_eq!(apply(&scene.host, &examine(&scene)), []);
}

#[test]
fn the_undo_commands_take_it_back() {
    let tree = bad();
    let scene = tree.scene();
    let before = examine(&scene);
    for change in apply(&scene.host, &before).iter().rev() {
        // As a shell would.
        let undo = change.undo.as_deref().unwrap();
        let (value, path) = undo
            .strip_prefix("echo ")
            .unwrap()
            .split_once(" > ")
            .unwrap();
        scene.host.write(path, value).unwrap();
    }
    assert_eq!(examine(&scene), before);
}

#[test]
fn what_resets_the_nic_or_needs_a_restart_is_left_to_a_person() {
    let tree = Tree::good();
    tree.file("/proc/4711/comm", "irqbalance\n");
    tree.file(
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "hpet\n",
    );
    let mut scene = tree.spinning();
    scene.nic.mtu = 9001;
    scene.nic.rx_queues = 1;
    scene.nic.hardware.offloads[0].on = true;
    let rings = scene.nic.hardware.rings.as_mut().unwrap();
    rings.rx.current = 64;
    let findings = examine(&scene);
    let changes = findings.iter().filter(|one| one.status == Status::Change);
    assert_eq!(changes.count(), 9);
    assert_eq!(apply(&scene.host, &findings), []);
    assert_eq!(
        tree.read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "hpet"
    );
}

#[test]
fn a_setting_that_the_kernel_refuses_is_told() {
    let tree = bad();
    let scene = tree.scene();
    let findings = examine(&scene);
    tree.remove("/proc/sys/net/core/bpf_jit_enable");
    let applied = apply(&scene.host, &findings);
    let (failed, rest): (Vec<_>, Vec<_>) = applied.iter().partition(|one| one.error.is_some());
    assert_eq!((failed.len(), rest.len()), (1, 8));
    assert_eq!(failed[0].name, "bpf-jit");
    assert!(
        failed[0].error.as_ref().unwrap().contains("No such file"),
        "{failed:?}"
    );
    assert_eq!(found(&scene, "irq-affinity").status, Status::Ok);
}
