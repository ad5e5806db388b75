//! The gateways that this host can reach: those of the configuration, and those that were added at run time. The index of
//! an entry is the gateway's index in the program's table.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use causeway_demux::steering::Place;
use causeway_steering::MAX_GATEWAYS;
use ipnet::IpNet;
use tokio::sync::watch;

use causeway_config::Plan;

/// Where a gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayLocation {
    /// On this host, with the index of its responder.
    Local(usize),
    /// On another host.
    Remote(IpAddr),
}

/// Why a gateway cannot be added.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    #[error("{name:?} is not in the configuration; give the address of its host with --address")]
    AddressRequired { name: String },
    #[error(
        "{name:?} is already at {location}; leave out --address, or give the new gateway another name"
    )]
    OtherAddress { name: String, location: String },
    #[error("{address} is the address of {other:?}; each gateway needs a host of its own")]
    AddressInUse { address: IpAddr, other: String },
    #[error(
        "{name:?} is not in the configuration, and the gateways of this demux run on its own host: \
         add a [[gateway]] section with workers and restart"
    )]
    NoWorkers { name: String },
    #[error(
        "{address} is in no subnet of the NIC; the host of a gateway must be a neighbour of its demux"
    )]
    NotOnLink { address: IpAddr },
    #[error(
        "the program's table has room for {MAX_GATEWAYS} gateways and is full; remove one first"
    )]
    Full,
}

/// The gateways of all peerings.
#[derive(Debug)]
pub struct Directory {
    subnets: Vec<IpNet>,
    entries: Mutex<Vec<Entry>>,
    /// Told when a gateway has come.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    location: GatewayLocation,
    configured: bool,
    /// The peerings to which the gateway was added at run time.
    joined: BTreeSet<u32>,
    /// Whether the program has the gateway's MAC address.
    resolved: bool,
}

impl Directory {
    /// The gateways of a plan. A gateway that is added later must be in one of `subnets`.
    pub fn new(plan: &Plan, subnets: Vec<IpNet>) -> Self {
        let mut responders = 0..;
        let entries = plan.gateways.iter().map(|gateway| Entry {
            name: gateway.name.clone(),
            location: match gateway.is_local().then(|| responders.next()).flatten() {
                Some(responder) => GatewayLocation::Local(responder),
                None => GatewayLocation::Remote(gateway.address),
            },
            configured: true,
            joined: BTreeSet::new(),
            resolved: gateway.is_local(),
        });
        Self {
            subnets,
            entries: Mutex::new(entries.collect()),
            changed: watch::Sender::new(()),
        }
    }

    /// The index of a gateway in the program's table.
    pub fn index(&self, name: &str) -> Option<u32> {
        let entries = self.lock();
        let index = entries.iter().position(|entry| entry.name == name);
        index.map(|index| index as u32)
    }

    /// The location of a gateway. `None` while the program has no MAC address for it.
    pub fn reachable(&self, name: &str) -> Option<GatewayLocation> {
        let entries = self.lock();
        let mut entries = entries.iter();
        entries
            .find(|entry| entry.name == name && entry.resolved)
            .map(|entry| entry.location)
    }

    /// The name of the gateway with this address.
    pub fn name_at(&self, address: IpAddr) -> Option<String> {
        let entries = self.lock();
        let mut entries = entries.iter();
        entries
            .find(|entry| entry.location == GatewayLocation::Remote(address) && !entry.is_free())
            .map(|entry| entry.name.clone())
    }

    /// The names of the gateways without a MAC address.
    pub fn unresolved(&self) -> Vec<String> {
        let entries = self.lock();
        let entries = entries.iter().filter(|entry| !entry.resolved);
        entries.map(|entry| entry.name.clone()).collect()
    }

    /// The names of all gateways, by index.
    pub fn names(&self) -> Vec<String> {
        self.lock().iter().map(|entry| entry.name.clone()).collect()
    }

    /// The placements of all gateways at the start, by index. No remote gateway is resolved yet.
    pub fn placements(&self, plan: &Plan) -> Vec<Place> {
        let workers = |name: &str| {
            let mut gateways = plan.gateways.iter();
            let local = gateways.find(|gateway| gateway.name == name);
            local.map_or(&[][..], |gateway| &gateway.workers)
        };
        let place = |entry: &Entry| match entry.location {
            GatewayLocation::Remote(address) => Place::Remote { address, mac: None },
            GatewayLocation::Local(_) => {
                let workers = workers(&entry.name);
                Place::Local {
                    first_worker: workers.first().map_or(0, |first| first.id as u16),
                    workers: workers.len() as u16,
                }
            }
        };
        self.lock().iter().map(place).collect()
    }

    /// The names of all gateways, with the addresses of those on other hosts, by index.
    pub fn gateways(&self) -> Vec<(String, Option<IpAddr>)> {
        let entries = self.lock();
        let entries = entries.iter().map(|entry| match entry.location {
            GatewayLocation::Remote(address) => (entry.name.clone(), Some(address)),
            GatewayLocation::Local(_) => (entry.name.clone(), None),
        });
        entries.collect()
    }

    /// The indices and addresses of the gateways on other hosts.
    pub fn remote_gateways(&self) -> Vec<(u32, IpAddr)> {
        let entries = self.lock();
        let entries = entries.iter().zip(0..);
        entries
            .filter_map(|(entry, index)| match entry.location {
                GatewayLocation::Remote(address) => Some((index, address)),
                GatewayLocation::Local(_) => None,
            })
            .collect()
    }

    /// Records whether the program has a gateway's MAC address.
    pub fn set_resolved(&self, index: u32, resolved: bool) {
        if let Some(entry) = self.lock().get_mut(index as usize) {
            entry.resolved = resolved;
        }
    }

