//! Packets that the lab's own links dropped.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::topology::NIC;
use crate::{Lab, Site, tool};

#[derive(Deserialize)]
struct Link {
    ifname: String,
    stats64: Stats,
}

#[derive(Deserialize)]
struct Stats {
    rx: Counters,
    tx: Counters,
}

#[derive(Deserialize)]
struct Counters {
    dropped: u64,
}

/// Drops on the lab's links, from the kernel's counters.
#[derive(Clone, Debug, Default)]
pub struct LinkDrops {
    total: u64,
    towards: BTreeMap<Site, u64>,
}

impl LinkDrops {
    /// Reads the counters of the devices of all switches and roles.
    pub fn read(lab: &Lab) -> Result<Self> {
        let mut drops = Self::default();
        for vpc in [1, 2] {
            let sites = lab.sites(vpc);
            let switch = links(lab, Site::switch(vpc))?;
            drops.total += sum(&switch);
            for site in sites.into_iter().filter(|site| site.is_role()) {
                let own = links(lab, site)?;
                drops.total += sum(&own);
                // The sender counts a full ring, the receiver a frame without a buffer.
                let port = switch.iter().find(|link| link.ifname == site.port());
                let nic = own.iter().find(|link| link.ifname == NIC);
                let lost = port.map_or(0, |link| link.stats64.tx.dropped)
                    + nic.map_or(0, |link| link.stats64.rx.dropped);
                drops.towards.insert(site, lost);
            }
        }
        Ok(drops)
    }

    /// Drops on all devices of switches and roles.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Drops on the link from the switch to this role.
    pub fn towards(&self, site: Site) -> u64 {
        self.towards.get(&site).copied().unwrap_or(0)
    }
}

fn links(lab: &Lab, site: Site) -> Result<Vec<Link>> {
    let namespace = lab.namespace(site);
    let text = tool::run(Command::new("ip").args(["-n", &namespace, "-s", "-j", "link", "show"]))?;
    serde_json::from_str(&text).with_context(|| format!("`ip -s -j link` in {namespace}"))
}

fn sum(links: &[Link]) -> u64 {
    links
        .iter()
        .map(|link| link.stats64.rx.dropped + link.stats64.tx.dropped)
        .sum()
}
