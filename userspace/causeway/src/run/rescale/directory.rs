//! The gateways that this host knows, by their place in the program's table: those of the
//! configuration, and those that join later.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use causeway_demux::steering::Place;
use causeway_steering::MAX_GATEWAYS;
use ipnet::IpNet;

use crate::config::{Gateway, Plan};

/// Where a gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// On this host, by its agent's place.
    Local(usize),
    /// On another host.
    Remote(IpAddr),
}

/// Why a gateway cannot join.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// Nobody knows where it is.
    #[error("{name:?} is not in the configuration: say with --address where its host is")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// It is elsewhere.
    #[error("{name:?} is known at {known}; leave --address out, or give the gateway another name")]
    Elsewhere {
        /// Its name.
        name: String,
        /// Where it is.
        known: String,
    },
    /// Another one is there.
    #[error("{address} is the address of {other:?}; each gateway has a host of its own")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Whose it is.
        other: String,
    },
    /// It has no workers.
    #[error(
        "{name:?} is not in the configuration, and this demux has its gateways on its own host: add a [[gateway]] with workers and restart"
    )]
    NotHere {
        /// Its name.
        name: String,
    },
    /// It cannot be a neighbour.
    #[error("{address} is in no subnet of the NIC; a gateway's host is a neighbour of its demux")]
    NotOnLink {
        /// Its address.
        address: IpAddr,
    },
    /// The table is full.
    #[error("a demux knows at most {MAX_GATEWAYS} gateways at a time; remove one first")]
    Full,
}

/// All gateways.
#[derive(Debug)]
pub struct Directory {
    subnets: Vec<IpNet>,
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    at: Whereabouts,
    configured: bool,
    /// The peerings that it joined at run time.
    joined: BTreeSet<u32>,
    /// Whether the program knows the way to it.
    resolved: bool,
}

impl Directory {
    /// Those of a plan, in the NIC's subnets.
    pub fn new(plan: &Plan, subnets: Vec<IpNet>) -> Self {
        let mut agents = 0..;
        let entries = plan.gateways.iter().map(|gateway| Entry {
            name: gateway.name.clone(),
            at: match gateway.is_local().then(|| agents.next()).flatten() {
                Some(agent) => Whereabouts::Local(agent),
                None => Whereabouts::Remote(gateway.address),
            },
            configured: true,
            joined: BTreeSet::new(),
            resolved: gateway.is_local(),
        });
        Self {
            subnets,
            entries: Mutex::new(entries.collect()),
        }
    }

    /// The place of a gateway in the program's table.
    pub fn index(&self, name: &str) -> Option<u32> {
        let entries = self.lock();
        let at = entries.iter().position(|entry| entry.name == name);
        at.map(|at| at as u32)
    }

    /// Where a gateway is, if packets reach it.
    pub fn reachable(&self, name: &str) -> Option<Whereabouts> {
        let entries = self.lock();
        let mut entries = entries.iter();
        entries
            .find(|entry| entry.name == name && entry.resolved)
            .map(|entry| entry.at)
    }

    /// The name of the gateway with this address.
    pub fn at(&self, address: IpAddr) -> Option<String> {
        let entries = self.lock();
        let mut entries = entries.iter();
        entries
            .find(|entry| entry.at == Whereabouts::Remote(address) && !entry.is_free())
            .map(|entry| entry.name.clone())
    }

    /// All names, in the program's order.
    pub fn names(&self) -> Vec<String> {
        self.lock().iter().map(|entry| entry.name.clone()).collect()
    }

    /// All of them as the program is told at its start: remote ones are not resolved yet.
    pub fn places(&self, plan: &Plan) -> Vec<Place> {
        let workers = |gateway: &Gateway| {
            gateway.workers.first().map(|first| Place::Local {
                first_worker: first.id as u16,
                workers: gateway.workers.len() as u16,
            })
        };
        let remote = Place::Remote { mac: None };
        let known = plan.gateways.iter().map(workers);
        let later = std::iter::repeat(None);
        known
            .chain(later)
            .take(self.lock().len())
            .map(|local| local.unwrap_or(remote))
            .collect()
    }

    /// All names, and where those on other hosts are, in the program's order.
    pub fn gateways(&self) -> Vec<(String, Option<IpAddr>)> {
        let entries = self.lock();
        let entries = entries.iter().map(|entry| match entry.at {
            Whereabouts::Remote(address) => (entry.name.clone(), Some(address)),
            Whereabouts::Local(_) => (entry.name.clone(), None),
        });
        entries.collect()
    }

    /// Those on other hosts: their places and addresses.
    pub fn remote(&self) -> Vec<(u32, IpAddr)> {
        let entries = self.lock();
        let entries = entries.iter().zip(0..);
        entries
            .filter_map(|(entry, index)| match entry.at {
                Whereabouts::Remote(address) => Some((index, address)),
                Whereabouts::Local(_) => None,
            })
            .collect()
    }

    /// The program knows the way to a gateway, or does not any more.
    pub fn resolved(&self, index: u32, resolved: bool) {
        if let Some(entry) = self.lock().get_mut(index as usize) {
            entry.resolved = resolved;
        }
    }

