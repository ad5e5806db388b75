//! The thread of this host's responders. It waits for requests and for the workers' answers at the same time.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, Builder};
use std::time::Instant;

use anyhow::Context;
use causeway_rescale::message::{FromGateway, ToGateway};
use crossbeam::channel::{Receiver, Select, Sender, TryRecvError, TrySendError, bounded};

use super::rate_limited_log::RateLimitedLog;
use super::responder::{Respond, Responder};
use super::source_filter::accept_only;
use crate::transient::{RETRY_DELAY, Transient};
use crate::wire::{
    Ends, GatewaySession, LONGEST, MessageAuth, MessageError, Outcome, PORT, ReplyDatagram,
    RequestDatagram, Verdict,
};

/// Requests in the queue. A request that finds the queue full is lost, and its demux resends it.
const QUEUE: usize = 256;

/// A request to one of the responders.
pub struct ResponderRequest {
    /// The index of the responder.
    pub responder: usize,
    pub request: ToGateway,
    pub respond: Respond,
}

/// Starts the thread and returns its queue. The thread ends when every sender of the queue is dropped.
///
/// # Errors
/// The thread cannot be started.
pub fn start(responders: Vec<Responder>) -> anyhow::Result<Sender<ResponderRequest>> {
    let (sender, requests) = bounded(QUEUE);
    Builder::new()
        .name("responders".into())
        .spawn(move || serve(responders, &requests))
        .context("cannot start the thread that answers demuxes")?;
    Ok(sender)
}

fn serve(mut responders: Vec<Responder>, requests: &Receiver<ResponderRequest>) {
    loop {
        wait(&responders, requests);
        let now = Instant::now();
        loop {
            match requests.try_recv() {
                Ok(request) => {
                    responders[request.responder].handle(now, request.request, request.respond);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        for responder in &mut responders {
            responder.poll(now);
        }
    }
}

fn wait(responders: &[Responder], requests: &Receiver<ResponderRequest>) {
    let mut select = Select::new();
    select.recv(requests);
    for responder in responders {
        responder.register(&mut select);
    }
    match responders.iter().filter_map(Responder::deadline).min() {
        Some(deadline) => {
            let _ = select.ready_deadline(deadline);
        }
        None => {
            select.ready();
        }
    }
}

/// The control port of a gateway.
pub struct ControlPort {
    pub socket: UdpSocket,
    /// The gateway's own address.
    pub own: IpAddr,
    /// The only sender of requests.
    pub demux: IpAddr,
    pub auth: Arc<MessageAuth>,
    /// The queue of the responders' thread.
    pub queue: Sender<ResponderRequest>,
    pub failures: Transient,
}

impl ControlPort {
    /// Starts the thread that receives the demux's requests and sends the replies. It runs until the process ends. `boot` must
    /// differ between starts, and is not 0.
    ///
    /// # Errors
    /// The kernel refuses the filter, or the thread cannot be started.
    pub fn serve(self, boot: u64) -> anyhow::Result<()> {
        accept_only(&self.socket, [self.demux])
            .context("cannot limit the senders on the port of demuxes and gateways")?;
        let session = GatewaySession::new(boot);
        Builder::new()
            .name("responder-udp".into())
            .spawn(move || self.run(session))
            .context("cannot start the thread that receives the demux's requests")?;
        Ok(())
    }

    fn run(self, mut session: GatewaySession) {
        // One octet more than the longest message, so that a longer datagram is detected.
        let mut octets = [0; LONGEST + 1];
        let mut log = RateLimitedLog::default();
        let port = Arc::new(self);
        loop {
            let (length, from) = match port.socket.recv_from(&mut octets) {
                Ok(received) => received,
                Err(error) => {
                    let failures = &port.failures;
                    failures.count("cannot receive requests of the demux", &error);
                    thread::sleep(RETRY_DELAY);
                    continue;
                }
            };
            match port.handle(&mut session, from, &octets[..length]) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => log.refused(from, &error),
            }
        }
    }

    /// Handles a datagram. Returns false if the responders' thread has ended.
    fn handle(
        self: &Arc<Self>,
        session: &mut GatewaySession,
        from: SocketAddr,
        octets: &[u8],
    ) -> Result<bool, RefusedRequest> {
        // The filter does not cover datagrams that were in the queue before it.
        if from != SocketAddr::new(self.demux, PORT) {
            return Err(RefusedRequest::Source { demux: self.demux });
        }
        let ends = Ends {
            from: self.demux,
            to: self.own,
        };
        let datagram: RequestDatagram = self.auth.decode(ends, octets)?;
        let numbers = (datagram.incarnation, datagram.sequence);
        let request = match session.receive(datagram) {
            Verdict::Obey(request) => request,
            Verdict::Correct(reply) => {
                self.send(&reply);
                return Ok(true);
            }
            Verdict::Repeated => return Err(RefusedRequest::Repeated),
        };
        let (port, answer) = (
            Arc::clone(self),
            session.answer(numbers, Outcome::OtherProcess),
        );
        let respond = Box::new(move |reply: FromGateway| {
            port.send(&ReplyDatagram {
                outcome: Outcome::Reply(reply),
                ..answer
            });
        });
        let request = ResponderRequest {
            responder: 0,
            request,
            respond,
        };
        // A request that finds the queue full is lost, and its demux resends it.
        Ok(!matches!(
            self.queue.try_send(request),
            Err(TrySendError::Disconnected(_))
        ))
    }

    fn send(&self, reply: &ReplyDatagram) {
        let ends = Ends {
            from: self.own,
            to: self.demux,
        };
        if let Some(datagram) = self.auth.encode(ends, reply) {
            // If the reply is lost, the demux resends its request.
            let _ = self.socket.send_to(&datagram, (self.demux, PORT));
        }
    }
}

/// Why a datagram was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum RefusedRequest {
    #[error("expected requests of the demux {demux} (vpc.demux) only")]
    Source { demux: IpAddr },
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the request was received before")]
    Repeated,
}

#[cfg(test)]
mod tests;
