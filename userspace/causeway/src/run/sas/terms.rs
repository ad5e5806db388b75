//! What all SAs of one tunnel have in common, so that those that come later are as the first.

use std::net::IpAddr;

use causeway_esp::{
    BackendChoice, Ends, InboundConfig, InboundSa, OutboundConfig, OutboundSa, Outer, Sequence, Spi,
};

use crate::config::{Encapsulation, Gateway, Plan, Settings, Tunnel};
use crate::key::SaKey;
use crate::sequence::Reservation;

use super::error::SaError;

/// Sequence numbers taken from the disk at a time: 17 s of one million packets a second. What a
/// killed process leaves of them is lost, of 2^64.
pub const RESERVATION: u64 = 1 << 24;
/// What a tunnel's outer header starts with; the customary default of hosts.
const OUTER_TTL: u8 = 64;

/// A tunnel of the plan without its SPIs and keys.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The peering's name.
    pub peering: String,
    pub(super) outer: Outer,
    pub(super) replay_window: u32,
    pub(super) settings: Settings,
    pub(super) backend: BackendChoice,
}

/// The numbers of the outbound SA in use, and whose they are.
#[derive(Debug)]
pub struct Allotment {
    /// The SA.
    pub spi: Spi,
    /// Its numbers on disk.
    pub reservation: Reservation,
}

impl Terms {
    /// Those of a tunnel.
    ///
    /// # Errors
    /// Where its ends are of two families.
    pub fn of(plan: &Plan, gateway: &Gateway, tunnel: &Tunnel) -> anyhow::Result<Self> {
        let encapsulation = match tunnel.encapsulation {
            Encapsulation::Esp => causeway_esp::Encapsulation::Esp,
            Encapsulation::Udp { source_port } => causeway_esp::Encapsulation::Udp { source_port },
        };
        let ends = Ends::new(gateway.address, tunnel.peer)?;
        Ok(Self {
            peering: plan.peerings[tunnel.peering].name.clone(),
            outer: Outer {
                dscp: tunnel.settings.dscp,
                dont_fragment: tunnel.settings.dont_fragment,
                ..Outer::new(ends, encapsulation, OUTER_TTL)
            },
            replay_window: tunnel.replay_window,
            settings: tunnel.settings,
            backend: plan.crypto,
        })
    }

    /// The outer address of this end.
    pub fn near(&self) -> IpAddr {
        match self.outer.ends {
            Ends::V4 { source, .. } => source.into(),
            Ends::V6 { source, .. } => source.into(),
        }
    }

    /// The outer address of the peer, which chose the SPIs of this end's outbound SAs.
    pub fn peer(&self) -> IpAddr {
        match self.outer.ends {
            Ends::V4 { destination, .. } => destination.into(),
            Ends::V6 { destination, .. } => destination.into(),
        }
    }

    /// An SA that seals, with its first numbers reserved.
    ///
    /// # Errors
    /// Where no numbers can be reserved.
    pub fn outbound(
        &self,
        spi: Spi,
        key: &SaKey,
        mut reservation: Reservation,
    ) -> Result<(OutboundSa, Allotment), SaError> {
        let reserved = reservation.reserve(RESERVATION)?;
        let mut sequence = Sequence::new(reserved.start);
        sequence.reserve_until(reserved.end);
        let sa = OutboundSa::new(OutboundConfig {
            esn: self.settings.esn,
            tfc: self.settings.tfc,
            lifetime: self.settings.lifetime,
            backend: self.backend,
            ..OutboundConfig::new(spi, key.key()?, self.outer, sequence)
        });
        Ok((sa, Allotment { spi, reservation }))
    }

    /// An SA that opens.
    ///
    /// # Errors
    /// Where the replay window is none; the configuration checks that.
    pub fn inbound(&self, spi: Spi, key: &SaKey) -> Result<InboundSa, SaError> {
        Ok(InboundSa::new(InboundConfig {
            esn: self.settings.esn,
            lifetime: self.settings.lifetime,
            backend: self.backend,
            ..InboundConfig::new(spi, key.key()?, self.replay_window)
        })?)
    }
}
