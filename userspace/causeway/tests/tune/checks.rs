//! Each check: on the good host, and on one where its thing is wrong.

use causeway::tune::{Finding, Scene, Status, examine};
use causeway_routes::{Channels, Count, XdpFeatures};

use crate::tree::{Tree, found};

/// What is, what should be, and the commands.
#[track_caller]
fn change(scene: &Scene, name: &str) -> (String, String, Vec<String>) {
    let finding = found(scene, name);
    assert_eq!(finding.status, Status::Change, "{finding:?}");
    (
        finding.is,
        finding.should.unwrap(),
        finding.remedy.commands(),
    )
}

#[track_caller]
fn status(scene: &Scene, name: &str, wanted: Status) -> Finding {
    let finding = found(scene, name);
    assert_eq!(finding.status, wanted, "{finding:?}");
    finding
}

#[test]
fn a_good_host_has_nothing_to_change() {
    let tree = Tree::good();
    for finding in examine(&tree.scene()) {
        let fine = [Status::Ok, Status::NotApplicable, Status::Information];
        assert!(fine.contains(&finding.status), "{finding:?}");
    }
}

#[test]
fn names_are_unique_and_reasons_are_one_sentence() {
    let findings = examine(&Tree::good().scene());
    let mut names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), findings.len());
    assert!(
        findings
            .iter()
            .all(|finding| !finding.why.contains(['.', '\n']))
    );
}

#[test]
fn the_governor_of_the_workers_cores_alone_counts() {
    let tree = Tree::good();
    let governor = |core| format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
    tree.file(&governor(0), "powersave\n");
    status(&tree.scene(), "cpu-governor", Status::Ok);
    tree.file(&governor(3), "powersave\n");
    let (is, should, commands) = change(&tree.scene(), "cpu-governor");
    assert_eq!(
        (is.as_str(), should.as_str()),
        ("powersave on 3", "performance on 2-3")
    );
    assert_eq!(commands, [format!("echo performance > {}", governor(3))]);
    // Where no worker is pinned, any core may carry packets.
    let mut scene = tree.scene();
    scene.workers.clear();
    assert_eq!(
        change(&scene, "cpu-governor").0,
        "powersave on 0, powersave on 3"
    );
    for core in 2..4 {
        tree.file(
            &format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_available_governors"),
            "schedutil",
        );
    }
    status(&tree.scene(), "cpu-governor", Status::Unknown);
    for core in 0..4 {
        tree.remove(&governor(core));
    }
    let none = status(&tree.scene(), "cpu-governor", Status::NotApplicable);
    assert!(none.is.contains("no driver"), "{none:?}");
    tree.file(
        "/proc/cpuinfo",
        "processor : 0\nflags : fpu hypervisor vme\n",
    );
    let none = status(&tree.scene(), "cpu-governor", Status::NotApplicable);
    assert!(none.is.contains("virtual machine"), "{none:?}");
}

#[test]
fn deep_sleep_matters_to_workers_that_sleep() {
    let tree = Tree::good();
    let disable = "/sys/devices/system/cpu/cpu2/cpuidle/state2/disable";
    tree.file(disable, "0\n");
    let (is, _, commands) = change(&tree.scene(), "idle-states");
    assert_eq!(is, "C6 (133 us) on 2");
    assert_eq!(commands, [format!("echo 1 > {disable}")]);
    status(&tree.spinning(), "idle-states", Status::Ok);
}

#[test]
fn a_slow_clock_is_named_with_a_better_one() {
    let tree = Tree::good();
    let file = |name| format!("/sys/devices/system/clocksource/clocksource0/{name}_clocksource");
    tree.file(&file("current"), "hpet\n");
    let (is, should, commands) = change(&tree.scene(), "clocksource");
    assert_eq!((is.as_str(), should.as_str()), ("hpet", "tsc"));
    assert_eq!(commands, [format!("echo tsc > {}", file("current"))]);
    tree.file(&file("available"), "hpet acpi_pm\n");
    status(&tree.scene(), "clocksource", Status::Unknown);
}

#[test]
fn threads_of_one_core_are_not_for_two_workers() {
    let tree = Tree::good();
    let threads = |core: usize, list: &str| {
        tree.file(
            &format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"),
            list,
        );
    };
    for core in [0, 2] {
        threads(core, "0,2\n");
    }
    status(&tree.scene(), "smt-siblings", Status::Ok);
    let (is, _, commands) = change(&tree.spinning(), "smt-siblings");
    assert!(is.contains("on 0,"), "{is}");
    assert_eq!(commands, ["echo 0 > /sys/devices/system/cpu/cpu0/online"]);
    tree.file("/sys/devices/system/cpu/isolated", "0,2-3\n");
    status(&tree.spinning(), "smt-siblings", Status::Ok);
    for core in [2, 3] {
        threads(core, "2-3\n");
    }
    assert_eq!(
        change(&tree.scene(), "smt-siblings").0,
        "the workers on 2-3 share a physical core"
    );
}

