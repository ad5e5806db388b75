//! Each check, on a host as recommended and on a host with one wrong setting.

use causeway::tune::{Environment, Finding, Status, examine};
use causeway_routes::{Channels, Count, XdpFeatures};

use crate::fake_host::{FakeHost, found};

/// The current value, the recommended value, and the commands.
#[track_caller]
fn change(env: &Environment, name: &str) -> (String, String, Vec<String>) {
    let finding = found(env, name);
    assert_eq!(finding.status, Status::Change, "{finding:?}");
    (
        finding.is,
        finding.should.unwrap(),
        finding.remedy.commands(),
    )
}

#[track_caller]
fn status(env: &Environment, name: &str, wanted: Status) -> Finding {
    let finding = found(env, name);
    assert_eq!(finding.status, wanted, "{finding:?}");
    finding
}

#[test]
fn a_good_host_has_nothing_to_change() {
    let host = FakeHost::good();
    for finding in examine(&host.environment()) {
        let fine = [Status::Ok, Status::NotApplicable, Status::Information];
        assert!(fine.contains(&finding.status), "{finding:?}");
    }
}

#[test]
fn names_are_unique_and_reasons_are_one_sentence() {
    let findings = examine(&FakeHost::good().environment());
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
fn only_the_governor_of_the_workers_cores_counts() {
    let host = FakeHost::good();
    let governor = |core| format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
    host.file(&governor(0), "powersave\n");
    status(&host.environment(), "cpu-governor", Status::Ok);
    host.file(&governor(3), "powersave\n");
    let (is, should, commands) = change(&host.environment(), "cpu-governor");
    assert_eq!(
        (is.as_str(), should.as_str()),
        ("powersave on 3", "performance on 2-3")
    );
    assert_eq!(commands, [format!("echo performance > {}", governor(3))]);
    // Without pinned workers any core may process packets.
    let mut env = host.environment();
    env.workers.clear();
    assert_eq!(
        change(&env, "cpu-governor").0,
        "powersave on 0, powersave on 3"
    );
    for core in 2..4 {
        host.file(
            &format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_available_governors"),
            "schedutil",
        );
    }
    status(&host.environment(), "cpu-governor", Status::Unknown);
    for core in 0..4 {
        host.remove(&governor(core));
    }
    let none = status(&host.environment(), "cpu-governor", Status::NotApplicable);
    assert!(none.is.contains("no frequency driver"), "{none:?}");
    host.file(
        "/proc/cpuinfo",
        "processor : 0\nflags : fpu hypervisor vme\n",
    );
    let none = status(&host.environment(), "cpu-governor", Status::NotApplicable);
    assert!(none.is.contains("virtual machine"), "{none:?}");
}

#[test]
fn deep_idle_states_are_disabled_for_workers_that_sleep() {
    let host = FakeHost::good();
    let disable = "/sys/devices/system/cpu/cpu2/cpuidle/state2/disable";
    host.file(disable, "0\n");
    let (is, _, commands) = change(&host.environment(), "idle-states");
    assert_eq!(is, "C6 (133 us) on 2");
    assert_eq!(commands, [format!("echo 1 > {disable}")]);
    status(&host.spinning(), "idle-states", Status::Ok);
}

#[test]
fn a_slow_clock_source_is_replaced_by_a_faster_one() {
    let host = FakeHost::good();
    let file = |name| format!("/sys/devices/system/clocksource/clocksource0/{name}_clocksource");
    host.file(&file("current"), "hpet\n");
    let (is, should, commands) = change(&host.environment(), "clocksource");
    assert_eq!((is.as_str(), should.as_str()), ("hpet", "tsc"));
    assert_eq!(commands, [format!("echo tsc > {}", file("current"))]);
    host.file(&file("available"), "hpet acpi_pm\n");
    status(&host.environment(), "clocksource", Status::Unknown);
}

#[test]
fn two_workers_do_not_share_a_physical_core() {
    let host = FakeHost::good();
    let threads = |core: usize, list: &str| {
        host.file(
            &format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"),
            list,
        );
    };
    for core in [0, 2] {
        threads(core, "0,2\n");
    }
    status(&host.environment(), "smt-siblings", Status::Ok);
    let (is, _, commands) = change(&host.spinning(), "smt-siblings");
    assert!(is.contains("on 0,"), "{is}");
    assert_eq!(commands, ["echo 0 > /sys/devices/system/cpu/cpu0/online"]);
    host.file("/sys/devices/system/cpu/isolated", "0,2-3\n");
    status(&host.spinning(), "smt-siblings", Status::Ok);
    for core in [2, 3] {
        threads(core, "2-3\n");
    }
    assert_eq!(
        change(&host.environment(), "smt-siblings").0,
        "the workers on 2-3 share a physical core"
    );
}

#[test]
fn workers_run_on_the_node_of_the_nic() {
    let host = FakeHost::good();
    status(&host.environment(), "numa-node", Status::NotApplicable);
    host.file("/sys/devices/system/node/node0/cpulist", "0,2\n");
    host.file("/sys/devices/system/node/node1/cpulist", "1,3\n");
    let (is, should, _) = change(&host.environment(), "numa-node");
    assert!(
        is.contains("workers on 3") && should.contains("0,2"),
        "{is}: {should}"
    );
    host.file("/sys/class/net/eth0/device/numa_node", "-1\n");
    status(&host.environment(), "numa-node", Status::Unknown);
}

#[test]
fn cores_are_isolated_for_workers_that_spin() {
    let host = FakeHost::good();
    let names = ["isolated-cores", "nohz-full", "rcu-nocbs"];
    for name in names {
        status(&host.environment(), name, Status::NotApplicable);
        let (is, should, commands) = change(&host.spinning(), name);
        assert_eq!((is.as_str(), should.as_str()), ("none", "2-3"), "{name}");
        assert!(
            commands[0].contains("=") && commands[0].contains("2-3 "),
            "{commands:?}"
        );
    }
    host.file("/sys/devices/system/cpu/isolated", "3\n");
    host.file("/sys/fs/cgroup/cpuset.cpus.isolated", "2\n");
    host.file("/sys/devices/system/cpu/nohz_full", "2\n");
    host.file("/proc/cmdline", "rcu_nocbs=3 quiet\n");
    status(&host.spinning(), "isolated-cores", Status::Ok);
    status(&host.spinning(), "rcu-nocbs", Status::Ok);
    assert_eq!(change(&host.spinning(), "nohz-full").0, "2");
    host.file("/sys/devices/system/cpu/online", "2-3\n");
    for name in names {
        status(&host.spinning(), name, Status::NotApplicable);
    }
    host.remove("/sys/devices/system/cpu/nohz_full");
    status(&host.spinning(), "nohz-full", Status::NotApplicable);
}

#[test]
fn interrupts_are_spread_over_cores_without_workers() {
    let host = FakeHost::good();
    let affinity = |interrupt| format!("/proc/irq/{interrupt}/smp_affinity_list");
    host.file(&affinity(41), "3\n");
    let (is, should, commands) = change(&host.environment(), "irq-affinity");
    assert_eq!(
        is,
        "queue 0 (interrupt 40) on 0, queue 1 (interrupt 41) on 3"
    );
    assert_eq!(
        should,
        "queue 0 (interrupt 40) on 0, queue 1 (interrupt 41) on 1"
    );
    assert_eq!(commands, [format!("echo 1 > {}", affinity(41))]);
    // Two queues on one core, while another core has none.
    host.file(&affinity(41), "0\n");
    assert_eq!(change(&host.environment(), "irq-affinity").2.len(), 1);
    // The mask has workers' cores, but the interrupt is served by another core.
    host.file(&affinity(41), "0-3\n");
    host.file("/proc/irq/41/effective_affinity_list", "1\n");
    status(&host.environment(), "irq-affinity", Status::Ok);
}

#[test]
fn interrupts_share_cores_with_workers_if_there_are_no_others() {
    let host = FakeHost::good();
    host.file("/sys/devices/system/cpu/online", "2-3\n");
    host.file("/sys/devices/system/node/node0/cpulist", "2-3\n");
    let (_, should, _) = change(&host.environment(), "irq-affinity");
    assert_eq!(
        should,
        "queue 0 (interrupt 40) on 2, queue 1 (interrupt 41) on 3"
    );
}

#[test]
fn interrupts_are_found_by_the_device_too() {
    let host = FakeHost::good();
    host.file("/proc/interrupts", "CPU0 CPU1 CPU2 CPU3\n40: 0 0 0 0 PCI 0-edge virtio2-input.0\n50: 0 0 0 0 PCI 1-edge comp1@pci:0000:03:00.0\n");
    status(&host.environment(), "irq-affinity", Status::NotApplicable);
    host.file("/sys/class/net/eth0/device/msi_irqs/50", "msix\n");
    assert_eq!(
        change(&host.environment(), "irq-affinity").0,
        "queue 1 (interrupt 50) on 2-3"
    );
    // The parent of a virtio device is a PCI device.
    let host = FakeHost::good();
    host.file("/sys/devices/pci/msi_irqs/41", "msix\n");
    host.file("/sys/devices/pci/virtio2/numa_node", "0\n");
    std::fs::remove_dir_all(host.path("/sys/class/net/eth0/device")).unwrap();
    host.link("/sys/class/net/eth0/device", "../../../devices/pci/virtio2");
    host.file("/proc/interrupts", "CPU0 CPU1 CPU2 CPU3\n40: 0 0 0 0 PCI 0-edge virtio2-input.0\n41: 0 0 0 0 PCI 1-edge other-1\n50: 0 0 0 0 PCI 0-edge virtio20-input.0\n");
    let ok = status(&host.environment(), "irq-affinity", Status::Ok);
    assert_eq!(
        ok.is,
        "queue 0 (interrupt 40) on 0, queue 1 (interrupt 41) on 1"
    );
}

#[test]
fn a_running_irqbalance_is_found() {
    let host = FakeHost::good();
    host.file("/proc/4711/comm", "irqbalance\n");
    assert_eq!(
        change(&host.environment(), "irqbalance").2,
        ["systemctl disable --now irqbalance"]
    );
}

#[test]
fn queues_are_at_least_one_per_worker_and_at_most_one_per_core() {
    let host = FakeHost::good();
    let with = |current: u32, most: u32, workers: usize| {
        let mut env = host.environment();
        env.workers.truncate(workers);
        env.nic.rx_queues = current;
        let channels = env.nic.hardware.channels.as_mut().unwrap();
        channels.combined = Count { current, max: most };
        env
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
    // A veth has no combined queues.
    let mut env = with(1, 0, 2);
    env.nic.hardware.channels = Some(Channels {
        rx: Count { current: 1, max: 2 },
        tx: Count { current: 1, max: 4 },
        ..Channels::default()
    });
    assert_eq!(change(&env, "queues").2, ["ethtool -L eth0 rx 2 tx 2"]);
    env.nic.hardware.channels = None;
    status(&env, "queues", Status::Unknown);
    // ENA needs one more queue for each queue on which XDP sends.
    host.link("/sys/class/net/eth0/device/driver", "../../drivers/ena");
    assert_eq!(change(&with(4, 4, 2), "queues").1, "2");
}

#[test]
fn rings_are_as_large_as_those_of_the_workers() {
    let host = FakeHost::good();
    let mut env = host.environment();
    let rings = env.nic.hardware.rings.as_mut().unwrap();
    rings.rx = Count {
        current: 512,
        max: 1024,
    };
    assert_eq!(
        change(&env, "nic-rings").2,
        ["ethtool -G eth0 rx 1024 tx 2048"]
    );
    env.nic.hardware.rings = None;
    status(&env, "nic-rings", Status::NotApplicable);
}

#[test]
fn napi_does_not_delay_packets() {
    let host = FakeHost::good();
    for (name, file) in [
        ("napi-defer-hard-irqs", "napi_defer_hard_irqs"),
        ("gro-flush-timeout", "gro_flush_timeout"),
    ] {
        let path = format!("/sys/class/net/eth0/{file}");
        host.file(&path, "20000\n");
        assert_eq!(
            change(&host.environment(), name).2,
            [format!("echo 0 > {path}")]
        );
    }
    // A NIC of the same name in another namespace is not checked.
    host.file("/sys/class/net/eth0/ifindex", "8\n");
    for name in ["napi-defer-hard-irqs", "gro-flush-timeout", "irq-affinity"] {
        status(&host.environment(), name, Status::Unknown);
    }
}

#[test]
fn offloads_that_change_packets_are_off() {
    let host = FakeHost::good();
    for (name, offload) in [
        ("lro", "rx-lro"),
        ("hardware-gro", "rx-gro-hw"),
        ("rx-vlan-offload", "rx-vlan-hw-parse"),
    ] {
        let mut env = host.environment();
        let offloads = &mut env.nic.hardware.offloads;
        let index = offloads.iter().position(|one| one.name == offload).unwrap();
        offloads[index].on = true;
        assert_eq!(
            change(&env, name).2,
            [format!("ethtool -K eth0 {offload} off")]
        );
        env.nic.hardware.offloads[index].fixed = true;
        status(&env, name, Status::Unknown);
        env.nic.hardware.offloads.remove(index);
        status(&env, name, Status::Ok);
        env.nic.hardware.offloads.clear();
        status(&env, name, Status::Unknown);
    }
}

#[test]
fn the_mtu_is_between_the_tunnels_minimum_and_a_page() {
    let host = FakeHost::good();
    for (mtu, wanted) in [(640, 641), (9001, 3498)] {
        let mut env = host.environment();
        env.nic.mtu = mtu;
        assert_eq!(
            change(&env, "mtu").2,
            [format!("ip link set dev eth0 mtu {wanted}")]
        );
    }
}

#[test]
fn the_program_runs_in_the_driver_if_supported() {
    let host = FakeHost::good();
    let with = |change: fn(&mut XdpFeatures)| {
        let mut env = host.environment();
        change(env.nic.hardware.xdp.as_mut().unwrap());
        env
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
    let mut env = host.environment();
    env.nic.generic_xdp = true;
    assert_eq!(change(&env, "xdp-mode").2, ["set mode = \"auto\" in [nic]"]);
    env.nic.hardware.xdp = None;
    status(&env, "xdp-mode", Status::Unknown);
    status(&env, "zero-copy", Status::Unknown);
    env.workers.clear();
    status(&env, "zero-copy", Status::NotApplicable);
}

#[test]
fn the_memlock_limit_fits_the_packet_buffers() {
    let host = FakeHost::good();
    let mut env = host.environment();
    env.memlock_limit = Some(100 << 20);
    status(&env, "memlock", Status::Ok);
    env.memlock_limit = Some((100 << 20) - 1);
    assert!(change(&env, "memlock").1.starts_with("100 MiB"));
    env.workers.clear();
    status(&env, "memlock", Status::NotApplicable);
}

#[test]
fn enough_huge_pages_are_reserved() {
    let host = FakeHost::good();
    let path = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    host.file(path, "49\n");
    let (is, should, commands) = change(&host.environment(), "huge-pages");
    assert_eq!((is.as_str(), should.as_str()), ("49 reserved", "50"));
    assert_eq!(commands, [format!("echo 50 > {path}")]);
    host.file(path, "many\n");
    status(&host.environment(), "huge-pages", Status::Unknown);
    host.remove(path);
    status(&host.environment(), "huge-pages", Status::NotApplicable);
    let mut env = host.environment();
    env.workers.clear();
    status(&env, "huge-pages", Status::NotApplicable);
}

#[test]
fn bpf_is_compiled_without_hardening_or_statistics() {
    let host = FakeHost::good();
    for (name, file, bad, good) in [
        ("bpf-jit", "net/core/bpf_jit_enable", "0", "1"),
        ("bpf-jit-harden", "net/core/bpf_jit_harden", "2", "0"),
        ("bpf-stats", "kernel/bpf_stats_enabled", "1", "0"),
    ] {
        let path = format!("/proc/sys/{file}");
        host.file(&path, bad);
        assert_eq!(
            change(&host.environment(), name).2,
            [format!("echo {good} > {path}")]
        );
        host.remove(&path);
        status(&host.environment(), name, Status::Unknown);
    }
}

#[test]
fn mitigations_are_information_only() {
    let finding = status(
        &FakeHost::good().environment(),
        "mitigations",
        Status::Information,
    );
    assert_eq!(finding.is, "active for: spectre_v2; vulnerable: none");
}
