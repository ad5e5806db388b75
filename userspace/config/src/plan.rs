//! The plan: a valid configuration as plain types, with indices instead of names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use causeway_esp::{BackendChoice, DontFragment, Dscp, Lifetime, Spi, Tfc};
use causeway_rescale::Weight;
use causeway_rescale::message::HoldTimeoutAction;
use ipnet::IpNet;

pub use crate::file::NicMode;
use causeway_keys::{SaKey, SteeringKey};

/// A validated configuration with its keys loaded.
#[derive(Debug)]
pub struct Plan {
    pub nic: Nic,
    /// The address that serves `/metrics`, `/status` and `/healthz`.
    pub http: Option<SocketAddr>,
    /// The path of the control socket.
    pub control: Option<PathBuf>,
    /// The cluster's name, a label of all metrics.
    pub cluster: Option<String>,
    pub vpc_prefixes: Vec<IpNet>,
    /// The address of this VPC's demux, at a gateway.
    pub demux: Option<IpAddr>,
    pub steering_key: SteeringKey,
    /// The implementation of the AEADs.
    pub crypto: BackendChoice,
    pub rescale: Rescale,
    /// The peerings, in the order of the file. The id of a peering is its index.
    pub peerings: Vec<Peering>,
    /// The gateways, in the order of the file. The id of a gateway is its index.
    pub gateways: Vec<Gateway>,
}

impl Plan {
    /// The source address of markers to the peer's `demux`: the first address in `nic` of that family
    /// within the VPC's prefixes, since the tunnels drop packets from others.
    pub fn marker_source(&self, demux: IpAddr, nic: &[IpNet]) -> Option<IpAddr> {
        let protected = |own: &IpAddr| self.vpc_prefixes.iter().any(|p| p.contains(own));
        let mut own = nic.iter().map(IpNet::addr);
        own.find(|own| own.is_ipv4() == demux.is_ipv4() && protected(own))
    }

    /// The prefixes to which the kernel must not forward: those of all peerings.
    pub fn guarded(&self) -> Vec<IpNet> {
        let peerings = self.peerings.iter();
        peerings
            .flat_map(|peering| peering.prefixes.iter().copied())
            .collect()
    }

    /// The workers of this host with their gateways, in the order of the worker ids.
    pub fn workers(&self) -> impl Iterator<Item = (&Gateway, &Worker)> {
        self.gateways
            .iter()
            .flat_map(|gateway| gateway.workers.iter().map(move |worker| (gateway, worker)))
    }
}

/// The NIC, and the attach mode of the XDP program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    pub name: String,
    pub mode: NicMode,
}

/// A peering with another VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peering {
    /// The index in [`Plan::peerings`].
    pub id: u32,
    pub name: String,
    /// The peer VPC's prefixes, without overlap.
    pub prefixes: Vec<IpNet>,
    /// The gateways of the cluster, as indices into [`Plan::gateways`], in the order of the file.
    pub gateways: Vec<usize>,
    /// The address of the peer's demux. Without it there are no probes, and the cluster cannot change.
    pub demux: Option<IpAddr>,
    /// Whether the MSS of TCP connections is limited to the size that fits the tunnel.
    pub clamp_mss: bool,
    /// The lifetime of a path MTU from an ICMP error; zero: such errors are ignored.
    pub path_mtu_age: Duration,
}

/// A gateway. One with workers is local, others are remote.
#[derive(Debug)]
pub struct Gateway {
    /// The index in [`Plan::gateways`].
    pub id: u32,
    pub name: String,
    /// Remote: the address of its host. Local: the outer source address of its tunnels.
    pub address: IpAddr,
    /// The share of the buckets, relative to the weights of the others.
    pub weight: Weight,
    /// Empty for a remote gateway.
    pub workers: Vec<Worker>,
}

impl Gateway {
    pub fn is_local(&self) -> bool {
        !self.workers.is_empty()
    }
}

/// One worker of a local gateway.
#[derive(Debug)]
pub struct Worker {
    /// The number of the worker on this host, from 0, in the order of the file.
    pub id: u32,
    /// The core to which the worker's thread is pinned.
    pub core: Option<usize>,
    /// Whether an idle worker polls its rings and does not sleep.
    pub spin: bool,
    /// One tunnel for each peering of the gateway.
    pub tunnels: Vec<Tunnel>,
}

/// The outbound and the inbound SA of a worker to one peer gateway.
#[derive(Debug)]
pub struct Tunnel {
    /// The index in [`Plan::peerings`].
    pub peering: usize,
    /// The outer address of the peer gateway, of the same family as [`Gateway::address`].
    pub peer: IpAddr,
    pub encapsulation: Encapsulation,
    /// The size of the replay window, in packets.
    pub replay_window: u32,
    pub settings: Settings,
    /// The idle time after which a dummy packet is sent.
    pub dummy_interval: Option<Duration>,
    /// The SA that seals packets.
    pub outbound: Sa,
    /// The SA that opens packets.
    pub inbound: Sa,
}

/// Settings that both SAs of a tunnel share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The source of the outer DSCP.
    pub dscp: Dscp,
    /// The source of the outer DF flag.
    pub dont_fragment: DontFragment,
    /// Whether sequence numbers have 64 bits.
    pub esn: bool,
    /// Padding that hides the length of inner packets.
    pub tfc: Tfc,
    /// The limits of each SA.
    pub lifetime: Lifetime,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dscp: Dscp::Copy,
            dont_fragment: DontFragment::Copy,
            esn: true,
            tfc: Tfc::Off,
            lifetime: Lifetime::default(),
        }
    }
}

/// The encapsulation of ESP between gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// ESP in UDP, destination port 4500 (RFC 3948).
    Udp { source_port: u16 },
    /// ESP over IP, protocol 50.
    Esp,
}

/// Probes, holds and changes of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescale {
    /// The file that stores the tables. Without it the cluster cannot change.
    pub state: Option<PathBuf>,
    /// The interval of probes through each gateway pair.
    pub probe_interval: Duration,
    /// The time without a probe reply after which a pair is dead.
    pub dead_after: Duration,
    /// The most packets that a worker holds.
    pub hold_packets: usize,
    /// The longest time of a hold.
    pub hold_time: Duration,
    /// The action for held packets after `hold_time`.
    pub hold_timeout_action: HoldTimeoutAction,
    /// The time in which a change moves buckets while they are idle, before it uses barriers.
    pub idle_time: Duration,
    /// The most buckets that one barrier moves.
    pub batch: usize,
}

impl Default for Rescale {
    fn default() -> Self {
        Self {
            state: None,
            probe_interval: Duration::from_millis(50),
            // Longer than any stall from which a worker recovers, and short enough that a flow
            // continues within a second after a gateway's death.
            dead_after: Duration::from_millis(400),
            hold_packets: 4096,
            hold_time: Duration::from_secs(1),
            hold_timeout_action: HoldTimeoutAction::Drop,
            idle_time: Duration::from_millis(100),
            batch: 1024,
        }
    }
}

/// One direction of a tunnel.
#[derive(Debug)]
pub struct Sa {
    pub spi: Spi,
    /// The file of the key. For an outbound SA, its sequence reservation is beside it.
    pub key_file: PathBuf,
    pub key: SaKey,
}