    /// Gives a gateway that joins a peering its place.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn admit(&self, peering: u32, name: &str, given: Option<IpAddr>) -> Result<(), NoPlace> {
        let mut entries = self.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.name == name) {
            if given.is_some_and(|given| entry.at != Whereabouts::Remote(given)) {
                return Err(NoPlace::Elsewhere {
                    name: name.into(),
                    known: match entry.at {
                        Whereabouts::Remote(address) => address.to_string(),
                        Whereabouts::Local(_) => "this host".into(),
                    },
                });
            }
            entry.joined.insert(peering);
            return Ok(());
        }
        if entries
            .iter()
            .any(|e| matches!(e.at, Whereabouts::Local(_)))
        {
            return Err(NoPlace::NotHere { name: name.into() });
        }
        let Some(address) = given else {
            return Err(NoPlace::Unknown { name: name.into() });
        };
        let at = Whereabouts::Remote(address);
        if let Some(other) = entries
            .iter()
            .find(|entry| entry.at == at && !entry.is_free())
        {
            let other = other.name.clone();
            return Err(NoPlace::Taken { address, other });
        }
        if !self.subnets.iter().any(|subnet| subnet.contains(&address)) {
            return Err(NoPlace::NotOnLink { address });
        }
        let entry = Entry {
            name: name.into(),
            at,
            configured: false,
            joined: [peering].into(),
            resolved: false,
        };
        // A new place first: the counters of an old one are another gateway's.
        if entries.len() < MAX_GATEWAYS as usize {
            entries.push(entry);
            return Ok(());
        }
        let free = entries.iter_mut().find(|entry| entry.is_free());
        *free.ok_or(NoPlace::Full)? = entry;
        Ok(())
    }

    /// A gateway has left a peering, or did not join after all.
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
    /// Whether its place may be another's.
    fn is_free(&self) -> bool {
        !self.configured && self.joined.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(configured: &[(&str, Whereabouts)]) -> Directory {
        let entries = configured.iter().map(|&(name, at)| Entry {
            name: name.to_owned(),
            at,
            configured: true,
            joined: BTreeSet::new(),
            resolved: matches!(at, Whereabouts::Local(_)),
        });
        Directory {
            subnets: vec!["10.1.0.100/24".parse().unwrap()],
            entries: Mutex::new(entries.collect()),
        }
    }

    fn host(last: u8) -> IpAddr {
        [10, 1, 0, last].into()
    }

    fn remote(last: u8) -> Whereabouts {
        Whereabouts::Remote(host(last))
    }

    #[test]
    fn a_gateway_that_joins_is_reached_once_the_program_knows_the_way() {
        let known = directory(&[("gateway-1", remote(101))]);
        assert_eq!(known.admit(0, "gateway-2", Some(host(102))), Ok(()));
        assert_eq!(known.index("gateway-2"), Some(1));
        assert_eq!(known.at(host(102)).as_deref(), Some("gateway-2"));
        assert_eq!(known.remote(), [(0, host(101)), (1, host(102))]);
        assert_eq!(known.reachable("gateway-2"), None);
        known.resolved(1, true);
        assert_eq!(known.reachable("gateway-2"), Some(remote(102)));
        known.resolved(1, false);
        assert_eq!(known.reachable("gateway-2"), None);
    }

    #[test]
    fn who_cannot_join_is_told_why() {
        let known = directory(&[("gateway-1", remote(101))]);
        let name = || "gateway-2".to_owned();
        for (given, refusal) in [
            (None, NoPlace::Unknown { name: name() }),
            (
                Some(host(101)),
                NoPlace::Taken {
                    address: host(101),
                    other: "gateway-1".to_owned(),
                },
            ),
            (
                Some([10, 2, 0, 102].into()),
                NoPlace::NotOnLink {
                    address: [10, 2, 0, 102].into(),
                },
            ),
        ] {
            assert_eq!(known.admit(0, "gateway-2", given), Err(refusal));
        }
        assert_eq!(
            known.admit(0, "gateway-1", Some(host(102))),
            Err(NoPlace::Elsewhere {
                name: "gateway-1".to_owned(),
                known: host(101).to_string(),
            })
        );
        assert_eq!(known.names(), ["gateway-1"]);

        let local = directory(&[("gateway-1", Whereabouts::Local(0))]);
        let refusal = NoPlace::NotHere { name: name() };
        assert_eq!(local.admit(0, "gateway-2", Some(host(102))), Err(refusal));
        assert_eq!(local.admit(0, "gateway-1", None), Ok(()));
    }

    #[test]
    fn a_place_is_anothers_only_when_every_peering_has_left_it_and_none_is_new() {
        let known = directory(&[]);
        for last in 0..MAX_GATEWAYS as u8 {
            let name = format!("gateway-{last}");
            assert_eq!(known.admit(0, &name, Some(host(last))), Ok(()));
        }
        let join = || known.admit(0, "late", Some(host(200)));
        assert_eq!(known.admit(1, "gateway-7", None), Ok(()));
        known.dismiss(0, "gateway-7");
        assert_eq!(join(), Err(NoPlace::Full));
        known.dismiss(1, "gateway-7");
        assert_eq!(known.at(host(7)), None);
        assert_eq!(join(), Ok(()));
        assert_eq!(known.index("late"), Some(7));
        assert_eq!(known.index("gateway-7"), None);
    }
}
