//! What this host has, for [`Config::for_host`](crate::config::Config::for_host).

use anyhow::Context;
use causeway_routes::{RoutesError, interface};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::config::{HostFacts, NicFacts};

/// The NIC of this name in the process's network namespace, and the cores it may use.
///
/// # Errors
/// The kernel does not answer, or the NIC is no Ethernet.
pub async fn facts(nic: &str) -> anyhow::Result<HostFacts> {
    let nic = match interface(nic).await {
        Ok(nic) => NicFacts::Present {
            up: nic.up,
            mtu: nic.mtu,
            rx_queues: nic.rx_queues,
            addresses: nic.addresses,
        },
        Err(RoutesError::NoSuchInterface { existing, .. }) => NicFacts::Absent { existing },
        Err(error) => return Err(error.into()),
    };
    let affinity = sched_getaffinity(None).context("cannot ask for the cores of this process")?;
    let cores = (0..CpuSet::MAX_CPU).filter(|&core| affinity.is_set(core));
    Ok(HostFacts {
        nic,
        cores: cores.collect(),
    })
}
