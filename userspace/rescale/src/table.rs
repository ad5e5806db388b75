//! The table of a peering: the pair that carries each bucket.
//!
//! A table is a function of the first cluster and of all changes since, so equal histories give equal
//! tables on all hosts. `shares` computes how many buckets each weight gets, `moves` which buckets a
//! change moves, `overlay` which live pairs replace dead ones, and `id` the digest of a table.

mod id;
mod member;
mod moves;
mod overlay;
mod shares;

use std::collections::BTreeSet;
use std::net::IpAddr;

use causeway_steering::{BUCKETS, MAX_GATEWAYS};
use serde::{Deserialize, Serialize};

use crate::change::{Change, Ordinal, Weight};
use crate::message::TableId;

pub use member::Member;
pub use moves::Move;

/// A peering's table at one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredTable", into = "StoredTable")]
pub struct Table {
    epoch: u64,
    before: u64,
    next_ordinal: u16,
    members: Vec<Member>,
    buckets: Vec<Ordinal>,
}

/// The effect of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The table of the next epoch.
    pub table: Table,
    /// The buckets that move, in ascending order.
    pub moves: Vec<Move>,
}

/// Why the table does not permit a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the cluster has no gateway {name:?}; its gateways are: {known}")]
    UnknownGateway {
        name: String,
        /// The names of the cluster's gateways.
        known: String,
    },
    #[error("gateway {name:?} is already in the cluster; use `weight` to change its share")]
    AlreadyThere { name: String },
    #[error(
        "gateway {name:?} is the last one with buckets; add another gateway or give one a weight first"
    )]
    LastGateway { name: String },
    #[error(
        "gateway {name:?} is already drained; use `remove` to remove it or `weight` to bring it back"
    )]
    AlreadyDrained { name: String },
    #[error("gateway {name:?} already has weight {weight}")]
    SameWeight { name: String, weight: u8 },
    #[error("a cluster has at most {max} gateways; remove one first", max = MAX_GATEWAYS)]
    TooMany,
    #[error("this peering has used all 65,535 ordinals; configure the peering anew in both VPCs")]
    NoNumbersLeft,
}

impl Table {
    /// The table at epoch 0 of a cluster: names and weights in the order that both VPCs share.
    /// `None` if the cluster is empty or has more than [`MAX_GATEWAYS`] gateways.
    pub fn new(cluster: impl IntoIterator<Item = (String, Weight)>) -> Option<Self> {
        let members: Vec<Member> = cluster
            .into_iter()
            .zip(0..)
            .map(|((name, weight), ordinal)| Member {
                ordinal: Ordinal(ordinal),
                name,
                address: None,
                weight: Some(weight),
            })
            .collect();
        if members.is_empty() || members.len() > MAX_GATEWAYS as usize {
            return None;
        }
        let mut table = Self {
            epoch: 0,
            before: 0,
            next_ordinal: members.len() as u16,
            buckets: shares::deal(&members),
            members,
        };
        table.before = table.id().digest;
        Some(table)
    }

    /// The number of changes that led to this table.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The gateways, in the order in which they joined.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// This VPC's gateway of a pair.
    pub fn pair(&self, ordinal: Ordinal) -> Option<&Member> {
        self.members.iter().find(|member| member.ordinal == ordinal)
    }

    /// For each bucket the pair that carries it while all are alive.
    pub fn buckets(&self) -> &[Ordinal] {
        &self.buckets
    }

    /// The number of buckets that a pair carries while all are alive.
    pub fn share(&self, ordinal: Ordinal) -> usize {
        self.buckets.iter().filter(|&&at| at == ordinal).count()
    }

    /// Epoch and digests, which identify the table.
    pub fn id(&self) -> TableId {
        id::of(self.epoch, self.before, &self.members, &self.buckets)
    }

    /// For each bucket the pair that carries it while the `dead` pairs are dead. Each bucket of a dead
    /// pair is assigned independently, so the order of deaths does not matter. If all pairs are dead,
    /// no bucket moves.
    pub fn without(&self, dead: &BTreeSet<Ordinal>) -> Vec<Ordinal> {
        overlay::without(&self.members, &self.buckets, dead)
    }