    /// Adds a gateway to a peering and gives it an index, unless it has one.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub fn admit(&self, peering: u32, name: &str, given: Option<IpAddr>) -> Result<(), AdmitError> {
        let mut entries = self.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.name == name) {
            if given.is_some_and(|given| entry.location != GatewayLocation::Remote(given)) {
                return Err(AdmitError::OtherAddress {
                    name: name.into(),
                    location: match entry.location {
                        GatewayLocation::Remote(address) => address.to_string(),
                        GatewayLocation::Local(_) => "this host".into(),
                    },
                });
            }
            entry.joined.insert(peering);
            return Ok(());
        }
        if entries
            .iter()
            .any(|e| matches!(e.location, GatewayLocation::Local(_)))
        {
            return Err(AdmitError::NoWorkers { name: name.into() });
        }
        let Some(address) = given else {
            return Err(AdmitError::AddressRequired { name: name.into() });
        };
        let location = GatewayLocation::Remote(address);
        if let Some(other) = entries
            .iter()
            .find(|entry| entry.location == location && !entry.is_free())
        {
            let other = other.name.clone();
            return Err(AdmitError::AddressInUse { address, other });
        }
        if !self.subnets.iter().any(|subnet| subnet.contains(&address)) {
            return Err(AdmitError::NotOnLink { address });
        }
        let entry = Entry {
            name: name.into(),
            location,
            configured: false,
            joined: [peering].into(),
            resolved: false,
        };
        // A new index is preferred, because a freed one has the counters of another gateway.
        if entries.len() < MAX_GATEWAYS as usize {
            entries.push(entry);
        } else {
            let free = entries.iter_mut().find(|entry| entry.is_free());
            *free.ok_or(AdmitError::Full)? = entry;
        }
        self.changed.send_replace(());
        Ok(())
    }

    /// Tells when a gateway has come.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Removes a gateway from a peering.
    pub fn dismiss(&self, peering: u32, name: &str) {
        let mut entries = self.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.name == name) {
            entry.joined.remove(&peering);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether another gateway may take the index.
    fn is_free(&self) -> bool {
        !self.configured && self.joined.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateways(configured: &[(&str, GatewayLocation)]) -> Directory {
        let entries = configured.iter().map(|&(name, location)| Entry {
            name: name.to_owned(),
            location,
            configured: true,
            joined: BTreeSet::new(),
            resolved: matches!(location, GatewayLocation::Local(_)),
        });
        Directory {
            changed: watch::Sender::new(()),
            subnets: vec!["10.1.0.100/24".parse().unwrap()],
            entries: Mutex::new(entries.collect()),
        }
    }

    fn host(last: u8) -> IpAddr {
        [10, 1, 0, last].into()
    }

    fn remote(last: u8) -> GatewayLocation {
        GatewayLocation::Remote(host(last))
    }

    #[test]
    fn an_added_gateway_is_reachable_while_it_is_resolved() {
        let directory = gateways(&[("gateway-1", remote(101))]);
        assert_eq!(directory.admit(0, "gateway-2", Some(host(102))), Ok(()));
        assert_eq!(directory.index("gateway-2"), Some(1));
        assert_eq!(directory.name_at(host(102)).as_deref(), Some("gateway-2"));
        assert_eq!(
            directory.remote_gateways(),
            [(0, host(101)), (1, host(102))]
        );
        assert_eq!(directory.reachable("gateway-2"), None);
        directory.set_resolved(1, true);
        assert_eq!(directory.reachable("gateway-2"), Some(remote(102)));
        directory.set_resolved(1, false);
        assert_eq!(directory.reachable("gateway-2"), None);
    }

    #[test]
    fn each_refusal_has_its_error() {
        let directory = gateways(&[("gateway-1", remote(101))]);
        let name = || "gateway-2".to_owned();
        for (given, refusal) in [
            (None, AdmitError::AddressRequired { name: name() }),
            (
                Some(host(101)),
                AdmitError::AddressInUse {
                    address: host(101),
                    other: "gateway-1".to_owned(),
                },
            ),
            (
                Some([10, 2, 0, 102].into()),
                AdmitError::NotOnLink {
                    address: [10, 2, 0, 102].into(),
                },
            ),
        ] {
            assert_eq!(directory.admit(0, "gateway-2", given), Err(refusal));
        }
        assert_eq!(
            directory.admit(0, "gateway-1", Some(host(102))),
            Err(AdmitError::OtherAddress {
                name: "gateway-1".to_owned(),
                location: host(101).to_string(),
            })
        );
        assert_eq!(directory.names(), ["gateway-1"]);

        let local = gateways(&[("gateway-1", GatewayLocation::Local(0))]);
        let refusal = AdmitError::NoWorkers { name: name() };
        assert_eq!(local.admit(0, "gateway-2", Some(host(102))), Err(refusal));
        assert_eq!(local.admit(0, "gateway-1", None), Ok(()));
    }

    #[test]
    fn an_index_is_reused_when_no_peering_uses_it_and_no_new_one_is_left() {
        let directory = gateways(&[]);
        for last in 0..MAX_GATEWAYS as u8 {
            let name = format!("gateway-{last}");
            assert_eq!(directory.admit(0, &name, Some(host(last))), Ok(()));
        }
        let add = || directory.admit(0, "late", Some(host(200)));
        assert_eq!(directory.admit(1, "gateway-7", None), Ok(()));
        directory.dismiss(0, "gateway-7");
        assert_eq!(add(), Err(AdmitError::Full));
        directory.dismiss(1, "gateway-7");
        assert_eq!(directory.name_at(host(7)), None);
        assert_eq!(add(), Ok(()));
        assert_eq!(directory.index("late"), Some(7));
        assert_eq!(directory.index("gateway-7"), None);
    }
}
