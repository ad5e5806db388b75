//! What the core runs: plain types, made by one conversion from what people write.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use causeway_esp::{BackendChoice, DontFragment, Dscp, Lifetime, Spi, Tfc};
use causeway_rescale::Weight;
use causeway_rescale::message::AtLimit;
use ipnet::IpNet;
use zeroize::Zeroizing;

pub use super::file::NicMode;
use crate::key::SaKey;

/// A validated configuration with its keys loaded.
#[derive(Debug)]
pub struct Plan {
    /// The NIC.
    pub nic: Nic,
    /// Where `/metrics`, `/status` and `/healthz` are served, if anywhere.
    pub http: Option<SocketAddr>,
    /// Where the control socket is, if there is one.
    pub control: Option<PathBuf>,
    /// The cluster's name.
    pub cluster: Option<String>,
    /// What the cluster protects on this side.
    pub vpc_prefixes: Vec<IpNet>,
    /// The key of the steering hash.
    pub steering_key: SteeringKey,
    /// Which implementation of the AEADs the workers use.
    pub crypto: BackendChoice,
    /// How the cluster may change while it carries.
    pub rescale: Rescale,
    /// The peerings; a peering's id is its place in this list.
    pub peerings: Vec<Peering>,
    /// The gateways; a gateway's id is its place in this list.
    pub gateways: Vec<Gateway>,
}

impl Plan {
    /// The address from which markers go to the peer's `demux`: the NIC's first of that family that
    /// lies in the VPC's prefixes, since the tunnels carry no other.
    pub fn marker_source(&self, demux: IpAddr, nic: &[IpNet]) -> Option<IpAddr> {
        let protected = |own: &IpAddr| self.vpc_prefixes.iter().any(|p| p.contains(own));
        let mut own = nic.iter().map(IpNet::addr);
        own.find(|own| own.is_ipv4() == demux.is_ipv4() && protected(own))
    }

    /// The workers of this host with their gateways, in the order of their ids.
    pub fn workers(&self) -> impl Iterator<Item = (&Gateway, &Worker)> {
        self.gateways
            .iter()
            .flat_map(|gateway| gateway.workers.iter().map(move |worker| (gateway, worker)))
    }
}

/// The NIC and how the XDP program is attached to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// The interface's name.
    pub name: String,
    /// How the XDP program is attached.
    pub mode: NicMode,
}

/// The 128-bit key of the steering hash, the same in both VPCs.
pub struct SteeringKey(Zeroizing<[u8; SteeringKey::LEN]>);

impl SteeringKey {
    /// Octets of a key.
    pub const LEN: usize = 16;

    pub(crate) fn new(key: Zeroizing<[u8; Self::LEN]>) -> Self {
        Self(key)
    }

    /// The key's octets.
    pub fn octets(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for SteeringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SteeringKey(..)")
    }
}

/// A VPC that this one is joined with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peering {
    /// Its place in [`Plan::peerings`].
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The peer VPC's prefixes, without overlap.
    pub prefixes: Vec<IpNet>,
    /// The cluster: places in [`Plan::gateways`], in the order of the file.
    pub gateways: Vec<usize>,
    /// The peer's demux. Without it the cluster is neither watched nor changed.
    pub demux: Option<IpAddr>,
    /// Whether TCP's maximum segment size is clamped to what fits the tunnel.
    pub clamp_mss: bool,
    /// How long an MTU that ICMP tells of the path is believed; zero: not at all.
    pub path_mtu_age: Duration,
}

/// A gateway. Local if it has workers, else remote.
#[derive(Debug)]
pub struct Gateway {
    /// Its place in [`Plan::gateways`].
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Remote: where the demux sends its packets. Local: outer source address of its tunnels.
    pub address: IpAddr,
    /// Its share of the buckets against the others'.
    pub weight: Weight,
    /// Its workers; empty for a remote gateway.
    pub workers: Vec<Worker>,
}

impl Gateway {
    /// Whether its workers run on this host.
    pub fn is_local(&self) -> bool {
        !self.workers.is_empty()
    }
}

/// One worker of a local gateway.
#[derive(Debug)]
pub struct Worker {
    /// Its number within the host, from 0, in the order of the file.
    pub id: u32,
    /// The core its thread is pinned to.
    pub core: Option<usize>,
    /// Whether it polls its rings when idle instead of sleeping.
    pub spin: bool,
    /// One tunnel for each peering that the gateway serves.
    pub tunnels: Vec<Tunnel>,
}

/// A worker's pair of SAs with its peer.
#[derive(Debug)]
pub struct Tunnel {
    /// Place in [`Plan::peerings`].
    pub peering: usize,
    /// Outer address of the peer gateway, of the family of [`Gateway::address`].
    pub peer: IpAddr,
    /// How ESP is carried.
    pub encapsulation: Encapsulation,
    /// Size of the replay window, in packets.
    pub replay_window: u32,
    /// What both SAs do beyond carrying.
    pub settings: Settings,
    /// How long it may be quiet before it sends a dummy packet.
    pub dummy_interval: Option<Duration>,
    /// The SA that seals.
    pub outbound: Sa,
    /// The SA that opens.
    pub inbound: Sa,
}

/// What the SAs of a tunnel do beyond carrying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Where the outer DSCP comes from.
    pub dscp: Dscp,
    /// Where the outer "don't fragment" comes from.
    pub dont_fragment: DontFragment,
    /// Whether sequence numbers have 64 bits.
    pub esn: bool,
    /// How lengths are hidden.
    pub tfc: Tfc,
    /// How long an SA may live.
    pub lifetime: Lifetime,
}

/// What holds where nothing is written.
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

/// How ESP is carried between gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// In UDP, destination port 4500 (RFC 3948).
    Udp {
        /// The source port.
        source_port: u16,
    },
    /// Right over IP, protocol 50.
    Esp,
}

/// How the cluster may change while it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescale {
    /// The file that keeps the tables. Without it the cluster cannot change.
    pub state: Option<PathBuf>,
    /// How often a marker goes through each gateway pair.
    pub probe_interval: Duration,
    /// A pair through which none came for so long is dead.
    pub dead_after: Duration,
    /// Packets that a worker holds at most.
    pub hold_packets: usize,
    /// How long it holds them at most.
    pub hold_time: Duration,
    /// What happens to them then.
    pub at_limit: AtLimit,
    /// How long a change waits for buckets to fall idle before it uses barriers.
    pub idle_time: Duration,
    /// Buckets that one barrier moves at most.
    pub batch: usize,
}

/// What holds where nothing is written.
impl Default for Rescale {
    fn default() -> Self {
        Self {
            state: None,
            probe_interval: Duration::from_millis(50),
            // Longer than any standstill that a worker may come back from, and short enough for a
            // flow to be heard again within a second.
            dead_after: Duration::from_millis(400),
            hold_packets: 4096,
            hold_time: Duration::from_secs(1),
            at_limit: AtLimit::Drop,
            idle_time: Duration::from_millis(100),
            batch: 1024,
        }
    }
}

/// One direction of a tunnel.
#[derive(Debug)]
pub struct Sa {
    /// The security parameters index.
    pub spi: Spi,
    /// Where the key came from; beside an outbound one stands its sequence reservation.
    pub key_file: PathBuf,
    /// Cipher and key.
    pub key: SaKey,
}
