//! A fake host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use causeway::tune::environment::{Nic, Worker};
use causeway::tune::{Environment, Finding, Host, examine};
use causeway_routes::{Channels, Count, Hardware, Offload, Rings, XdpFeatures};
use tempfile::{TempDir, tempdir};

/// Files below a temporary directory.
pub struct FakeHost(TempDir);

impl FakeHost {
    /// Four cores and a NIC of two queues, with all settings as recommended for workers on the cores 2 and 3.
    pub fn good() -> Self {
        let host = Self(tempdir().unwrap());
        host.file("/proc/cpuinfo", "flags\t\t: fpu vme\n");
        host.file("/proc/cmdline", "ro quiet\n");
        host.file("/proc/sys/net/core/bpf_jit_enable", "1\n");
        host.file("/proc/sys/net/core/bpf_jit_harden", "0\n");
        host.file("/proc/sys/kernel/bpf_stats_enabled", "0\n");
        host.file("/proc/1/comm", "systemd\n");
        let pages = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
        host.file(pages, "50\n");
        let table = "      CPU0 CPU1 CPU2 CPU3\n \
             40:  1 0 0 0  PCI-MSIX-0000:03:00.0  0-edge  eth0-TxRx-0\n \
             41:  0 1 0 0  PCI-MSIX-0000:03:00.0  1-edge  eth0-TxRx-1\n \
             42:  0 0 0 0  PCI-MSIX-0000:03:00.0  2-edge  eth0-mgmnt\n \
             50:  0 0 9 9  PCI-MSIX-0000:04:00.0  0-edge  eth00-TxRx-0\n\
             LOC: 5 5 5 5  Local timer interrupts\n";
        host.file("/proc/interrupts", table);
        for (interrupt, core) in [(40, "0"), (41, "1"), (42, "0-3"), (50, "2-3")] {
            host.file(
                &format!("/proc/irq/{interrupt}/smp_affinity_list"),
                &format!("{core}\n"),
            );
        }
        let cpu = "/sys/devices/system/cpu";
        host.file(&format!("{cpu}/online"), "0-3\n");
        host.file(&format!("{cpu}/isolated"), "\n");
        host.file(&format!("{cpu}/nohz_full"), "(null)\n");
        host.file(&format!("{cpu}/vulnerabilities/mds"), "Not affected\n");
        host.file(
            &format!("{cpu}/vulnerabilities/spectre_v2"),
            "Mitigation: Retpolines\n",
        );
        for core in 0..4 {
            let folder = format!("{cpu}/cpu{core}");
            host.file(
                &format!("{folder}/topology/thread_siblings_list"),
                &format!("{core}\n"),
            );
            host.file(
                &format!("{folder}/cpufreq/scaling_governor"),
                "performance\n",
            );
            let governors = "performance powersave\n";
            host.file(
                &format!("{folder}/cpufreq/scaling_available_governors"),
                governors,
            );
            for (state, name, latency, disable) in
                [(0, "POLL", 0, 0), (1, "C1", 2, 0), (2, "C6", 133, 1)]
            {
                let state = format!("{folder}/cpuidle/state{state}");
                host.file(&format!("{state}/name"), &format!("{name}\n"));
                host.file(&format!("{state}/latency"), &format!("{latency}\n"));
                host.file(&format!("{state}/disable"), &format!("{disable}\n"));
            }
        }
        let clock = "/sys/devices/system/clocksource/clocksource0";
        host.file(&format!("{clock}/current_clocksource"), "tsc\n");
        host.file(
            &format!("{clock}/available_clocksource"),
            "tsc hpet acpi_pm\n",
        );
        host.file("/sys/devices/system/node/node0/cpulist", "0-3\n");
        let nic = "/sys/class/net/eth0";
        host.file(&format!("{nic}/ifindex"), "7\n");
        host.file(&format!("{nic}/napi_defer_hard_irqs"), "0\n");
        host.file(&format!("{nic}/gro_flush_timeout"), "0\n");
        host.file(&format!("{nic}/device/numa_node"), "0\n");
        host.link(&format!("{nic}/device/driver"), "../../drivers/ixgbe");
        host
    }

    /// Writes a file and creates its directories.
    pub fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path))
            .unwrap()
            .trim()
            .to_owned()
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    /// The environment with workers on the cores 2 and 3 that sleep when idle.
    pub fn environment(&self) -> Environment {
        let count = |current, max| Count { current, max };
        let offloads = ["rx-lro", "rx-gro-hw", "rx-vlan-hw-parse", "rx-gro"];
        let worker = |core| Worker {
            name: format!("worker {core} of gateway-1"),
            core: Some(core),
            spins: false,
        };
        Environment {
            host: Host::at(self.0.path()),
            nic: Nic {
                name: "eth0".to_owned(),
                index: 7,
                mtu: 1500,
                rx_queues: 2,
                hardware: Hardware {
                    channels: Some(Channels {
                        combined: count(2, 8),
                        ..Channels::default()
                    }),
                    rings: Some(Rings {
                        rx: count(2048, 4096),
                        tx: count(2048, 4096),
                    }),
                    offloads: offloads
                        .map(|name| Offload {
                            name: name.to_owned(),
                            on: name == "rx-gro",
                            fixed: false,
                        })
                        .to_vec(),
                    xdp: Some(XdpFeatures {
                        native: true,
                        redirect: true,
                        transmit: true,
                        zero_copy: true,
                    }),
                },
                generic_xdp: false,
            },
            workers: vec![worker(2), worker(3)],
            minimum_mtu: 641,
            umem_bytes: 100 << 20,
            memlock_limit: None,
        }
    }

    /// The environment with workers on the cores 2 and 3 that spin.
    pub fn spinning(&self) -> Environment {
        let mut env = self.environment();
        for worker in &mut env.workers {
            worker.spins = true;
        }
        env
    }
}

/// The finding of one check.
pub fn found(env: &Environment, name: &str) -> Finding {
    let findings = examine(env);
    let finding = findings.into_iter().find(|finding| finding.name == name);
    finding.unwrap_or_else(|| panic!("there is no check {name}"))
}
