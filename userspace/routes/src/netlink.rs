//! Connections to the kernel's routing netlink (rtnetlink(7)), and dumps that are consistent.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use rtnetlink::packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::proto::{Connection, sys::TokioSocket};
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};

use crate::error::RoutesError;

/// A dump that changes in the middle is asked for again this many times. The last one is taken
/// as it is: whatever changed also sent a notification, which asks again.
const DUMP_ATTEMPTS: usize = 8;

/// One end of the conversation. `connection` must be polled for the other two to get anywhere.
pub(crate) struct Netlink {
    pub connection: Connection<RouteNetlinkMessage, TokioSocket>,
    pub handle: Handle,
    /// Notifications, overruns, and errors of requests that asked for no answer.
    pub unsolicited: BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>,
}

impl Netlink {
    /// A socket for requests, in the network namespace of the calling thread. Needs a tokio
    /// runtime with I/O around it.
    pub(crate) fn for_requests() -> Result<Self, RoutesError> {
        let (mut connection, handle, unsolicited) = new_connection().map_err(RoutesError::Open)?;
        // The end of a dump says whether the whole of it was consistent.
        connection.set_forward_done(true);
        Ok(Self {
            connection,
            handle,
            unsolicited: unsolicited.map(|(message, _)| message).boxed(),
        })
    }

    /// A socket that only listens to these groups, so that a burst of notifications can overrun
    /// it without an answer getting lost.
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

/// Answers one question over a socket of its own.
pub(crate) async fn once<T>(
    question: impl AsyncFnOnce(&mut Handle) -> Result<T, RoutesError>,
) -> Result<T, RoutesError> {
    let Netlink {
        connection,
        mut handle,
        unsolicited: _unsolicited,
    } = Netlink::for_requests()?;
    tokio::select! {
        answer = question(&mut handle) => answer,
        () = connection => Err(RoutesError::Closed),
    }
}

/// Everything that `request` lists, `what` in the plural.
pub(crate) async fn dump(
    handle: &mut Handle,
    request: RouteNetlinkMessage,
    what: &'static str,
) -> Result<Vec<RouteNetlinkMessage>, RoutesError> {
    let mut listed = Vec::new();
    for _ in 0..DUMP_ATTEMPTS {
        listed.clear();
        if list(handle, request.clone(), NLM_F_DUMP, what, &mut listed).await? {
            break;
        }
    }
    Ok(listed)
}

/// The one object that `request` names, if it exists.
pub(crate) async fn get(
    handle: &mut Handle,
    request: RouteNetlinkMessage,
    what: &'static str,
) -> Result<Option<RouteNetlinkMessage>, RoutesError> {
    const ENODEV: i32 = 19;
    let mut listed = Vec::new();
    match list(handle, request, 0, what, &mut listed).await {
        Ok(_) => Ok(listed.pop()),
        Err(RoutesError::Refused { source, .. }) if source.raw_os_error() == Some(ENODEV) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns whether the answer was consistent in itself.
async fn list(
    handle: &mut Handle,
    request: RouteNetlinkMessage,
    flags: u16,
    what: &'static str,
    listed: &mut Vec<RouteNetlinkMessage>,
) -> Result<bool, RoutesError> {
    let refused = |source| RoutesError::Refused { what, source };
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
