//! Connections to the kernel's routing netlink (rtnetlink(7)), and consistent dumps.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use rtnetlink::packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::proto::{Connection, sys::TokioSocket};
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};

use crate::error::RoutesError;

/// Attempts at a consistent dump. The last dump is used even if it is inconsistent: the change that interrupted
/// it also sent a notification, which starts another dump.
const DUMP_ATTEMPTS: usize = 8;

/// A netlink socket. Requests and notifications make progress only while `connection` is polled.
pub(crate) struct Netlink {
    pub connection: Connection<RouteNetlinkMessage, TokioSocket>,
    pub handle: Handle,
    /// Notifications, overruns, and errors of requests without an answer.
    pub unsolicited: BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>,
}

impl Netlink {
    /// Opens a socket for requests, in the network namespace of the calling thread. Requires a tokio runtime
    /// with I/O enabled.
    pub(crate) fn for_requests() -> Result<Self, RoutesError> {
        let (mut connection, handle, unsolicited) = new_connection().map_err(RoutesError::Open)?;
        // The message that ends a dump has the flag for its consistency.
        connection.set_forward_done(true);
        Ok(Self {
            connection,
            handle,
            unsolicited: unsolicited.map(|(message, _)| message).boxed(),
        })
    }

    /// Opens a socket that only receives the notifications of these groups. A burst of notifications can
    /// overrun it, but no answer is lost.
    pub(crate) fn for_notifications(groups: &[MulticastGroup]) -> Result<Self, RoutesError> {
        let (connection, handle, unsolicited) =
            new_multicast_connection(groups).map_err(RoutesError::Open)?;
        Ok(Self {
            connection,
            handle,
            unsolicited: unsolicited.map(|(message, _)| message).boxed(),
        })
    }
}

/// Runs one request over a new socket.
pub(crate) async fn once<T>(
    request: impl AsyncFnOnce(&mut Handle) -> Result<T, RoutesError>,
) -> Result<T, RoutesError> {
    let Netlink {
        connection,
        mut handle,
        unsolicited: _unsolicited,
    } = Netlink::for_requests()?;
    tokio::select! {
        answer = request(&mut handle) => answer,
        () = connection => Err(RoutesError::Closed),
    }
}

/// Every object that `request` lists. `objects` is their name in errors, in the plural.
pub(crate) async fn dump(
    handle: &mut Handle,
    request: RouteNetlinkMessage,
    objects: &'static str,
) -> Result<Vec<RouteNetlinkMessage>, RoutesError> {
    let mut listed = Vec::new();
    for _ in 0..DUMP_ATTEMPTS {
        listed.clear();
        if list(handle, request.clone(), NLM_F_DUMP, objects, &mut listed).await? {
            break;
        }
    }
    Ok(listed)
}

/// The one object that `request` identifies, if it exists.
pub(crate) async fn get(
    handle: &mut Handle,
    request: RouteNetlinkMessage,
    objects: &'static str,
) -> Result<Option<RouteNetlinkMessage>, RoutesError> {
    const ENODEV: i32 = 19;
    let mut listed = Vec::new();
    match list(handle, request, 0, objects, &mut listed).await {
        Ok(_) => Ok(listed.pop()),
        Err(RoutesError::Refused { source, .. }) if source.raw_os_error() == Some(ENODEV) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Appends the answers to `listed`. Returns true if they are consistent.
async fn list(
    handle: &mut Handle,
    request: RouteNetlinkMessage,
    flags: u16,
    objects: &'static str,
    listed: &mut Vec<RouteNetlinkMessage>,
) -> Result<bool, RoutesError> {
    let refused = |source| RoutesError::Refused { objects, source };
    let mut request = NetlinkMessage::from(request);
    request.header.flags = NLM_F_REQUEST | flags;
    let mut answers = handle.request(request).map_err(|_| RoutesError::Closed)?;
    let mut consistent = true;
    while let Some(answer) = answers.next().await {
        consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => listed.push(message),
            NetlinkPayload::Error(error) => return Err(refused(error.to_io())),
            NetlinkPayload::Done(done) if done.code < 0 => {
                return Err(refused(std::io::Error::from_raw_os_error(-done.code)));
            }
            _ => {}
        }
    }
    Ok(consistent)
}
