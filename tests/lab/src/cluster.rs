//! Changes of a running cluster, by the requests that the controller's agent will make.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::topology::gateway_name;
use crate::{Lab, Site, config};

/// A change has limits of its own, which are shorter.
const PATIENCE: Duration = Duration::from_secs(60);

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

    /// Makes a change in both VPCs, one after the other.
    ///
    /// # Errors
    /// As [`Lab::change`].
    pub fn change_both(&self, change: Change) -> Result<[Outcome; 2]> {
        Ok([self.change(1, change)?, self.change(2, change)?])
    }

    /// The tables of a demux's peerings: what `causeway local gateway list --json` says.
    ///
    /// # Errors
    /// The demux does not answer.
    pub fn tables(&self, vpc: u8) -> Result<Value> {
        Ok(self.ask(Site::demux(vpc), &json!({ "gateway-list": {} }))?["tables"].clone())
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
