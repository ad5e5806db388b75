//! The names of the indices in the tables.

use std::net::IpAddr;

use causeway_steering::Address;
use ipnet::IpNet;

use causeway_api::explain::TableState;
use causeway_config::Plan;

/// The names of the indices in the tables.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The peerings, by index.
    pub peerings: Vec<Peering>,
    /// The names of the gateways, with the addresses of those on other hosts, by index.
    pub gateways: Vec<(String, Option<IpAddr>)>,
    /// Whether the tables are those of a running role, which has resolved the MAC addresses of its gateways.
    pub live: bool,
}

#[derive(Clone, Debug)]
pub struct Peering {
    pub name: String,
    pub prefixes: Vec<IpNet>,
    /// The state of the peering's table, at a demux.
    pub table: Option<TableState>,
}

impl Names {
    /// The names of a plan's peerings, without gateways.
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

    /// The name of a peering, and its prefix that contains an address. Prefixes of a peering do not overlap, so there is one at
    /// most.
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

    pub(super) fn table(&self, index: u32) -> Option<TableState> {
        let peering = self.peerings.get(index as usize)?;
        peering.table.clone()
    }

    pub(super) fn gateway(&self, index: u32) -> String {
        match self.gateways.get(index as usize) {
            Some((name, _)) => name.clone(),
            None => format!("number {index}"),
        }
    }

    /// The address of a gateway on another host.
    pub(super) fn address(&self, index: u32) -> Option<IpAddr> {
        let (_, address) = self.gateways.get(index as usize)?;
        *address
    }

    /// The MAC address of a remote gateway, if the tables have resolved ones.
    pub(super) fn resolved_mac(&self, halves: [u16; 3]) -> Option<String> {
        self.live.then(|| mac(halves))
    }
}

/// A MAC address in colon notation.
pub(super) fn mac(halves: [u16; 3]) -> String {
    let octets = halves.map(u16::to_be_bytes).concat();
    let digits: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    digits.join(":")
}
