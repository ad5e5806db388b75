//! Changes of a running cluster, by the requests that the controller's agent will make.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::topology::gateway_name;
use crate::{Lab, Site, config};

/// A change has limits of its own, which are shorter.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a demux is asked how far it is: rarely enough to be no load.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// A change of a cluster. Gateways count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A standby joins.
    Add(u8),
    /// A gateway gives its buckets to the others.
    Drain(u8),
    /// A gateway leaves.
    Remove(u8),
    /// A gateway's share becomes another.
    Weight(u8, u8),
}

/// What a change did in one VPC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "kebab-case"))]
pub struct Outcome {
    /// The table's epoch after it.
    pub epoch: u64,
    /// Buckets that moved while they were idle.
    pub moved_idle: u64,
    /// Buckets that moved behind a barrier.
    pub moved_by_barrier: u64,
    /// The fewest moves by which the change can be made.
    pub minimum: u64,
    /// Packets that were held.
    pub held: u64,
    /// Packets of those that were dropped.
    pub dropped: u64,
    /// Milliseconds that it took.
    pub elapsed_ms: u64,
}

/// How a demux steers its peering. Fields that the lab does not look at are left out.
#[derive(Clone, Debug, Deserialize)]
pub struct Table {
    /// How many changes it has seen.
    pub epoch: u64,
    /// What tells it from other tables.
    pub digest: String,
    /// The epoch to which the change under way leads.
    pub changing_to: Option<u64>,
    /// How the peer's stands to it: `same`, `ahead`, `behind`, `differs`, `unheard`.
    pub peer: String,
    /// Its gateway pairs.
    pub pairs: Vec<Pair>,
    /// Buckets that went from pair to pair.
    pub moved: Moved,
    /// Packets that gateways kept back meanwhile.
    pub held: Held,
    /// Times that the peer's table was found to have nothing in common with this one.
    pub differed: u64,
}

/// A gateway with its peer.
#[derive(Clone, Debug, Deserialize)]
pub struct Pair {
    /// The gateway's name.
    pub gateway: String,
    /// Buckets that it carries now.
    pub buckets: u64,
    /// `unknown`, `up`, `dead`, `fenced`, `drained`.
    pub state: String,
}

/// Buckets that went from pair to pair.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Moved {
    /// While they were idle.
    pub idle: u64,
    /// Behind a barrier.
    pub barrier: u64,
}

/// Packets that gateways kept back while buckets moved.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Held {
    /// All of them.
    pub packets: u64,
    /// Those that were dropped for lack of room or time.
    pub dropped: u64,
}

impl Table {
    /// The buckets of a gateway; it counts from 1.
    pub fn buckets(&self, gateway: u8) -> u64 {
        let name = gateway_name(gateway);
        let its = self.pairs.iter().find(|pair| pair.gateway == name);
        its.map_or(0, |pair| pair.buckets)
    }
}

impl Change {
    fn request(self) -> Value {
        let which = |number| json!({ "gateway": gateway_name(number), "peering": null });
        match self {
            Self::Add(number) => {
                let mut new = which(number);
                new["address"] = Value::Null;
                new["weight"] = Value::Null;
                json!({ "gateway-add": new })
            }
            Self::Drain(number) => json!({ "gateway-drain": which(number) }),
            Self::Remove(number) => json!({ "gateway-remove": which(number) }),
            Self::Weight(number, weight) => {
                let mut share = which(number);
                share["weight"] = weight.into();
                json!({ "gateway-weight": share })
            }
        }
    }
}

impl Lab {
    /// Makes a change in one VPC, and waits until it is done.
    ///
    /// # Errors
    /// The demux refuses; the error has its sentence.
    pub fn change(&self, vpc: u8, change: Change) -> Result<Outcome> {
        let answer = self.ask(Site::demux(vpc), &change.request())?;
        match answer.get("changed") {
            Some(outcome) => Ok(serde_json::from_value(outcome.clone())?),
            None => bail!(
                "{change:?} in VPC {vpc}: {}",
                answer["refused"].as_str().unwrap_or("no such answer")
            ),
        }
    }

    /// Makes a change in both VPCs, one after the other, and waits until each demux has heard that the
    /// other has made it: before that the next one is refused.
    ///
    /// # Errors
    /// As [`Lab::change`].
    pub fn change_both(&self, change: Change) -> Result<[Outcome; 2]> {
        let outcomes = [self.change(1, change)?, self.change(2, change)?];
        let done = Instant::now();
        while self.table(1)?.peer != "same" || self.table(2)?.peer != "same" {
            ensure!(
                done.elapsed() < PATIENCE,
                "the demuxes do not hear that both made {change:?}"
            );
            thread::sleep(LOOK);
        }
        Ok(outcomes)
    }

    /// The table of a demux's peering, as in `causeway local gateway list --json`.
    ///
    /// # Errors
    /// The demux does not answer, or has no or several peerings.
    pub fn table(&self, vpc: u8) -> Result<Table> {
        let answer = self.ask(Site::demux(vpc), &json!({ "gateway-list": {} }))?;
        let mut tables: Vec<Table> = serde_json::from_value(answer["tables"].clone())
            .with_context(|| format!("the demux of VPC {vpc} answered {answer}"))?;
        match (tables.pop(), &tables[..]) {
            (Some(table), []) => Ok(table),
            _ => bail!("expected one peering in VPC {vpc}, got {answer}"),
        }
    }

    fn ask(&self, role: Site, request: &Value) -> Result<Value> {
        let path = config::home(&self.folder(), role).join(config::SOCKET);
        let mut stream = UnixStream::connect(&path)
            .with_context(|| format!("{role} does not serve {}", path.display()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{request}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream)
            .read_line(&mut line)
            .with_context(|| format!("{role} does not answer within {PATIENCE:?}"))?;
        serde_json::from_str(&line).with_context(|| format!("{role} answered {line:?}"))
    }
}
