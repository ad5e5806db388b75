//! The tables in memory: the source of the maps' contents, and of verdicts in the host's tools.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use causeway_steering::maps::{Destination, Gateway, Host};
use causeway_steering::{Address, BUCKETS, Bucket, SteerHash, Tables};
use ipnet::IpNet;

use crate::skew;

/// A gateway's placement: workers of this host, or another host of the subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Consecutive workers of this host.
    Local {
        first_worker: u16,
        /// The number of workers, at least 1.
        workers: u16,
    },
    /// A host of the NIC's subnet.
    Remote {
        address: IpAddr,
        /// The MAC address, once the neighbour entry is resolved.
        mac: Option<[u8; 6]>,
    },
}

impl Place {
    /// The address of a gateway on another host.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Remote { address, .. } => Some(*address),
            Self::Local { .. } => None,
        }
    }
}

impl From<Place> for Gateway {
    fn from(place: Place) -> Self {
        match place {
            Place::Local {
                first_worker,
                workers,
            } => Self {
                kind: Self::LOCAL,
                first_worker,
                workers,
                ..Self::default()
            },
            Place::Remote { mac: Some(mac), .. } => Self {
                kind: Self::REMOTE,
                mac: words(mac),
                ..Self::default()
            },
            Place::Remote { mac: None, .. } => Self {
                kind: Self::UNRESOLVED,
                ..Self::default()
            },
        }
    }
}

/// The tables of one peering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peering {
    /// The peer's prefixes.
    pub prefixes: Vec<IpNet>,
    /// The entry of each bucket.
    pub buckets: Vec<Bucket>,
}

impl Peering {
    /// A peering over a cluster: the indices of its gateways, in the order that both VPCs share.
    /// Buckets are dealt round-robin, so both VPCs get the same table.
    pub fn over(prefixes: Vec<IpNet>, cluster: &[u32]) -> Self {
        let direct = cluster
            .iter()
            .map(|&gateway| Bucket::direct(gateway as u16));
        Self {
            prefixes,
            buckets: direct.cycle().take(BUCKETS as usize).collect(),
        }
    }
}

/// All tables of one host.
#[derive(Clone, Debug)]
pub struct Steering {
    pub mac: [u8; 6],
    /// The NIC's addresses.
    pub own: HashSet<IpAddr>,
    /// The keyed hash; both VPCs share the key.
    pub hash: SteerHash,
    /// Peerings, by index.
    pub peerings: Vec<Peering>,
    /// Gateways, by index.
    pub gateways: Vec<Place>,
    /// The worker of each inbound SPI.
    pub workers: HashMap<u32, u32>,
    /// The pause after which a moving bucket changes its gateway.
    pub skew: Duration,
    /// The time of the verdict, by [`clock`](causeway_steering::bucket::clock). Only the entries of
    /// moving buckets depend on it.
    pub now: u32,
}

impl Steering {
    /// The host's own parameters, as the program reads them.
    pub fn host(&self) -> Host {
        Host {
            hash: self.hash,
            skew: skew::pause(self.skew),
            mac: words(self.mac),
            reserved: [0; 3],
        }
    }

    /// Every prefix and its owner. The addresses of the NIC and of gateways are the longest possible prefixes, so they
    /// take precedence over a peer's prefix that covers them. Of equal prefixes the last one is in force.
    pub fn destinations(&self) -> impl Iterator<Item = (IpNet, Destination)> + '_ {
        let own = self.own.iter().map(|&own| (own.into(), Destination::Own));
        let peers = self.peerings.iter().zip(0..).flat_map(|(peering, index)| {
            let prefixes = peering.prefixes.iter();
            prefixes.map(move |&prefix| (prefix, Destination::Peering(index)))
        });
        let gateways = self.gateways.iter().filter_map(|place| place.address());
        let gateways = gateways.map(|address| (address.into(), Destination::Gateway));
        peers.chain(gateways).chain(own)
    }
}

impl Tables for Steering {
    fn host(&self) -> Option<Host> {
        Some(Steering::host(self))
    }

    fn worker_of(&self, spi: u32) -> Option<u32> {
        self.workers.get(&spi).copied()
    }

    fn destination(&self, address: Address) -> Option<Destination> {
        let address = IpAddr::from(address);
        let covers = |(prefix, _): &(IpNet, Destination)| prefix.contains(&address);
        let longest = self.destinations().filter(covers);
        longest
            .max_by_key(|(prefix, _)| prefix.prefix_len())
            .map(|(_, destination)| destination)
    }

    /// As in the kernel program, except that a lookup moves no bucket.
    fn gateway_of(&self, peering: u32, bucket: u32, host: &Host) -> Option<u32> {
        let peering = self.peerings.get(peering as usize)?;
        let entry = peering.buckets.get(bucket as usize)?;
        Some(entry.route(|| self.now, host.skew).gateway.into())
    }

    fn gateway(&self, index: u32) -> Option<Gateway> {
        self.gateways.get(index as usize).copied().map(Into::into)
    }

    fn queue(&self) -> u32 {
        0
    }
}

fn words(mac: [u8; 6]) -> [u16; 3] {
    [0, 2, 4].map(|at| u16::from_be_bytes([mac[at], mac[at + 1]]))
}
