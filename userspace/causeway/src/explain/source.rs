//! Whose tables decide: those of a role that runs, or those that a configuration makes.

use std::path::Path;

use anyhow::bail;
use causeway_demux::Steering;
use causeway_routes::{Interface, RoutesError, interface};

use super::names::Names;
use super::packet::Packet;
use super::question::Question;
use super::story::Story;
use crate::config::Config;
use crate::control::{Answer, Conversation, Request};
use crate::run::tables;

/// Stands for the MAC addresses that only a role which runs learns.
const SOME_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Where questions are answered.
pub enum Source {
    /// By a role that runs, from the maps of its XDP program.
    Role(Conversation),
    /// By tables that were made from a configuration.
    Drawn(Box<Drawn>),
}

impl Source {
    /// Answers a question.
    ///
    /// # Errors
    /// The role does not answer, or refuses.
    pub fn ask(&mut self, question: Question) -> anyhow::Result<Story> {
        let role = match self {
            Self::Role(role) => role,
            Self::Drawn(drawn) => return Ok(drawn.answer(&question)),
        };
        match role.ask(&Request::Explain(question))? {
            Answer::Explained(story) => Ok(story),
            Answer::Refused(sentence) => bail!("{sentence}"),
            other => bail!("expected an explanation, got {other:?}: is the role of this version?"),
        }
    }

    /// What the answers leave open.
    pub fn caveat(&self) -> Option<&str> {
        match self {
            Self::Role(_) => None,
            Self::Drawn(drawn) => Some(&drawn.caveat),
        }
    }
}

/// The tables of a configuration.
pub struct Drawn {
    steering: Steering,
    names: Names,
    /// Whether the NIC is on this host, so that its MAC address and addresses are known.
    has_nic: bool,
    caveat: String,
}

impl Drawn {
    /// Makes the tables as a role would that starts with this file, all gateways resolved.
    ///
    /// # Errors
    /// The file is not good, or the kernel does not say what NICs there are.
    pub async fn from(file: &Path) -> anyhow::Result<Self> {
        let plan = Config::load(file)?.into_plan();
        let nic = match interface(&plan.nic.name).await {
            Ok(nic) => Some(nic),
            Err(RoutesError::NoSuchInterface { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let has_nic = nic.is_some();
        let unknown = match has_nic {
            true => String::new(),
            false => format!(
                "; {} is not on this host, so every frame is taken as one for it, and of its own \
                 addresses only those of local gateways are known",
                plan.nic.name
            ),
        };
        let nic = nic.unwrap_or_else(|| Interface {
            index: 0,
            name: plan.nic.name.clone(),
            mac: SOME_MAC,
            mtu: 0,
            rx_queues: 1,
            tx_queues: 1,
            addresses: Vec::new(),
            up: false,
        });
        let (steering, names) = tables::at_next_start(&plan, &nic, SOME_MAC)?;
        Ok(Self {
            steering,
            names,
            has_nic,
            caveat: format!("by the tables that {} makes{unknown}", file.display()),
        })
    }

    fn answer(&mut self, question: &Question) -> Story {
        if let (false, Packet::Frame(frame)) = (self.has_nic, &question.packet)
            && let Some(mac) = frame.first_chunk()
        {
            self.steering.mac = *mac;
        }
        question.answer(&self.steering, &self.names)
    }
}
