//! What the tables' numbers are called.

use std::net::IpAddr;

use causeway_steering::Address;
use ipnet::IpNet;

use super::story::mac;
use crate::config::Plan;

/// The names behind the tables' numbers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The peerings' names and prefixes, by index.
    pub peerings: Vec<(String, Vec<IpNet>)>,
    /// The gateways' names and addresses, by index.
    pub gateways: Vec<(String, IpAddr)>,
    /// Whether the tables are those of a role that runs, and has learned its gateways' MAC addresses.
    pub live: bool,
}

impl Names {
    /// Those of a configuration, for the tables that it makes or for those of a role that runs.
    pub fn of(plan: &Plan, live: bool) -> Self {
        let peerings = plan.peerings.iter();
        let gateways = plan.gateways.iter();
        Self {
            peerings: peerings
                .map(|peering| (peering.name.clone(), peering.prefixes.clone()))
                .collect(),
            gateways: gateways
                .map(|gateway| (gateway.name.clone(), gateway.address))
                .collect(),
            live,
        }
    }

    /// A peering's name, and which of its prefixes covers an address. No two overlap, so the
    /// longest one is the only one.
    pub(super) fn peering(&self, index: u32, address: Address) -> (String, Option<IpNet>) {
        match self.peerings.get(index as usize) {
            Some((name, prefixes)) => {
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

    /// A gateway's name.
    pub(super) fn gateway(&self, index: u32) -> String {
        match self.gateways.get(index as usize) {
            Some((name, _)) => name.clone(),
            None => format!("number {index}"),
        }
    }

    /// A gateway's address.
    pub(super) fn address(&self, index: u32) -> Option<IpAddr> {
        self.gateways
            .get(index as usize)
            .map(|(_, address)| *address)
    }

    /// A remote gateway's MAC address, where it is more than a place in the tables.
    pub(super) fn learned(&self, words: [u16; 3]) -> Option<String> {
        self.live.then(|| mac(words))
    }
}