#[test]
fn workers_belong_to_the_node_of_the_nic() {
    let tree = Tree::good();
    status(&tree.scene(), "numa-node", Status::NotApplicable);
    tree.file("/sys/devices/system/node/node0/cpulist", "0,2\n");
    tree.file("/sys/devices/system/node/node1/cpulist", "1,3\n");
    let (is, should, _) = change(&tree.scene(), "numa-node");
    assert!(
        is.contains("workers on 3") && should.contains("0,2"),
        "{is}: {should}"
    );
    tree.file("/sys/class/net/eth0/device/numa_node", "-1\n");
    status(&tree.scene(), "numa-node", Status::Unknown);
}

#[test]
fn cores_are_isolated_for_workers_that_spin() {
    let tree = Tree::good();
    let names = ["isolated-cores", "nohz-full", "rcu-nocbs"];
    for name in names {
        status(&tree.scene(), name, Status::NotApplicable);
        let (is, should, commands) = change(&tree.spinning(), name);
        assert_eq!((is.as_str(), should.as_str()), ("none", "2-3"), "{name}");
        assert!(
            commands[0].contains("=") && commands[0].contains("2-3 "),
            "{commands:?}"
        );
    }
    tree.file("/sys/devices/system/cpu/isolated", "3\n");
    tree.file("/sys/fs/cgroup/cpuset.cpus.isolated", "2\n");
    tree.file("/sys/devices/system/cpu/nohz_full", "2\n");
    tree.file("/proc/cmdline", "rcu_nocbs=3 quiet\n");
    status(&tree.spinning(), "isolated-cores", Status::Ok);
    status(&tree.spinning(), "rcu-nocbs", Status::Ok);
    assert_eq!(change(&tree.spinning(), "nohz-full").0, "2");
    tree.file("/sys/devices/system/cpu/online", "2-3\n");
    for name in names {
        status(&tree.spinning(), name, Status::NotApplicable);
    }
    tree.remove("/sys/devices/system/cpu/nohz_full");
    status(&tree.spinning(), "nohz-full", Status::NotApplicable);
}

#[test]
fn interrupts_go_beside_the_workers_and_are_spread() {
    let tree = Tree::good();
    let affinity = |interrupt| format!("/proc/irq/{interrupt}/smp_affinity_list");
    tree.file(&affinity(41), "3\n");
    let (is, should, commands) = change(&tree.scene(), "irq-affinity");
    assert_eq!(
        is,
        "queue 0 (interrupt 40) on 0, queue 1 (interrupt 41) on 3"
    );
    assert_eq!(
        should,
        "queue 0 (interrupt 40) on 0, queue 1 (interrupt 41) on 1"
    );
    assert_eq!(commands, [format!("echo 1 > {}", affinity(41))]);
    // Both on one core, while another serves none.
    tree.file(&affinity(41), "0\n");
    assert_eq!(change(&tree.scene(), "irq-affinity").2.len(), 1);
    // It may go to a worker's core and does not: then all is well.
    tree.file(&affinity(41), "0-3\n");
    tree.file("/proc/irq/41/effective_affinity_list", "1\n");
    status(&tree.scene(), "irq-affinity", Status::Ok);
}

#[test]
fn interrupts_share_the_cores_where_workers_have_them_all() {
    let tree = Tree::good();
    tree.file("/sys/devices/system/cpu/online", "2-3\n");
    tree.file("/sys/devices/system/node/node0/cpulist", "2-3\n");
    let (_, should, _) = change(&tree.scene(), "irq-affinity");
    assert_eq!(
        should,
        "queue 0 (interrupt 40) on 2, queue 1 (interrupt 41) on 3"
    );
}

