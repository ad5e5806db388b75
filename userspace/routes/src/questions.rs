//! What the kernel is told to ask of a neighbour.

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

/// Questions to the neighbours of one NIC. The kernel only says that it has taken one: what comes of it
/// is a notification.
pub(crate) struct Questions {
    interface: u32,
    handle: Handle,
}

impl Questions {
    pub(crate) fn new(interface: u32, handle: Handle) -> Self {
        Self { interface, handle }
    }

    /// As if a packet had been sent to the neighbour: NTF_USE starts a resolution unless one is
    /// under way or the answer is fresh, and NLM_F_CREATE makes the entry if there is none. Of a
    /// permanent entry it makes one like any other (Linux 6.18), so that must not be asked for.
    pub(crate) async fn ask(&mut self, neighbour: IpAddr) -> Result<(), RoutesError> {
        self.tell(neighbour, NeighbourFlags::Use, NLM_F_CREATE)
            .await
    }

    /// Ends a resolution that is under way, so that the next [`Questions::ask`] sends a request at
    /// once. The entry stays, in no state, with the kernel's own packets that wait in it.
    pub(crate) async fn stop(&mut self, neighbour: IpAddr) -> Result<(), RoutesError> {
        self.tell(neighbour, NeighbourFlags::empty(), NLM_F_REPLACE)
            .await
    }

    async fn tell(
        &mut self,
        neighbour: IpAddr,
        flags: NeighbourFlags,
        manner: u16,
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
        // The connection sends one message each time that it is woken, and only an answer wakes it
        // for the next: without one, what is asked in a burst would leave whenever something else happens.
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | manner;
        let answers = self.handle.request(request);
        let mut answers = answers.map_err(|_| RoutesError::Closed)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                tracing::debug!("the kernel refused to resolve {neighbour}: {error}");
            }
        }
        Ok(())
    }
}
