//! Parsers of the kernel's files, and checks with malformed files.

use causeway::tune::cores::Cores;
use causeway::tune::{Status, cmdline, examine, interrupts};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::fake_host::FakeHost;

proptest! {
    #[test]
    fn text_of_a_set_of_cores_parses_to_the_same_set(cores in btree_set(0..Cores::MAX, 0..64)) {
        let cores: Cores = cores.into_iter().collect();
        prop_assert_eq!(Cores::parse(&cores.to_string()), Some(cores.clone()));
        prop_assert_eq!(Cores::parse(&format!("{cores}\n")), Some(cores));
    }

    /// As the kernel writes a list: ascending, with the longest possible ranges.
    #[test]
    fn text_of_a_set_of_cores_is_as_short_as_possible(cores in btree_set(0..40_usize, 1..40)) {
        let text = cores.iter().copied().collect::<Cores>().to_string();
        let parts: Vec<(usize, usize)> = text
            .split(',')
            .map(|part| part.split_once('-').unwrap_or((part, part)))
            .map(|(first, last)| (first.parse().unwrap(), last.parse().unwrap()))
            .collect();
        prop_assert!(parts.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{}", text);
        let all: Vec<usize> = parts.into_iter().flat_map(|(first, last)| first..=last).collect();
        prop_assert_eq!(all, cores.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn set_operations_are_those_of_btree_sets(a in btree_set(0..64_usize, 0..32), b in btree_set(0..64_usize, 0..32)) {
        let set = |cores: &std::collections::BTreeSet<usize>| cores.iter().copied().collect::<Cores>();
        let (one, two) = (set(&a), set(&b));
        prop_assert_eq!(one.with(&two), set(&(&a | &b)));
        prop_assert_eq!(one.without(&two), set(&(&a - &b)));
        prop_assert_eq!(one.common(&two), set(&(&a & &b)));
        prop_assert_eq!(one.is_within(&two), a.is_subset(&b));
    }

    #[test]
    fn malformed_text_is_not_a_set_of_cores(text in "[0-9,: +\\-a-z]{0,12}") {
        // Accepted text has only digits, commas, dashes and blanks.
        if let Some(cores) = Cores::parse(&text) {
            for core in cores.iter() {
                prop_assert!(core < Cores::MAX);
            }
            prop_assert!(!text.contains(['+', ':']), "{}", text);
        }
    }

    #[test]
    fn a_parameter_is_found_among_others(
        before in vec("[a-z_.]{1,8}(=[a-z0-9,]{0,8}|=\"[a-z =]{0,8}\")?", 0..6),
        after in vec("[a-z_.]{1,8}(=[a-z0-9,]{0,8})?", 0..6),
        value in "[0-9][0-9,\\-]{0,8}",
    ) {
        prop_assume!(!after.iter().any(|word| word.starts_with("wanted=")));
        let text = format!("{} wanted={value} {}\n", before.join(" "), after.join(" "));
        prop_assert_eq!(cmdline::value(&text, "wanted"), Some(value.as_str()));
        let text = format!("{} -- wanted={value}", after.join(" "));
        prop_assert_eq!(cmdline::value(&text, "wanted"), None);
    }

    #[test]
    fn interrupts_are_parsed_from_the_kernels_format(
        cores in 1..9_usize,
        numbers in btree_set(0..4096_u32, 0..8),
        queue in 0..64_u32,
    ) {
        let mut text = String::new();
        for core in 0..cores {
            text += &format!("{:>11}", format!("CPU{core}"));
        }
        text.push('\n');
        for number in &numbers {
            text += &format!("{number:>4}:");
            for core in 0..cores {
                text += &format!("{:>11}", core * 7);
            }
            text += &format!("  PCI-MSIX-0000:00:05.0  {number}-edge  eth0-Tx-Rx-{queue}\n");
        }
        text += "NMI:          0   Non-maskable interrupts\nERR:          0\n";
        let read = interrupts::parse(&text);
        prop_assert_eq!(read.iter().map(|one| one.number).collect::<Vec<_>>(), numbers.into_iter().collect::<Vec<_>>());
        prop_assert!(read.iter().all(|one| one.queue() == Some(queue) && one.words.len() == 3));
    }
}

proptest! {
    // Each case creates all files of a host.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// With any text in a file no check panics, and a check has commands only if there is something to change.
    #[test]
    fn a_malformed_file_is_no_panic(which in 0..FILES.len(), text in "\\PC{0,40}|[0-9,\\-\n]{0,20}") {
        let host = FakeHost::good();
        host.file(FILES[which], &text);
        for env in [host.environment(), host.spinning()] {
            for finding in examine(&env) {
                prop_assert_eq!(
                    finding.status == Status::Change,
                    !finding.remedy.commands().is_empty(),
                    "{:?}", finding
                );
            }
        }
    }
}

const FILES: [&str; 17] = [
    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
    "/proc/cpuinfo",
    "/proc/cmdline",
    "/proc/interrupts",
    "/proc/irq/40/smp_affinity_list",
    "/proc/sys/net/core/bpf_jit_enable",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/isolated",
    "/sys/devices/system/cpu/nohz_full",
    "/sys/devices/system/cpu/cpu2/topology/thread_siblings_list",
    "/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor",
    "/sys/devices/system/cpu/cpu2/cpuidle/state2/latency",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "/sys/devices/system/node/node0/cpulist",
    "/sys/class/net/eth0/ifindex",
    "/sys/class/net/eth0/gro_flush_timeout",
    "/sys/class/net/eth0/device/numa_node",
];

#[test]
fn examples_of_malformed_text() {
    for text in [
        "3-1",
        "0-",
        "-1",
        "1,,2",
        "0x1",
        "8192",
        "0-99999999999999999999",
        "all",
        "+1",
        "1-2-3",
    ] {
        assert_eq!(Cores::parse(text), None, "{text}");
    }
    for text in ["", "\n", "(null)"] {
        assert_eq!(Cores::parse(text), Some(Cores::default()));
    }
    assert_eq!(interrupts::parse(""), []);
    assert_eq!(
        interrupts::parse("CPU0\nx: 1 y\n: 2\n-1: 3 z\n99999999999: 4 z\n"),
        []
    );
}

#[test]
fn the_queue_of_an_interrupt_is_in_its_name() {
    for (name, queue) in [
        ("eth0-TxRx-3", Some(3)),
        ("ens5-Tx-Rx-12", Some(12)),
        ("virtio2-input.0", Some(0)),
        ("mlx5_comp3@pci:0000:3b:00.0", Some(3)),
        ("virtio2-config", None),
        ("ena-mgmnt@pci:0000:00:05.0", None),
        ("mlx5_async0@pci:0000:3b:00.0", None),
    ] {
        let text = format!("CPU0\n 9: 1 chip 0-edge {name}\n");
        assert_eq!(interrupts::parse(&text)[0].queue(), queue, "{name}");
    }
}

#[test]
fn the_last_parameter_counts() {
    let text = "a rcu_nocbs=1 b=\"x rcu_nocbs=7 y\" rcu_nocbs=2-3 init=/x -- rcu_nocbs=9";
    assert_eq!(cmdline::value(text, "rcu_nocbs"), Some("2-3"));
    assert_eq!(cmdline::value(text, "b"), Some("x rcu_nocbs=7 y"));
    assert_eq!(cmdline::value(text, "a"), None);
}
