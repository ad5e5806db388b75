//! Facts of this host, for [`Config::for_host`](crate::Config::for_host).

use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use anyhow::Context;
use causeway_routes::{RoutesError, interface};
use ipnet::IpNet;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::Plan;

/// The NIC and the cores of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The NIC that the configuration names.
    pub nic: NicFacts,
    /// The cores that this process may use.
    pub cores: Vec<usize>,
    /// The hard limit of open files (RLIMIT_NOFILE); `None`: unlimited.
    pub open_files: Option<u64>,
    /// Why no socket can listen on the address of `http.listen`.
    pub listen: Option<String>,
    /// Whether a role already serves the configuration's control socket. Port and NIC are then in use by it.
    pub role_runs: bool,
}

/// The NIC that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NicFacts {
    /// The NIC exists.
    Present {
        /// The administrative state.
        up: bool,
        /// The largest IP packet, in bytes.
        mtu: u32,
        /// Receive queues in use.
        rx_queues: u32,
        /// Addresses with their subnets.
        addresses: Vec<IpNet>,
        /// The kernel's identifier of an XDP program on the NIC.
        xdp_program: Option<u32>,
    },
    /// No NIC has this name.
    Absent {
        /// The names of the existing NICs, separated by commas.
        existing: String,
    },
}

impl HostFacts {
    /// Reads the facts of this host for a plan. The NIC is looked up in the network namespace of this process.
    ///
    /// # Errors
    /// The kernel does not answer, or the NIC is not an Ethernet device.
    pub async fn read(plan: &Plan) -> anyhow::Result<Self> {
        let nic = match interface(&plan.nic.name).await {
            Ok(nic) => NicFacts::Present {
                up: nic.up,
                mtu: nic.mtu,
                rx_queues: nic.rx_queues,
                addresses: nic.addresses,
                xdp_program: nic.xdp_program,
            },
            Err(RoutesError::NoSuchInterface { existing, .. }) => NicFacts::Absent { existing },
            Err(error) => return Err(error.into()),
        };
        let affinity = sched_getaffinity(None).context("cannot read the CPU affinity")?;
        let cores = (0..CpuSet::MAX_CPU).filter(|&core| affinity.is_set(core));
        Ok(Self {
            nic,
            cores: cores.collect(),
            open_files: getrlimit(Resource::Nofile).maximum,
            listen: plan.http.and_then(|address| {
                let error = TcpListener::bind(address).err()?;
                Some(error.to_string())
            }),
            role_runs: plan
                .control
                .as_ref()
                .is_some_and(|path| UnixStream::connect(path).is_ok()),
        })
    }
}