    /// The effect of a change. `address` is the host of a joining gateway that is not in the
    /// configuration.
    ///
    /// # Errors
    /// If the table does not permit the change.
    pub fn change(&self, change: &Change, address: Option<IpAddr>) -> Result<Planned, Refusal> {
        let mut next = self.clone();
        match change {
            Change::Add { name, weight } => next.add(name, *weight, address)?,
            Change::Drain { name } => {
                let member = next.named(name)?;
                if member.weight.take().is_none() {
                    return Err(Refusal::AlreadyDrained { name: name.clone() });
                }
                next.check_carried(name)?;
            }
            Change::Remove { name } => {
                let ordinal = next.named(name)?.ordinal;
                next.members.retain(|member| member.ordinal != ordinal);
                next.check_carried(name)?;
            }
            Change::Weight { name, weight } => {
                let member = next.named(name)?;
                if member.weight.replace(*weight) == Some(*weight) {
                    return Err(Refusal::SameWeight {
                        name: name.clone(),
                        weight: weight.get(),
                    });
                }
            }
        }
        next.epoch = self.epoch.saturating_add(1);
        next.before = self.id().digest;
        let moves = moves::between(&self.buckets, &next.members);
        for each in &moves {
            next.buckets[each.bucket as usize] = each.to;
        }
        Ok(Planned { table: next, moves })
    }

    fn add(&mut self, name: &str, weight: Weight, address: Option<IpAddr>) -> Result<(), Refusal> {
        if self.member(name).is_some() {
            return Err(Refusal::AlreadyThere { name: name.into() });
        }
        if self.members.len() >= MAX_GATEWAYS as usize {
            return Err(Refusal::TooMany);
        }
        let ordinal = Ordinal(self.next_ordinal);
        self.next_ordinal = match self.next_ordinal.checked_add(1) {
            Some(next) => next,
            None => return Err(Refusal::NoNumbersLeft),
        };
        self.members.push(Member {
            ordinal,
            name: name.into(),
            address,
            weight: Some(weight),
        });
        Ok(())
    }

    fn named(&mut self, name: &str) -> Result<&mut Member, Refusal> {
        let known = || {
            let names: Vec<&str> = self.members.iter().map(|m| m.name.as_str()).collect();
            names.join(", ")
        };
        let Some(at) = self.members.iter().position(|member| member.name == name) else {
            return Err(Refusal::UnknownGateway {
                name: name.into(),
                known: known(),
            });
        };
        Ok(&mut self.members[at])
    }

    fn check_carried(&self, name: &str) -> Result<(), Refusal> {
        match self.members.iter().any(|member| member.weight.is_some()) {
            true => Ok(()),
            false => Err(Refusal::LastGateway { name: name.into() }),
        }
    }
}

/// The file format of a table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredTable {
    epoch: u64,
    before: u64,
    next_ordinal: u16,
    members: Vec<Member>,
    buckets: Vec<Ordinal>,
}

impl From<Table> for StoredTable {
    fn from(table: Table) -> Self {
        let Table {
            epoch,
            before,
            next_ordinal,
            members,
            buckets,
        } = table;
        Self {
            epoch,
            before,
            next_ordinal,
            members,
            buckets,
        }
    }
}

/// Why a file contains no valid table.
#[derive(Debug, thiserror::Error)]
enum InvalidTable {
    #[error("expected {BUCKETS} buckets, got {0}")]
    Buckets(usize),
    #[error("expected 1 to {MAX_GATEWAYS} members, got {0}")]
    Members(usize),
    #[error("ordinal {0} occurs twice, or is not below next-ordinal")]
    Ordinal(u16),
    #[error("the name {0:?} occurs twice")]
    Name(String),
    #[error(
        "bucket {bucket} is assigned to ordinal {ordinal}, which is not a member with a weight"
    )]
    Bucket { bucket: usize, ordinal: u16 },
}

impl TryFrom<StoredTable> for Table {
    type Error = InvalidTable;

    fn try_from(stored: StoredTable) -> Result<Self, InvalidTable> {
        let StoredTable {
            epoch,
            before,
            next_ordinal,
            members,
            buckets,
        } = stored;
        if buckets.len() != BUCKETS as usize {
            return Err(InvalidTable::Buckets(buckets.len()));
        }
        if members.is_empty() || members.len() > MAX_GATEWAYS as usize {
            return Err(InvalidTable::Members(members.len()));
        }
        for (place, member) in members.iter().enumerate() {
            let others = &members[..place];
            let number = member.ordinal;
            if number.0 >= next_ordinal || others.iter().any(|other| other.ordinal == number) {
                return Err(InvalidTable::Ordinal(number.0));
            }
            if others.iter().any(|other| other.name == member.name) {
                return Err(InvalidTable::Name(member.name.clone()));
            }
        }
        let carries = |ordinal: Ordinal| {
            let weighted = |member: &Member| member.ordinal == ordinal && member.weight.is_some();
            members.iter().any(weighted)
        };
        if let Some(bucket) = buckets.iter().position(|&ordinal| !carries(ordinal)) {
            let ordinal = buckets[bucket].0;
            return Err(InvalidTable::Bucket { bucket, ordinal });
        }
        Ok(Self {
            epoch,
            before,
            next_ordinal,
            members,
            buckets,
        })
    }
}
