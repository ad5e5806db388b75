//! The input of the checks.

use causeway_routes::{Hardware, Interface};

use super::cores::Cores;
use super::host::Host;
use causeway_config::privileges::System;
use causeway_config::{NicMode, Plan, tunnel_need};

/// The workers of a plan, their NIC, and the host.
#[derive(Debug)]
pub struct Environment {
    pub host: Host,
    pub nic: Nic,
    /// The workers of this host. A demux with remote gateways has none.
    pub workers: Vec<Worker>,
    /// The smallest MTU that fits the tunnels.
    pub minimum_mtu: u32,
    /// The size of the workers' packet buffers.
    pub umem_bytes: u64,
    /// The bytes of memory that this process may lock; `None`: no limit.
    pub memlock_limit: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub struct Nic {
    pub name: String,
    /// The interface index. It shows whether `/sys` belongs to the NIC's network namespace.
    pub index: u32,
    pub mtu: u32,
    pub rx_queues: u32,
    pub hardware: Hardware,
    /// Whether the configuration selects generic XDP (mode "skb").
    pub generic_xdp: bool,
}

#[derive(Debug, Clone)]
pub struct Worker {
    pub name: String,
    /// The core to which the worker is pinned.
    pub core: Option<usize>,
    /// Whether the worker polls its rings when idle instead of sleeping.
    pub spins: bool,
}

impl Environment {
    /// The environment of a plan on this host.
    pub fn here(plan: &Plan, interface: &Interface, hardware: Hardware, system: &System) -> Self {
        let workers = plan.workers().map(|(gateway, worker)| Worker {
            name: format!("worker {} of {}", worker.id, gateway.name),
            core: worker.core,
            spins: worker.spin,
        });
        Self {
            host: Host::here(),
            nic: Nic {
                name: interface.name.clone(),
                index: interface.index,
                mtu: interface.mtu,
                rx_queues: interface.rx_queues,
                hardware,
                generic_xdp: plan.nic.mode == NicMode::Skb,
            },
            workers: workers.collect(),
            minimum_mtu: tunnel_need(plan).1,
            umem_bytes: causeway_node::umem_bytes(plan, interface),
            memlock_limit: system.lockable(),
        }
    }

    /// The text of a file in the NIC's directory, unless `/sys` belongs to another network namespace.
    pub fn nic_file(&self, file: &str) -> Option<String> {
        self.sysfs_shows_nic()
            .then(|| self.host.read(&self.nic_path(file)))?
    }

    /// The path of a file in the NIC's directory.
    pub fn nic_path(&self, file: &str) -> String {
        format!("/sys/class/net/{}/{file}", self.nic.name)
    }

    /// Whether `/sys` belongs to the NIC's network namespace.
    pub fn sysfs_shows_nic(&self) -> bool {
        self.host.read(&self.nic_path("ifindex")) == Some(self.nic.index.to_string())
    }

    /// The name of the NIC's driver; none for a virtual interface.
    pub fn nic_driver(&self) -> Option<String> {
        self.sysfs_shows_nic()
            .then(|| self.host.target(&self.nic_path("device/driver")))?
    }

    pub fn online_cores(&self) -> Cores {
        let text = self.host.read("/sys/devices/system/cpu/online");
        text.and_then(|text| Cores::parse(&text))
            .unwrap_or_default()
    }

    pub fn worker_cores(&self) -> Cores {
        self.workers
            .iter()
            .filter_map(|worker| worker.core)
            .collect()
    }

    /// The cores of pinned workers that never sleep.
    pub fn spinning_cores(&self) -> Cores {
        let spinning = self.workers.iter().filter(|worker| worker.spins);
        spinning.filter_map(|worker| worker.core).collect()
    }

    /// The NIC's NUMA node, and the node's cores.
    pub fn nic_node(&self) -> Option<(u32, Cores)> {
        // A virtio device is a child of the PCI device that has the node.
        let files = ["device/numa_node", "device/../numa_node"];
        let node = files.iter().find_map(|file| self.nic_file(file))?;
        let node: u32 = node.parse().ok()?;
        let path = format!("/sys/devices/system/node/node{node}/cpulist");
        Some((node, Cores::parse(&self.host.read(&path)?)?))
    }

    /// The cores of the NIC's NUMA node; all cores if the node is unknown.
    pub fn nic_cores(&self) -> Cores {
        self.nic_node()
            .map_or_else(|| self.online_cores(), |(_, cores)| cores)
    }

    /// The cores that process packets: those of pinned workers, else those of the NIC's NUMA node.
    pub fn busy_cores(&self) -> Cores {
        let workers = self.worker_cores();
        if workers.is_empty() {
            return self.nic_cores();
        }
        workers
    }

    /// The threads of a core's physical core, including the core.
    pub fn siblings(&self, core: usize) -> Cores {
        let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        let text = self.host.read(&path);
        text.and_then(|text| Cores::parse(&text))
            .unwrap_or_default()
    }

    /// The threads of the physical cores of `cores`.
    pub fn siblings_of(&self, cores: &Cores) -> Cores {
        let sets = cores.iter().map(|core| self.siblings(core));
        sets.fold(Cores::default(), |all, some| all.with(&some))
    }
}
