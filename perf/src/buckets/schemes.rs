//! Ways to choose a gateway by a hash.

use std::hash::Hasher as _;

use anyhow::{Context, Result};
use causeway_rescale::{Change, Table, Weight};
use causeway_steering::BUCKETS;
use serde::Serialize;
use siphasher::sip::SipHasher13;

/// Entries of Maglev's table: a prime, the larger one of its paper.
pub const ENTRIES: u64 = 65_537;

/// A way to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// The remainder by the number of gateways.
    Modulo,
    /// The hash's range in equal parts, as many routers do for equal-cost paths (RFC 2992).
    Threshold,
    /// A table that gateways fill in turn, each in an order of its own (Eisenbud et al., "Maglev",
    /// NSDI 2016, section 3.4). Made anew for each cluster.
    Maglev,
    /// The bucket table. Made from the table before.
    Causeway,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Modulo, Self::Threshold, Self::Maglev, Self::Causeway];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modulo => "modulo",
            Self::Threshold => "threshold",
            Self::Maglev => "maglev",
            Self::Causeway => "causeway",
        }
    }
}

/// A scheme over one cluster, whose gateways are known by their numbers.
pub enum Steering {
    Modulo(Vec<u16>),
    Threshold(Vec<u16>),
    Maglev {
        cluster: Vec<u16>,
        entries: Vec<u16>,
    },
    Causeway(Table),
}

impl Steering {
    /// Over gateways 0 to `gateways` - 1.
    pub fn new(scheme: Scheme, gateways: u16) -> Result<Self> {
        let cluster = (0..gateways).collect();
        Ok(match scheme {
            Scheme::Modulo => Self::Modulo(cluster),
            Scheme::Threshold => Self::Threshold(cluster),
            Scheme::Maglev => Self::maglev(cluster),
            Scheme::Causeway => {
                let cluster = cluster
                    .into_iter()
                    .map(|number| (name(number), Weight::ONE));
                Self::Causeway(Table::new(cluster).context("no table has so many gateways")?)
            }
        })
    }

    /// The gateway of a flow.
    pub fn pick(&self, hash: u64) -> u16 {
        match self {
            Self::Modulo(cluster) => cluster[(hash % cluster.len() as u64) as usize],
            Self::Threshold(cluster) => {
                let part = (u128::from(hash) * cluster.len() as u128) >> 64;
                cluster[part as usize]
            }
            Self::Maglev { entries, .. } => entries[(hash % ENTRIES) as usize],
            // As `SteerHash::bucket` does.
            Self::Causeway(table) => table.buckets()[hash as usize & (BUCKETS as usize - 1)].0,
        }
    }

    /// After the next gateway has joined.
    pub fn with_one_more(&self) -> Result<Self> {
        let joined = |cluster: &[u16]| [cluster, &[cluster.len() as u16]].concat();
        Ok(match self {
            Self::Modulo(cluster) => Self::Modulo(joined(cluster)),
            Self::Threshold(cluster) => Self::Threshold(joined(cluster)),
            Self::Maglev { cluster, .. } => Self::maglev(joined(cluster)),
            Self::Causeway(table) => {
                let change = Change::Add {
                    name: name(table.members().len() as u16),
                    weight: Weight::ONE,
                };
                Self::Causeway(table.change(&change, None)?.table)
            }
        })
    }

    /// After a gateway has left.
    pub fn without(&self, gone: u16) -> Result<Self> {
        let left = |cluster: &[u16]| {
            cluster
                .iter()
                .copied()
                .filter(|&each| each != gone)
                .collect()
        };
        Ok(match self {
            Self::Modulo(cluster) => Self::Modulo(left(cluster)),
            Self::Threshold(cluster) => Self::Threshold(left(cluster)),
            Self::Maglev { cluster, .. } => Self::maglev(left(cluster)),
            Self::Causeway(table) => {
                let change = Change::Remove { name: name(gone) };
                Self::Causeway(table.change(&change, None)?.table)
            }
        })
    }

    /// Whether a gateway is in the cluster.
    pub fn has(&self, gateway: u16) -> bool {
        match self {
            Self::Modulo(cluster) | Self::Threshold(cluster) | Self::Maglev { cluster, .. } => {
                cluster.contains(&gateway)
            }
            Self::Causeway(table) => table.member(&name(gateway)).is_some(),
        }
    }

    /// The table, if there is one.
    pub fn entries(&self) -> Option<Vec<u16>> {
        match self {
            Self::Modulo(_) | Self::Threshold(_) => None,
            Self::Maglev { entries, .. } => Some(entries.clone()),
            Self::Causeway(table) => Some(table.buckets().iter().map(|pair| pair.0).collect()),
        }
    }

    fn maglev(cluster: Vec<u16>) -> Self {
        // Each gateway's next wish, and the step to the one after it.
        let mut wishes: Vec<(u64, u64)> = cluster
            .iter()
            .map(|&number| {
                (
                    digest(number, 0) % ENTRIES,
                    digest(number, 1) % (ENTRIES - 1) + 1,
                )
            })
            .collect();
        let mut entries: Vec<Option<u16>> = vec![None; ENTRIES as usize];
        let mut free = entries.len();
        for turn in (0..cluster.len()).cycle() {
            if free == 0 {
                break;
            }
            let (wish, step) = &mut wishes[turn];
            while entries[*wish as usize].is_some() {
                *wish = (*wish + *step) % ENTRIES;
            }
            entries[*wish as usize] = Some(cluster[turn]);
            free -= 1;
        }
        Self::Maglev {
            entries: entries.into_iter().flatten().collect(),
            cluster,
        }
    }
}

fn name(number: u16) -> String {
    format!("gateway-{number}")
}

/// Two hashes of a gateway's name.
fn digest(number: u16, which: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(which, 0);
    hasher.write(name(number).as_bytes());
    hasher.finish()
}