#[test]
fn interrupts_are_known_by_the_device_too() {
    let tree = Tree::good();
    tree.file("/proc/interrupts", "CPU0 CPU1 CPU2 CPU3\n40: 0 0 0 0 PCI 0-edge virtio2-input.0\n50: 0 0 0 0 PCI 1-edge comp1@pci:0000:03:00.0\n");
    status(&tree.scene(), "irq-affinity", Status::NotApplicable);
    tree.file("/sys/class/net/eth0/device/msi_irqs/50", "msix\n");
    assert_eq!(
        change(&tree.scene(), "irq-affinity").0,
        "queue 1 (interrupt 50) on 2-3"
    );
    // A virtio device, whose PCI device stands one level higher.
    let tree = Tree::good();
    tree.file("/sys/devices/pci/msi_irqs/41", "msix\n");
    tree.file("/sys/devices/pci/virtio2/numa_node", "0\n");
    std::fs::remove_dir_all(tree.place("/sys/class/net/eth0/device")).unwrap();
    tree.link("/sys/class/net/eth0/device", "../../../devices/pci/virtio2");
    tree.file("/proc/interrupts", "CPU0 CPU1 CPU2 CPU3\n40: 0 0 0 0 PCI 0-edge virtio2-input.0\n41: 0 0 0 0 PCI 1-edge other-1\n50: 0 0 0 0 PCI 0-edge virtio20-input.0\n");
    let ok = status(&tree.scene(), "irq-affinity", Status::Ok);
    assert_eq!(
        ok.is,
        "queue 0 (interrupt 40) on 0, queue 1 (interrupt 41) on 1"
    );
}

#[test]
fn irqbalance_is_seen_while_it_runs() {
    let tree = Tree::good();
    tree.file("/proc/4711/comm", "irqbalance\n");
    assert_eq!(
        change(&tree.scene(), "irqbalance").2,
        ["systemctl disable --now irqbalance"]
    );
}

#[test]
fn queues_are_one_a_worker_at_least_and_one_a_core_at_most() {
    let tree = Tree::good();
    let with = |current: u32, most: u32, workers: usize| {
        let mut scene = tree.scene();
        scene.workers.truncate(workers);
        scene.nic.rx_queues = current;
        let channels = scene.nic.hardware.channels.as_mut().unwrap();
        channels.combined = Count { current, most };
        scene
    };
    for (current, most, workers) in [
        (2, 8, 2),
        (3, 8, 2),
        (4, 8, 2),
        (4, 8, 0),
        (1, 1, 2),
        (1, 1, 0),
    ] {
        status(&with(current, most, workers), "queues", Status::Ok);
    }
    for (current, most, workers, wanted) in [(1, 8, 2, 2), (8, 8, 2, 4), (1, 8, 0, 4), (2, 3, 0, 3)]
    {
        let commands = change(&with(current, most, workers), "queues").2;
        assert_eq!(commands, [format!("ethtool -L eth0 combined {wanted}")]);
    }
    // A veth has no combined ones.
    let mut scene = with(1, 0, 2);
    scene.nic.hardware.channels = Some(Channels {
        rx: Count {
            current: 1,
            most: 2,
        },
        tx: Count {
            current: 1,
            most: 4,
        },
        ..Channels::default()
    });
    assert_eq!(change(&scene, "queues").2, ["ethtool -L eth0 rx 2 tx 2"]);
    scene.nic.hardware.channels = None;
    status(&scene, "queues", Status::Unknown);
    // ENA needs as many again for what XDP sends.
    tree.link("/sys/class/net/eth0/device/driver", "../../drivers/ena");
    assert_eq!(change(&with(4, 4, 2), "queues").1, "2");
}

#[test]
fn rings_are_as_deep_as_the_workers_own() {
    let tree = Tree::good();
    let mut scene = tree.scene();
    let rings = scene.nic.hardware.rings.as_mut().unwrap();
    rings.rx = Count {
        current: 512,
        most: 1024,
    };
    assert_eq!(
        change(&scene, "nic-rings").2,
        ["ethtool -G eth0 rx 1024 tx 2048"]
    );
    scene.nic.hardware.rings = None;
    status(&scene, "nic-rings", Status::NotApplicable);
}

#[test]
fn nothing_keeps_packets_waiting() {
    let tree = Tree::good();
    for (name, file) in [
        ("napi-defer-hard-irqs", "napi_defer_hard_irqs"),
        ("gro-flush-timeout", "gro_flush_timeout"),
    ] {
        let path = format!("/sys/class/net/eth0/{file}");
        tree.file(&path, "20000\n");
        assert_eq!(change(&tree.scene(), name).2, [format!("echo 0 > {path}")]);
    }
    // Another namespace's NIC of the same name is not ours to judge.
    tree.file("/sys/class/net/eth0/ifindex", "8\n");
    for name in ["napi-defer-hard-irqs", "gro-flush-timeout", "irq-affinity"] {
        status(&tree.scene(), name, Status::Unknown);
    }
}

