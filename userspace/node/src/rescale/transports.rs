//! Requests from a demux to its gateways: over channels on this host, over UDP to other hosts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use causeway_rescale::Ordinal;
use causeway_rescale::coordinator::Input;
use causeway_rescale::message::ToGateway;
use crossbeam::channel::Sender;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::directory::GatewayLocation;
use super::driver_input::DriverInput;
use super::responder_thread::ResponderRequest;
use super::sessions::Sessions;
use crate::wire::{Ends, MessageAuth, PORT};

/// Sends the requests of one peering's coordinator.
#[derive(Clone)]
pub struct Transports {
    pub auth: Arc<MessageAuth>,
    pub sessions: Arc<Sessions>,
    /// One socket for each address family of the gateways.
    pub sockets: Arc<Vec<UdpSocket>>,
    /// The queue of this host's responders, where gateways are local.
    pub responders: Option<Sender<ResponderRequest>>,
    /// The queue of the peering's driver, for the replies of local gateways.
    pub driver: mpsc::Sender<DriverInput>,
}

impl Transports {
    /// Sends a request. A request may be lost; the coordinator resends it until it has the reply.
    pub fn send(&self, location: GatewayLocation, ordinal: Ordinal, request: ToGateway) {
        match location {
            GatewayLocation::Local(responder) => {
                let Some(responders) = &self.responders else {
                    return;
                };
                let driver = self.driver.clone();
                let respond = Box::new(move |reply| {
                    let input = Input::FromGateway(ordinal, reply);
                    let _ = driver.try_send(DriverInput::Received(Instant::now(), input));
                });
                let _ = responders.try_send(ResponderRequest {
                    responder,
                    request,
                    respond,
                });
            }
            GatewayLocation::Remote(address) => {
                let Some((socket, from)) = self.socket_towards(address) else {
                    return;
                };
                let datagram = self.sessions.send(address, request);
                let ends = Ends { from, to: address };
                let Some(datagram) = self.auth.encode(ends, &datagram) else {
                    return;
                };
                let to = SocketAddr::new(address, PORT);
                if let Err(error) = socket.try_send_to(&datagram, to) {
                    tracing::debug!(%to, %error, "a request was not sent");
                }
            }
        }
    }

    /// The socket of a family, with its own address.
    fn socket_towards(&self, address: IpAddr) -> Option<(&UdpSocket, IpAddr)> {
        let mut sockets = self.sockets.iter();
        sockets.find_map(|socket| {
            let own = socket.local_addr().ok()?.ip();
            (own.is_ipv4() == address.is_ipv4()).then_some((socket, own))
        })
    }
}
