//! The ways from a demux to its gateways, and who hears what comes back.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use causeway_rescale::Ordinal;
use causeway_rescale::coordinator::Input;
use causeway_rescale::message::{FromGateway, PeerWord, ToGateway};
use crossbeam::channel::Sender;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::desk::Asked;
use super::directory::{Directory, Whereabouts};
use super::driver::Told;
use super::noise::Noise;
use super::watch::Watch;
use crate::wire::{LONGEST, PORT, Seals};

/// How one peering's demux speaks to gateways.
#[derive(Clone)]
pub struct Ways {
    /// What messages are sealed with.
    pub seals: Arc<Seals>,
    /// One socket for each family that a gateway has.
    pub sockets: Arc<Vec<UdpSocket>>,
    /// The agents of this host.
    pub agents: Option<Sender<Asked>>,
    /// Where their answers go.
    pub tell: mpsc::Sender<Told>,
}

impl Ways {
    /// Sends it, or loses it: whoever wants an answer says it again.
    pub fn send(&self, at: Whereabouts, ordinal: Ordinal, request: ToGateway) {
        match at {
            Whereabouts::Local(agent) => {
                let Some(agents) = &self.agents else { return };
                let tell = self.tell.clone();
                let answer = Box::new(move |said| {
                    let heard = Input::FromGateway(ordinal, said);
                    let _ = tell.try_send(Told::Heard(Instant::now(), heard));
                });
                let _ = agents.try_send(Asked {
                    agent,
                    request,
                    answer,
                });
            }
            Whereabouts::Remote(address) => {
                let Some(sealed) = self.seals.seal(&request) else {
                    return;
                };
                let to = SocketAddr::new(address, PORT);
                for socket in self.sockets.iter().filter(|socket| speaks(socket, address)) {
                    if let Err(error) = socket.try_send_to(&sealed, to) {
                        tracing::debug!(%to, %error, "a request was not sent");
                    }
                }
            }
        }
    }
}

fn speaks(socket: &UdpSocket, address: IpAddr) -> bool {
    let own = socket.local_addr();
    own.is_ok_and(|own| own.is_ipv4() == address.is_ipv4())
}

/// A peering, as far as what is heard is concerned.
#[derive(Clone)]
pub struct Ear {
    /// The peer's demux.
    pub demux: IpAddr,
    /// Its members.
    pub watch: Arc<Mutex<Watch>>,
    /// Its driver.
    pub tell: mpsc::Sender<Told>,
}

impl Ear {
    fn tell(&self, at: Instant, input: Input) {
        // A full channel is a network that lost something: it is said again.
        let _ = self.tell.try_send(Told::Heard(at, input));
    }

    /// The peer's demux said something.
    pub fn word(&self, at: Instant, word: PeerWord) {
        self.tell(at, Input::FromPeer(word));
    }

    fn answer(&self, at: Instant, gateway: &str, said: &FromGateway) {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ordinal) = watch.ordinal(gateway) {
            drop(watch);
            self.tell(at, Input::FromGateway(ordinal, said.clone()));
        }
    }
}

/// Brings what comes over a socket to whom it concerns: by whence it comes, and if it is sealed.
///
/// # Errors
/// The socket's.
pub async fn hear(
    socket: &UdpSocket,
    seals: &Seals,
    ears: &[Ear],
    directory: &Directory,
) -> std::io::Result<()> {
    // One octet more than a message has: what is longer is seen to be.
    let mut octets = [0; LONGEST + 1];
    let mut noise = Noise::default();
    loop {
        let (length, from) = socket.recv_from(&mut octets).await?;
        let at = Instant::now();
        let octets = &octets[..length];
        let mut refuse = |error: &dyn Display| noise.heard(from, error);
        if let Some(ear) = ears.iter().find(|ear| ear.demux == from.ip()) {
            match seals.open(octets) {
                Ok(word) => ear.word(at, word),
                Err(error) => refuse(&error),
            }
        } else if let Some(gateway) = directory.at(from.ip()) {
            match seals.open(octets) {
                // Each coordinator knows its own questions.
                Ok(said) => ears.iter().for_each(|ear| ear.answer(at, &gateway, &said)),
                Err(error) => refuse(&error),
            }
        } else {
            refuse(&"no gateway and no peer's demux has this address");
        }
    }
}
