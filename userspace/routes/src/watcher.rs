use std::net::IpAddr;
use std::sync::Arc;

use rtnetlink::MulticastGroup;
use tokio::sync::mpsc;

use crate::error::RoutesError;
use crate::mirror::Mirror;
use crate::netlink::Netlink;
use crate::snapshot::Snapshot;

/// Requests that may wait for the control thread.
const MAX_REQUESTS: usize = 1024;

/// The caller's end of a running watch; cheap to clone.
#[derive(Debug, Clone)]
pub struct Watcher {
    requests: mpsc::Sender<IpAddr>,
}

impl Watcher {
    /// Watches the routes and neighbours of the NIC with this index, in the network namespace of
    /// the calling thread.
    ///
    /// When this returns, `publish` has been called with the first snapshot. The future that
    /// comes with the watcher does the rest and must be polled, for instance spawned: it calls
    /// `publish` within a few milliseconds of a change, and only then. It ends with `Ok` after
    /// the last clone of the watcher is dropped, and otherwise only by an error.
    ///
    /// Call it within a tokio runtime that has I/O and time enabled; one thread is enough.
    ///
    /// # Errors
    /// [`RoutesError::NoSuchIndex`] if there is no such NIC; [`RoutesError::InterfaceRemoved`]
    /// from the future once it is gone, after a last snapshot that reaches nothing.
    pub async fn start(
        interface: u32,
        publish: impl FnMut(Arc<Snapshot>) + Send + 'static,
    ) -> Result<
        (
            Self,
            impl Future<Output = Result<(), RoutesError>> + Send + 'static,
        ),
        RoutesError,
    > {
        crate::interface::by_index(interface).await?;
        // Listen first, list then: a change in between is seen twice rather than never.
        let notifications = Netlink::for_notifications(&[
            MulticastGroup::Link,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv6Route,
        ])?;
        let mut questions = Netlink::for_requests()?;
        let mut mirror = Mirror::new(interface, questions.handle, publish);
        tokio::select! {
            published = mirror.publish_first() => published?,
            () = &mut questions.connection => return Err(RoutesError::Closed),
        }

        let (requests, wanted) = mpsc::channel(MAX_REQUESTS);
        let task = async move {
            // Unused, but the connection ends when its last handle is dropped.
            let _listening = notifications.handle;
            let _unsolicited = questions.unsolicited;
            tokio::select! {
                ended = mirror.run(notifications.unsolicited, wanted) => ended,
                () = notifications.connection => Err(RoutesError::Closed),
                () = questions.connection => Err(RoutesError::Closed),
            }
        };
        Ok((Self { requests }, task))
    }

    /// Asks the kernel to resolve this neighbour, by ARP or by NDP, without waiting for it: a later snapshot
    /// has the answer. Asking again for one whose resolution failed starts it anew; asking for
    /// one that is known costs little, and a permanent entry is left alone. While the answer is
    /// awaited, the request is repeated after 25 ms, and four times more until 775 ms are over.
    ///
    /// A neighbour once asked for is kept fresh as long as it answers, so ask at least once for
    /// each that matters even if it is known already. The gateways of routes are kept fresh
    /// without being asked for, but only once they are known.
    ///
    /// Returns false if too many requests wait for the control thread; ask again later.
    pub fn resolve(&self, neighbour: IpAddr) -> bool {
        self.requests.try_send(neighbour).is_ok()
    }
}
