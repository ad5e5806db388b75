use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;

use crate::error::RoutesError;
use crate::interface::Link;
use crate::mirror::Mirror;
use crate::netlink::Netlink;
use crate::snapshot::Snapshot;

/// Capacity of the request queue to the control thread.
const MAX_REQUESTS: usize = 1024;

/// A handle to a running mirror of the kernel's routes and neighbours. A clone is cheap.
#[derive(Debug, Clone)]
pub struct Watcher {
    interface: u32,
    requests: mpsc::Sender<IpAddr>,
    handle: Handle,
    errors: Arc<AtomicU64>,
}

impl Watcher {
    /// Watches the routes and neighbours of the NIC with this index, in the network namespace of the calling
    /// thread.
    ///
    /// `publish` is called with the first snapshot before this function returns. The returned future must be
    /// polled, for example spawned. It calls `publish` within a few milliseconds after each change, and at no
    /// other time. It returns `Ok` after the last clone of the watcher is dropped, and otherwise ends only with
    /// an error.
    ///
    /// Call it within a tokio runtime that has I/O and time enabled; one thread is enough.
    ///
    /// # Errors
    /// [`RoutesError::NoSuchIndex`] if there is no such NIC. The future returns [`RoutesError::InterfaceRemoved`]
    /// after the removal of the NIC, and publishes a last snapshot without routes before.
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
        // Subscribe before the first dump: a change in between is seen twice and not missed.
        let notifications = Netlink::for_notifications(&[
            MulticastGroup::Link,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv6Route,
        ])?;
        let mut requests_socket = Netlink::for_requests()?;
        let handle = requests_socket.handle;
        let errors = Arc::default();
        let mut mirror = Mirror::new(interface, handle.clone(), publish, Arc::clone(&errors));
        let first = async {
            crate::interface::by_index(&mut handle.clone(), interface).await?;
            mirror.publish_first().await
        };
        tokio::select! {
            published = first => published?,
            () = &mut requests_socket.connection => return Err(RoutesError::Closed),
        }

        let (requests, queue) = mpsc::channel(MAX_REQUESTS);
        let task = async move {
            // Unused, but the connection ends when its last handle is dropped.
            let _handle = notifications.handle;
            let _unsolicited = requests_socket.unsolicited;
            tokio::select! {
                ended = mirror.run(notifications.unsolicited, queue) => ended,
                () = notifications.connection => Err(RoutesError::Closed),
                () = requests_socket.connection => Err(RoutesError::Closed),
            }
        };
        let watcher = Self {
            interface,
            requests,
            handle,
            errors,
        };
        Ok((watcher, task))
    }

    /// The state of the NIC's link now. Uses the socket of the watcher, whose future must be polled meanwhile.
    ///
    /// # Errors
    /// [`RoutesError::NoSuchIndex`] if the NIC was removed, [`RoutesError::Closed`] if the watcher has ended, and others
    /// if the kernel's answer is an error or incomplete.
    pub async fn link(&self) -> Result<Link, RoutesError> {
        crate::interface::link(&mut self.handle.clone(), self.interface).await
    }

    /// The number of times that the kernel could not answer for lack of memory or descriptors.
    pub fn transient_errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Requests the resolution of this neighbour by ARP or NDP, and does not wait: a later snapshot has the
    /// answer.
    ///
    /// A request after a failed resolution starts a new one. A request for a known neighbour costs little, and a
    /// permanent entry is never probed. Without an answer, the probe is repeated after 25 ms, and four more times
    /// until 775 ms.
    ///
    /// A requested neighbour is probed again whenever it becomes stale, as long as it answers. Request every
    /// neighbour in use at least once, even if it is known already. Known gateways of routes are probed without a
    /// request.
    ///
    /// Returns false if the request queue is full; try again later.
    pub fn resolve(&self, neighbour: IpAddr) -> bool {
        self.requests.try_send(neighbour).is_ok()
    }
}