#[test]
fn offloads_that_hide_packets_are_named() {
    let tree = Tree::good();
    for (name, offload) in [
        ("lro", "rx-lro"),
        ("hardware-gro", "rx-gro-hw"),
        ("rx-vlan-offload", "rx-vlan-hw-parse"),
    ] {
        let mut scene = tree.scene();
        let offloads = &mut scene.nic.hardware.offloads;
        let place = offloads.iter().position(|one| one.name == offload).unwrap();
        offloads[place].on = true;
        assert_eq!(
            change(&scene, name).2,
            [format!("ethtool -K eth0 {offload} off")]
        );
        scene.nic.hardware.offloads[place].fixed = true;
        status(&scene, name, Status::Unknown);
        scene.nic.hardware.offloads.remove(place);
        status(&scene, name, Status::Ok);
        scene.nic.hardware.offloads.clear();
        status(&scene, name, Status::Unknown);
    }
}

#[test]
fn the_mtu_lies_between_the_tunnels_need_and_a_page() {
    let tree = Tree::good();
    for (mtu, wanted) in [(640, 641), (9001, 3498)] {
        let mut scene = tree.scene();
        scene.nic.mtu = mtu;
        assert_eq!(
            change(&scene, "mtu").2,
            [format!("ip link set dev eth0 mtu {wanted}")]
        );
    }
}

#[test]
fn the_program_runs_in_the_driver_where_it_can() {
    let tree = Tree::good();
    let with = |change: fn(&mut XdpFeatures)| {
        let mut scene = tree.scene();
        change(scene.nic.hardware.xdp.as_mut().unwrap());
        scene
    };
    status(
        &with(|xdp| xdp.native = false),
        "xdp-mode",
        Status::Information,
    );
    status(
        &with(|xdp| xdp.redirect = false),
        "xdp-mode",
        Status::Information,
    );
    status(
        &with(|xdp| xdp.zero_copy = false),
        "zero-copy",
        Status::Information,
    );
    let mut scene = tree.scene();
    scene.nic.generic_xdp = true;
    assert_eq!(
        change(&scene, "xdp-mode").2,
        ["set mode = \"auto\" in [nic]"]
    );
    scene.nic.hardware.xdp = None;
    status(&scene, "xdp-mode", Status::Unknown);
    status(&scene, "zero-copy", Status::Unknown);
    scene.workers.clear();
    status(&scene, "zero-copy", Status::NotApplicable);
}

#[test]
fn locked_memory_is_counted_for_workers() {
    let tree = Tree::good();
    let mut scene = tree.scene();
    scene.lockable = Some(100 << 20);
    status(&scene, "memlock", Status::Ok);
    scene.lockable = Some((100 << 20) - 1);
    assert!(change(&scene, "memlock").1.starts_with("100 MiB"));
    scene.workers.clear();
    status(&scene, "memlock", Status::NotApplicable);
}

#[test]
fn packet_buffers_have_huge_pages_enough() {
    let tree = Tree::good();
    let path = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    tree.file(path, "49\n");
    let (is, should, commands) = change(&tree.scene(), "huge-pages");
    assert_eq!((is.as_str(), should.as_str()), ("49 reserved", "50"));
    assert_eq!(commands, [format!("echo 50 > {path}")]);
    tree.file(path, "many\n");
    status(&tree.scene(), "huge-pages", Status::Unknown);
    tree.remove(path);
    status(&tree.scene(), "huge-pages", Status::NotApplicable);
    let mut scene = tree.scene();
    scene.workers.clear();
    status(&scene, "huge-pages", Status::NotApplicable);
}

#[test]
fn the_kernels_bpf_is_compiled_plain_and_uncounted() {
    let tree = Tree::good();
    for (name, file, bad, good) in [
        ("bpf-jit", "net/core/bpf_jit_enable", "0", "1"),
        ("bpf-jit-harden", "net/core/bpf_jit_harden", "2", "0"),
        ("bpf-stats", "kernel/bpf_stats_enabled", "1", "0"),
    ] {
        let path = format!("/proc/sys/{file}");
        tree.file(&path, bad);
        assert_eq!(
            change(&tree.scene(), name).2,
            [format!("echo {good} > {path}")]
        );
        tree.remove(&path);
        status(&tree.scene(), name, Status::Unknown);
    }
}

#[test]
fn mitigations_are_told_and_not_judged() {
    let told = status(&Tree::good().scene(), "mitigations", Status::Information);
    assert_eq!(told.is, "in force: spectre_v2; vulnerable: none");
}
