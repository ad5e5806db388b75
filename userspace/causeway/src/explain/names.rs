//! What the tables' numbers are called.

use std::net::IpAddr;

use causeway_rescale::Table;
use causeway_steering::Address;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::story::mac;
use crate::config::Plan;
use crate::status::{self, PeerTable};

/// The names behind the tables' numbers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The peerings, by index.
    pub peerings: Vec<Peering>,
    /// The gateways' names and where those on other hosts are, by index.
    pub gateways: Vec<(String, Option<IpAddr>)>,
    /// Whether the tables are those of a role that runs, and has learned its gateways' MAC addresses.
    pub live: bool,
}

/// A peering by name.
#[derive(Clone, Debug)]
pub struct Peering {
    /// Its name.
    pub name: String,
    /// Its prefixes.
    pub prefixes: Vec<IpNet>,
    /// How its table stands, at a demux.
    pub table: Option<Standing>,
}

/// How a peering's table stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// How many changes it has seen.
    pub epoch: u64,
    /// What tells it from other tables.
    pub digest: String,
    /// The epoch to which the change under way leads.
    pub changing_to: Option<u64>,
    /// How the peer's table stands to it; none where no role runs.
    pub peer: Option<PeerTable>,
}

impl From<status::Table> for Standing {
    fn from(table: status::Table) -> Self {
        Self {
            epoch: table.epoch,
            digest: table.digest,
            changing_to: table.changing_to,
            peer: Some(table.peer),
        }
    }
}

impl From<&Table> for Standing {
    fn from(table: &Table) -> Self {
        let id = table.id();
        Self {
            epoch: id.epoch,
            digest: format!("{:016x}", id.digest),
            changing_to: None,
            peer: None,
        }
    }
}

impl Names {
    /// Those of a plan's peerings, without gateways.
    pub fn of(plan: &Plan) -> Self {
        let peerings = plan.peerings.iter().map(|peering| Peering {
            name: peering.name.clone(),
            prefixes: peering.prefixes.clone(),
            table: None,
        });
        Self {
            peerings: peerings.collect(),
            ..Self::default()
        }
    }

    /// A peering's name, and which of its prefixes covers an address. No two prefixes overlap,
    /// so the longest one is the only one.
    pub(super) fn peering(&self, index: u32, address: Address) -> (String, Option<IpNet>) {
        match self.peerings.get(index as usize) {
            Some(Peering { name, prefixes, .. }) => {
                let address = IpAddr::from(address);
                let covers = |prefix: &&IpNet| prefix.contains(&address);
                let longest = prefixes
                    .iter()
                    .filter(covers)
                    .max_by_key(|p| p.prefix_len());
                (name.clone(), longest.copied())
            }
            None => (format!("number {index}"), None),
        }
    }

    /// How a peering's table stands.
    pub(super) fn table(&self, index: u32) -> Option<Standing> {
        let peering = self.peerings.get(index as usize)?;
        peering.table.clone()
    }

    /// A gateway's name.
    pub(super) fn gateway(&self, index: u32) -> String {
        match self.gateways.get(index as usize) {
            Some((name, _)) => name.clone(),
            None => format!("number {index}"),
        }
    }

    /// Where a gateway on another host is.
    pub(super) fn address(&self, index: u32) -> Option<IpAddr> {
        let (_, address) = self.gateways.get(index as usize)?;
        *address
    }

    /// A remote gateway's MAC address, where it is more than a place in the tables.
    pub(super) fn learned(&self, words: [u16; 3]) -> Option<String> {
        self.live.then(|| mac(words))
    }
}
