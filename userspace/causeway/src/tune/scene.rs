//! What the checks look at.

use causeway_routes::{Hardware, Interface};

use super::cores::Cores;
use super::host::Host;
use crate::config::{NicMode, Plan, tunnel_need};
use crate::privileges::System;
use crate::run;

/// A role's plan, its NIC, and the host.
#[derive(Debug)]
pub struct Scene {
    /// The host's files.
    pub host: Host,
    /// The NIC.
    pub nic: Nic,
    /// The workers of this host; none on a demux whose gateways are remote.
    pub workers: Vec<Seat>,
    /// The smallest MTU that the tunnels need, in bytes.
    pub least_mtu: u32,
    /// Bytes that the workers' packet buffers take.
    pub umem: u64,
    /// How much memory this process may lock, in bytes; `None`: any.
    pub lockable: Option<u64>,
}

/// The NIC.
#[derive(Debug, Clone, Default)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Its index, by which `/sys` is known to show this one.
    pub index: u32,
    /// Its MTU, in bytes.
    pub mtu: u32,
    /// Receive queues in use.
    pub rx_queues: u32,
    /// What its driver tells.
    pub hardware: Hardware,
    /// Whether the configuration asks for XDP in the kernel's generic path.
    pub generic_xdp: bool,
}

/// A worker.
#[derive(Debug, Clone)]
pub struct Seat {
    /// How people call it.
    pub name: String,
    /// The core to which it is pinned.
    pub core: Option<usize>,
    /// Whether it polls its rings when idle instead of sleeping.
    pub spins: bool,
}

impl Scene {
    /// The scene of a plan on this host.
    pub fn here(plan: &Plan, interface: &Interface, hardware: Hardware, system: &System) -> Self {
        let workers = plan.workers().map(|(gateway, worker)| Seat {
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
            least_mtu: tunnel_need(plan).1,
            umem: run::umem_bytes(plan, interface),
            lockable: system.lockable(),
        }
    }

    /// A file of the NIC's below `/sys/class/net`, unless `/sys` shows another network namespace.
    pub fn nic_file(&self, file: &str) -> Option<String> {
        self.shown().then(|| self.host.read(&self.nic_path(file)))?
    }

    /// Its path.
    pub fn nic_path(&self, file: &str) -> String {
        format!("/sys/class/net/{}/{file}", self.nic.name)
    }

    /// Whether `/sys` shows the NIC.
    pub fn shown(&self) -> bool {
        self.host.read(&self.nic_path("ifindex")) == Some(self.nic.index.to_string())
    }

    /// The name of its driver; none for an interface without a device.
    pub fn nic_driver(&self) -> Option<String> {
        self.shown()
            .then(|| self.host.target(&self.nic_path("device/driver")))?
    }

    /// The cores that run.
    pub fn online(&self) -> Cores {
        let text = self.host.read("/sys/devices/system/cpu/online");
        text.and_then(|text| Cores::parse(&text))
            .unwrap_or_default()
    }

    /// The cores to which workers are pinned.
    pub fn worker_cores(&self) -> Cores {
        self.workers
            .iter()
            .filter_map(|worker| worker.core)
            .collect()
    }

    /// Those of them that never sleep.
    pub fn spinning_cores(&self) -> Cores {
        let spinning = self.workers.iter().filter(|worker| worker.spins);
        spinning.filter_map(|worker| worker.core).collect()
    }

    /// The NUMA node at which the NIC is, and its cores.
    pub fn node(&self) -> Option<(u32, Cores)> {
        // A virtio device stands one level below the PCI device that knows.
        let files = ["device/numa_node", "device/../numa_node"];
        let node = files.iter().find_map(|file| self.nic_file(file))?;
        let node: u32 = node.parse().ok()?;
        let path = format!("/sys/devices/system/node/node{node}/cpulist");
        Some((node, Cores::parse(&self.host.read(&path)?)?))
    }

    /// The cores beside the NIC, else all.
    pub fn near(&self) -> Cores {
        self.node()
            .map_or_else(|| self.online(), |(_, cores)| cores)
    }

    /// The cores that carry packets: the workers', or where none is pinned any beside the NIC.
    pub fn busy(&self) -> Cores {
        let workers = self.worker_cores();
        if workers.is_empty() {
            return self.near();
        }
        workers
    }

    /// The threads of this one's physical core, itself among them.
    pub fn threads(&self, core: usize) -> Cores {
        let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        let text = self.host.read(&path);
        text.and_then(|text| Cores::parse(&text))
            .unwrap_or_default()
    }

    /// The threads of the physical cores of these.
    pub fn threads_of(&self, cores: &Cores) -> Cores {
        let sets = cores.iter().map(|core| self.threads(core));
        sets.fold(Cores::default(), |all, some| all.with(&some))
    }
}
