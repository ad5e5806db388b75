//! The thread of this host's responders. It waits for requests and for the workers' answers at the same time.

use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Instant;

use anyhow::Context;
use causeway_rescale::message::{FromGateway, ToGateway};
use crossbeam::channel::{Receiver, Select, Sender, TryRecvError, TrySendError, bounded};

use super::rate_limited_log::RateLimitedLog;
use super::responder::{Respond, Responder};
use crate::wire::{LONGEST, MessageAuth};

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

/// Starts the thread that receives the demuxes' requests over UDP and sends the replies. It runs until the process ends.
///
/// # Errors
/// The thread cannot be started.
pub fn start_receiver(
    socket: UdpSocket,
    auth: Arc<MessageAuth>,
    queue: Sender<ResponderRequest>,
) -> anyhow::Result<()> {
    Builder::new()
        .name("responder-udp".into())
        .spawn(move || {
            if let Err(error) = receive(&Arc::new(socket), &auth, &queue) {
                tracing::error!(%error, "the gateway cannot receive requests of demuxes any more");
            }
        })
        .context("cannot start the thread that receives the demuxes' requests")?;
    Ok(())
}

fn receive(
    socket: &Arc<UdpSocket>,
    auth: &Arc<MessageAuth>,
    queue: &Sender<ResponderRequest>,
) -> std::io::Result<()> {
    // One octet more than the longest message, so that a longer datagram is detected.
    let mut octets = [0; LONGEST + 1];
    let mut log = RateLimitedLog::default();
    loop {
        let (length, from) = socket.recv_from(&mut octets)?;
        let request = match auth.decode(&octets[..length]) {
            Ok(request) => request,
            Err(error) => {
                log.refused(from, &error);
                continue;
            }
        };
        let (socket, auth) = (socket.clone(), auth.clone());
        let respond = Box::new(move |reply: FromGateway| {
            if let Some(datagram) = auth.encode(&reply) {
                // If the reply is lost, the demux resends its request.
                let _ = socket.send_to(&datagram, from);
            }
        });
        let request = ResponderRequest {
            responder: 0,
            request,
            respond,
        };
        match queue.try_send(request) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return Ok(()),
        }
    }
}
