//! What the program steers by, in memory: written to the maps, and asked by the host's tools.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use causeway_steering::maps::{Destination, Gateway, Host};
use causeway_steering::{Address, BUCKETS, Bucket, SteerHash, Tables};
use ipnet::IpNet;

use crate::moves;

/// A gateway's place in the tables: local workers, or a host of the subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Workers of this host: `workers` of them from `first_worker` on.
    Local {
        /// Index of the first worker.
        first_worker: u16,
        /// How many, at least 1.
        workers: u16,
    },
    /// A host of the NIC's subnet, at this MAC address once its neighbour entry is resolved.
    Remote {
        /// The MAC address, if known.
        mac: Option<[u8; 6]>,
    },
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
            Place::Remote { mac: Some(mac) } => Self {
                kind: Self::REMOTE,
                mac: words(mac),
                ..Self::default()
            },
            Place::Remote { mac: None } => Self {
                kind: Self::UNRESOLVED,
                ..Self::default()
            },
        }
    }
}

/// A peering's part of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peering {
    /// The peer's prefixes.
    pub prefixes: Vec<IpNet>,
    /// For each bucket the gateways that carry it, by index.
    pub buckets: Vec<Bucket>,
}

impl Peering {
    /// A peering over a cluster: indices of its gateways, in the order that both VPCs share.
    /// Buckets are dealt in turn, so both sides come to the same table.
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

/// The whole of the tables.
#[derive(Clone, Debug)]
pub struct Steering {
    /// The NIC's MAC address.
    pub mac: [u8; 6],
    /// The NIC's addresses.
    pub own: HashSet<IpAddr>,
    /// The hash, whose key both VPCs share.
    pub hash: SteerHash,
    /// Peerings, by index.
    pub peerings: Vec<Peering>,
    /// Gateways, by index.
    pub gateways: Vec<Place>,
    /// The worker of each inbound SPI.
    pub workers: HashMap<u32, u32>,
    /// The pause after which a moving bucket goes over.
    pub skew: Duration,
    /// The moment for which a verdict is asked, by [`clock`](causeway_steering::bucket::clock). Only
    /// moving buckets heed it.
    pub now: u32,
}

impl Steering {
    /// The host's own facts as the program reads them.
    pub fn host(&self) -> Host {
        Host {
            hash: self.hash,
            skew: moves::pause(self.skew),
            mac: words(self.mac),
            reserved: [0; 3],
        }
    }

    /// Every prefix that is told apart, and what it stands for. The NIC's own addresses are the
    /// longest there can be, so they win over a peer's prefix that covers them.
    pub fn destinations(&self) -> impl Iterator<Item = (IpNet, Destination)> + '_ {
        let own = self.own.iter().map(|&own| (own.into(), Destination::Own));
        let peers = self.peerings.iter().zip(0..).flat_map(|(peering, index)| {
            let prefixes = peering.prefixes.iter();
            prefixes.map(move |&prefix| (prefix, Destination::Peering(index)))
        });
        peers.chain(own)
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

    /// What the kernel program would say now; unlike there, asking moves no bucket.
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
