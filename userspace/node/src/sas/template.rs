//! The template of a tunnel's SAs: all parameters that its first SA and every later one share.

use std::net::IpAddr;

use causeway_esp::{
    BackendChoice, Ends, InboundConfig, InboundSa, OutboundConfig, OutboundSa, Outer, Sequence, Spi,
};

use causeway_config::{Encapsulation, Gateway, Plan, Settings, Tunnel};
use causeway_keys::SaKey;
use causeway_keys::sequence::Reservation;

use super::error::SaError;

/// Sequence numbers per reservation on disk: 17 s at one million packets per second. A process that is killed loses the rest of
/// its reservation, which is negligible among 2^64.
pub const RESERVATION: u64 = 1 << 24;
/// The TTL of outer headers, the usual default of hosts.
const OUTER_TTL: u8 = 64;

/// A tunnel of the plan without its SPIs and keys.
#[derive(Debug, Clone)]
pub struct SaTemplate {
    /// The name of the peering.
    pub peering: String,
    pub(super) outer: Outer,
    pub(super) replay_window: u32,
    pub(super) settings: Settings,
    pub(super) backend: BackendChoice,
}

/// The reserved sequence numbers of an outbound SA.
#[derive(Debug)]
pub struct ReservedRange {
    pub spi: Spi,
    pub reservation: Reservation,
}

impl SaTemplate {
    /// The template of a tunnel.
    ///
    /// # Errors
    /// The addresses of the two ends are of different families.
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
    pub fn local_address(&self) -> IpAddr {
        match self.outer.ends {
            Ends::V4 { source, .. } => source.into(),
            Ends::V6 { source, .. } => source.into(),
        }
    }

    /// The outer address of the peer's end, where the SPIs of the outbound SAs were chosen.
    pub fn peer_address(&self) -> IpAddr {
        match self.outer.ends {
            Ends::V4 { destination, .. } => destination.into(),
            Ends::V6 { destination, .. } => destination.into(),
        }
    }

    /// Makes an outbound SA and reserves its first sequence numbers.
    ///
    /// # Errors
    /// No sequence numbers can be reserved.
    pub fn outbound(
        &self,
        spi: Spi,
        key: &SaKey,
        mut reservation: Reservation,
    ) -> Result<(OutboundSa, ReservedRange), SaError> {
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
        Ok((sa, ReservedRange { spi, reservation }))
    }

    /// Makes an inbound SA.
    ///
    /// # Errors
    /// The replay window is invalid, which the configuration excludes.
    pub fn inbound(&self, spi: Spi, key: &SaKey) -> Result<InboundSa, SaError> {
        Ok(InboundSa::new(InboundConfig {
            esn: self.settings.esn,
            lifetime: self.settings.lifetime,
            backend: self.backend,
            ..InboundConfig::new(spi, key.key()?, self.replay_window)
        })?)
    }

    /// A template between 10.1.0.101 and 10.2.0.101.
    #[cfg(test)]
    pub fn for_test(peering: &str) -> Self {
        Self {
            peering: peering.to_owned(),
            outer: causeway_esp::Outer::new(
                causeway_esp::Ends::V4 {
                    source: std::net::Ipv4Addr::new(10, 1, 0, 101),
                    destination: std::net::Ipv4Addr::new(10, 2, 0, 101),
                },
                causeway_esp::Encapsulation::Esp,
                64,
            ),
            settings: causeway_config::Settings::default(),
            replay_window: 64,
            backend: BackendChoice::Auto,
        }
    }
}
