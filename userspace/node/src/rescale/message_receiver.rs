//! Messages that a demux receives: from its gateways, and from the peer's demux.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use causeway_rescale::coordinator::Input;
use causeway_rescale::message::{FromGateway, PeerMessage};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::directory::Directory;
use super::driver_input::DriverInput;
use super::peering_status::PeeringStatus;
use super::rate_limited_log::RateLimitedLog;
use super::sessions::Sessions;
use super::source_filter::accept_only;
use crate::transient::{RETRY_DELAY, Transient};
use crate::wire::{Ends, LONGEST, MessageAuth, MessageError};

/// Passes the messages of one peering to its driver.
#[derive(Clone)]
pub struct MessageReceiver {
    /// The address of this demux, to which the peer's sends.
    pub own: IpAddr,
    /// The address of the peer's demux.
    pub demux: IpAddr,
    pub status: Arc<Mutex<PeeringStatus>>,
    /// The queue of the peering's driver.
    pub driver: mpsc::Sender<DriverInput>,
}

impl MessageReceiver {
    /// Sends a message of the peer's demux to the driver.
    pub fn peer_message(&self, at: Instant, message: PeerMessage) {
        self.send_input(at, Input::FromPeer(message));
    }

    fn reply(&self, at: Instant, gateway: &str, reply: &FromGateway) {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ordinal) = status.ordinal(gateway) {
            drop(status);
            self.send_input(at, Input::FromGateway(ordinal, reply.clone()));
        }
    }

    fn send_input(&self, at: Instant, input: Input) {
        // If the queue is full, the message is lost, as on a network. Its sender resends it.
        let _ = self.driver.try_send(DriverInput::Received(at, input));
    }
}

/// A socket of the demux, and what judges the messages that it receives.
pub struct Socket {
    pub sockets: Arc<Vec<UdpSocket>>,
    /// The index of the socket.
    pub index: usize,
    pub auth: Arc<MessageAuth>,
    pub sessions: Arc<Sessions>,
    pub receivers: Vec<MessageReceiver>,
    pub directory: Arc<Directory>,
    pub failures: Transient,
}

impl Socket {
    /// Receives messages and passes each one to the receivers that its source address selects.
    ///
    /// # Errors
    /// The kernel refuses a filter.
    pub async fn receive(self) -> io::Result<Infallible> {
        let socket = &self.sockets[self.index];
        let own = socket.local_addr()?.ip();
        // One octet more than the longest message, so that a longer datagram is detected.
        let mut octets = [0; LONGEST + 1];
        let mut log = RateLimitedLog::default();
        let mut changes = self.directory.changes();
        self.follow_directory(own)?;
        loop {
            let received = tokio::select! {
                received = socket.recv_from(&mut octets) => received,
                Ok(()) = changes.changed() => {
                    self.follow_directory(own)?;
                    continue;
                }
            };
            match received {
                Ok((length, from)) => {
                    if let Err(error) = self.deliver(own, from, &octets[..length]) {
                        log.refused(from, &error);
                    }
                }
                Err(error) => {
                    self.failures
                        .count("cannot receive messages of gateways", &error);
                    sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    /// Accepts datagrams of the directory's gateways and the peers' demuxes only.
    fn follow_directory(&self, own: IpAddr) -> io::Result<()> {
        let gateways = self.directory.remote_gateways();
        let gateways: Vec<_> = gateways.into_iter().map(|(_, address)| address).collect();
        self.sessions.keep_only(&gateways);
        let peers = self.receivers.iter().map(|receiver| receiver.demux);
        let sources = gateways.into_iter().chain(peers);
        let of_family = sources.filter(|source| source.is_ipv4() == own.is_ipv4());
        accept_only(&self.sockets[self.index], of_family)
    }

    fn deliver(&self, own: IpAddr, from: SocketAddr, octets: &[u8]) -> Result<(), RefusedDatagram> {
        let at = Instant::now();
        let ends = Ends {
            from: from.ip(),
            to: own,
        };
        let mut all = self.receivers.iter();
        if let Some(receiver) = all.find(|receiver| receiver.demux == from.ip()) {
            receiver.peer_message(at, self.auth.decode(ends, octets)?);
        } else if let Some(gateway) = self.directory.name_at(from.ip()) {
            let datagram = self.auth.decode(ends, octets)?;
            if let Some(reply) = self.sessions.receive(from.ip(), datagram) {
                // A coordinator ignores replies to requests of other coordinators.
                let receivers = self.receivers.iter();
                receivers.for_each(|receiver| receiver.reply(at, &gateway, &reply));
            }
        } else {
            return Err(RefusedDatagram::Source);
        }
        Ok(())
    }
}

/// Why a datagram was refused.
#[derive(Debug, thiserror::Error)]
enum RefusedDatagram {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the source address is neither a gateway's nor that of a peer's demux")]
    Source,
}
