//! A query answered by the tables that a configuration makes, without a running role.

use causeway_api::explain::{Query, Trace};
use causeway_api::packet::Packet;
use causeway_config::Plan;
use causeway_demux::Steering;
use causeway_routes::{Interface, RoutesError, interface};

use super::answer::answer;
use super::names::Names;
use crate::tables;

/// Replaces the MAC addresses that only a running role has.
const PLACEHOLDER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// The tables with which a role would start now, with every remote gateway resolved.
pub struct Configured {
    steering: Steering,
    names: Names,
    has_nic: bool,
}

impl Configured {
    /// Makes the tables from the plan and its state file.
    ///
    /// # Errors
    /// The state file is damaged or does not fit the plan, or the kernel cannot list its interfaces.
    pub async fn new(plan: &Plan) -> anyhow::Result<Self> {
        let nic = match interface(&plan.nic.name).await {
            Ok(nic) => Some(nic),
            Err(RoutesError::NoSuchInterface { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let has_nic = nic.is_some();
        let nic = nic.unwrap_or_else(|| Interface {
            index: 0,
            name: plan.nic.name.clone(),
            mac: PLACEHOLDER_MAC,
            mtu: 0,
            rx_queues: 1,
            tx_queues: 1,
            addresses: Vec::new(),
            up: false,
            xdp_program: None,
        });
        let (steering, names) = tables::at_next_start(plan, &nic, PLACEHOLDER_MAC)?;
        Ok(Self {
            steering,
            names,
            has_nic,
        })
    }

    /// Whether the NIC is on this host. If not, its addresses are unknown.
    pub fn has_nic(&self) -> bool {
        self.has_nic
    }

    /// Answers a query. If the NIC is not on this host, every frame counts as addressed to it.
    pub fn answer(&mut self, query: &Query) -> Trace {
        if let (false, Packet::Frame(frame)) = (self.has_nic, &query.packet)
            && let Some(mac) = frame.first_chunk()
        {
            self.steering.mac = *mac;
        }
        answer(query, &self.steering, &self.names)
    }
}
