//! Requests to the kernel to probe a neighbour.

use std::net::IpAddr;

use futures_util::StreamExt;
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::RoutesError;

/// Starts and cancels probes of the neighbours of one NIC. The kernel only acknowledges a request. The result of a
/// probe arrives as a notification.
pub(crate) struct Prober {
    interface: u32,
    handle: Handle,
}

impl Prober {
    pub(crate) fn new(interface: u32, handle: Handle) -> Self {
        Self { interface, handle }
    }

    /// Starts a probe, as a packet to the neighbour would.
    ///
    /// NTF_USE starts a resolution unless one is in progress or the entry is fresh. NLM_F_CREATE creates a missing
    /// entry. The request makes a permanent entry temporary (Linux 6.18), so callers skip permanent entries.
    pub(crate) async fn probe(&mut self, neighbour: IpAddr) -> Result<(), RoutesError> {
        self.send(neighbour, NeighbourFlags::Use, NLM_F_CREATE)
            .await
    }

    /// Cancels a probe in progress, so that the next [`Prober::probe`] sends a request at once. The entry remains
    /// without a state, and keeps the kernel's own packets that wait for the neighbour.
    pub(crate) async fn cancel(&mut self, neighbour: IpAddr) -> Result<(), RoutesError> {
        self.send(neighbour, NeighbourFlags::empty(), NLM_F_REPLACE)
            .await
    }

    async fn send(
        &mut self,
        neighbour: IpAddr,
        flags: NeighbourFlags,
        header_flags: u16,
    ) -> Result<(), RoutesError> {
        let mut message = NeighbourMessage::default();
        let (family, address) = match neighbour {
            IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
            IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
        };
        message.header.family = family;
        message.header.ifindex = self.interface;
        message.header.flags = flags;
        message.attributes = vec![NeighbourAttribute::Destination(address)];
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewNeighbour(message));
        // The connection sends one message per wake-up, and only an answer wakes it again. Without
        // NLM_F_ACK, the later requests of a burst would wait for an unrelated event.
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | header_flags;
        let answers = self.handle.request(request);
        let mut answers = answers.map_err(|_| RoutesError::Closed)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                tracing::debug!("the kernel refused to probe neighbour {neighbour}: {error}");
            }
        }
        Ok(())
    }
}
