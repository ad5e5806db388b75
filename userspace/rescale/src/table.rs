//! Which pair carries each bucket of a peering.
//!
//! A table is a function of the cluster it began with and the changes since, so two hosts that know
//! the same have the same table. `shares` says how many buckets a weight is worth, `moves` which
//! ones change hands, `overlay` what stands in for pairs that are dead, `id` how two tables are
//! told apart.

mod id;
mod moves;
mod overlay;
mod shares;

use std::net::IpAddr;

use causeway_steering::{BUCKETS, MAX_GATEWAYS};
use serde::{Deserialize, Serialize};

use crate::message::TableId;
use crate::{Change, Ordinal, Weight};

/// A gateway of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Member {
    /// Its pair's number.
    pub ordinal: Ordinal,
    /// Its name in this VPC.
    pub name: String,
    /// Where its host is, if it joined at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Its weight; none if it is drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}

/// A peering's table at one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Table {
    epoch: u64,
    before: u64,
    next_ordinal: u16,
    members: Vec<Member>,
    buckets: Vec<Ordinal>,
}

/// A bucket that changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The bucket.
    pub bucket: u32,
    /// The pair that carried it.
    pub from: Ordinal,
    /// The pair that will.
    pub to: Ordinal,
}

/// What a change would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The table of the next epoch.
    pub table: Table,
    /// The buckets that change hands, in rising order.
    pub moves: Vec<Move>,
}

/// Why a change cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such gateway.
    #[error("there is no gateway {name:?} in the cluster; there are: {known}")]
    UnknownGateway {
        /// What was asked for.
        name: String,
        /// The names of the cluster.
        known: String,
    },
    /// It is there already.
    #[error("{name:?} is in the cluster already; `weight` changes its share")]
    AlreadyThere {
        /// Its name.
        name: String,
    },
    /// Nobody would be left.
    #[error(
        "{name:?} is the last gateway with buckets; add another one, or give one a weight, first"
    )]
    LastGateway {
        /// Its name.
        name: String,
    },
    /// It has no buckets already.
    #[error("{name:?} is drained already; `remove` takes it out, `weight` brings it back")]
    AlreadyDrained {
        /// Its name.
        name: String,
    },
    /// Nothing would change.
    #[error("{name:?} has weight {weight} already")]
    SameWeight {
        /// Its name.
        name: String,
        /// The weight.
        weight: u8,
    },
    /// The tables have no room.
    #[error("a cluster has at most {max} gateways; remove one first", max = MAX_GATEWAYS)]
    TooMany,
    /// The numbers are used up.
    #[error("this peering has used all 65,535 numbers of gateways; make it anew in both VPCs")]
    NoNumbersLeft,
}

impl Table {
    /// The table at epoch 0 of a cluster: names and weights in the order that both VPCs share.
    /// `None` where there are no gateways, or more than [`MAX_GATEWAYS`].
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

    /// How many changes it has seen.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Its gateways, in the order in which they joined.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The gateway with this name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The gateway of this pair.
    pub fn pair(&self, ordinal: Ordinal) -> Option<&Member> {
        self.members.iter().find(|member| member.ordinal == ordinal)
    }

    /// For each bucket the pair that carries it while all are alive.
    pub fn buckets(&self) -> &[Ordinal] {
        &self.buckets
    }

    /// How many buckets a pair carries while all are alive.
    pub fn share(&self, ordinal: Ordinal) -> usize {
        self.buckets.iter().filter(|&&at| at == ordinal).count()
    }

    /// What tells it from other tables.
    pub fn id(&self) -> TableId {
        id::of(self)
    }

    /// For each bucket the pair that carries it while the `dead` are dead. A dead pair's buckets go
    /// to live ones, each by itself, so whoever dies first, the end is the same. With nobody alive,
    /// nothing moves.
    pub fn without(&self, dead: &std::collections::BTreeSet<Ordinal>) -> Vec<Ordinal> {
        overlay::without(self, dead)
    }

    /// What a change would do. `address`: where a gateway's host is that joins and is not in the
    /// configuration.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn change(&self, change: &Change, address: Option<IpAddr>) -> Result<Planned, Refusal> {
        let mut next = self.clone();
        match change {
            Change::Add { name, weight } => next.add(name, *weight, address)?,
            Change::Drain { name } => {
                let member = next.named(name)?;
                if member.weight.take().is_none() {
                    return Err(Refusal::AlreadyDrained { name: name.clone() });
                }
                next.still_carried(name)?;
            }
            Change::Remove { name } => {
                let ordinal = next.named(name)?.ordinal;
                next.members.retain(|member| member.ordinal != ordinal);
                next.still_carried(name)?;
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

    fn still_carried(&self, name: &str) -> Result<(), Refusal> {
        match self.members.iter().any(|member| member.weight.is_some()) {
            true => Ok(()),
            false => Err(Refusal::LastGateway { name: name.into() }),
        }
    }
}

/// A table as it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    epoch: u64,
    before: u64,
    next_ordinal: u16,
    members: Vec<Member>,
    buckets: Vec<Ordinal>,
}

impl From<Table> for Written {
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

/// What is written is no table.
#[derive(Debug, thiserror::Error)]
enum NoTable {
    #[error("expected {BUCKETS} buckets, got {0}")]
    Buckets(usize),
    #[error("expected 1 to {MAX_GATEWAYS} members, got {0}")]
    Members(usize),
    #[error("member {0} is there twice, or its number is not below next-ordinal")]
    Ordinal(u16),
    #[error("the name {0:?} is there twice")]
    Name(String),
    #[error("bucket {bucket} is with {ordinal}, which is no member with a weight")]
    Bucket { bucket: usize, ordinal: u16 },
}

impl TryFrom<Written> for Table {
    type Error = NoTable;

    fn try_from(written: Written) -> Result<Self, NoTable> {
        let Written {
            epoch,
            before,
            next_ordinal,
            members,
            buckets,
        } = written;
        if buckets.len() != BUCKETS as usize {
            return Err(NoTable::Buckets(buckets.len()));
        }
        if members.is_empty() || members.len() > MAX_GATEWAYS as usize {
            return Err(NoTable::Members(members.len()));
        }
        for (place, member) in members.iter().enumerate() {
            let others = &members[..place];
            let number = member.ordinal;
            if number.0 >= next_ordinal || others.iter().any(|other| other.ordinal == number) {
                return Err(NoTable::Ordinal(number.0));
            }
            if others.iter().any(|other| other.name == member.name) {
                return Err(NoTable::Name(member.name.clone()));
            }
        }
        let carries = |ordinal: Ordinal| {
            let weighted = |member: &Member| member.ordinal == ordinal && member.weight.is_some();
            members.iter().any(weighted)
        };
        if let Some(bucket) = buckets.iter().position(|&ordinal| !carries(ordinal)) {
            let ordinal = buckets[bucket].0;
            return Err(NoTable::Bucket { bucket, ordinal });
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
