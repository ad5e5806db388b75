//! Messages that a demux receives: from its gateways, and from the peer's demux.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use causeway_rescale::coordinator::Input;
use causeway_rescale::message::{FromGateway, PeerMessage};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::directory::Directory;
use super::driver_input::DriverInput;
use super::peering_status::PeeringStatus;
use super::rate_limited_log::RateLimitedLog;
use crate::wire::{LONGEST, MessageAuth};

/// Passes the messages of one peering to its driver.
#[derive(Clone)]
pub struct MessageReceiver {
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

/// Receives the messages of a socket and passes each one to the receivers that its source address selects.
///
/// # Errors
/// Those of the socket.
pub async fn receive(
    socket: &UdpSocket,
    auth: &MessageAuth,
    receivers: &[MessageReceiver],
    directory: &Directory,
) -> std::io::Result<()> {
    // One octet more than the longest message, so that a longer datagram is detected.
    let mut octets = [0; LONGEST + 1];
    let mut log = RateLimitedLog::default();
    loop {
        let (length, from) = socket.recv_from(&mut octets).await?;
        let at = Instant::now();
        let octets = &octets[..length];
        let mut refuse = |error: &dyn Display| log.refused(from, error);
        let mut all = receivers.iter();
        if let Some(receiver) = all.find(|receiver| receiver.demux == from.ip()) {
            match auth.decode(octets) {
                Ok(message) => receiver.peer_message(at, message),
                Err(error) => refuse(&error),
            }
        } else if let Some(gateway) = directory.name_at(from.ip()) {
            match auth.decode(octets) {
                // A coordinator ignores replies to requests of other coordinators.
                Ok(reply) => receivers
                    .iter()
                    .for_each(|receiver| receiver.reply(at, &gateway, &reply)),
                Err(error) => refuse(&error),
            }
        } else {
            refuse(&"the source address is neither a gateway's nor that of a peer's demux");
        }
    }
}
