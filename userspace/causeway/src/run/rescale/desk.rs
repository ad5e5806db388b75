//! The thread of this host's agents: it hears demuxes and workers, and waits for neither.

use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Instant;

use anyhow::Context;
use causeway_rescale::message::{FromGateway, ToGateway};
use crossbeam::channel::{Receiver, Select, Sender, TryRecvError, TrySendError, bounded};

use super::agent::{Agent, Answer};
use super::noise::Noise;
use crate::wire::{LONGEST, Seals};

/// Requests that wait to be read. What does not fit is asked again.
const ASKED: usize = 256;

/// A request, and where its answer goes.
pub struct Asked {
    /// Which agent is asked.
    pub agent: usize,
    /// What.
    pub request: ToGateway,
    /// Where the answer goes.
    pub answer: Answer,
}

/// Starts the thread. It ends when nobody can ask any more.
///
/// # Errors
/// Where the thread cannot be started.
pub fn open(agents: Vec<Agent>) -> anyhow::Result<Sender<Asked>> {
    let (ask, asked) = bounded(ASKED);
    Builder::new()
        .name("agents".into())
        .spawn(move || serve(agents, &asked))
        .context("cannot start the thread that answers demuxes")?;
    Ok(ask)
}

fn serve(mut agents: Vec<Agent>, asked: &Receiver<Asked>) {
    loop {
        wait(&agents, asked);
        let now = Instant::now();
        loop {
            match asked.try_recv() {
                Ok(asked) => agents[asked.agent].ask(now, asked.request, asked.answer),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        for agent in &mut agents {
            agent.settle(now);
        }
    }
}

fn wait(agents: &[Agent], asked: &Receiver<Asked>) {
    let mut select = Select::new();
    select.recv(asked);
    for agent in agents {
        agent.register(&mut select);
    }
    match agents.iter().filter_map(Agent::deadline).min() {
        Some(deadline) => {
            let _ = select.ready_deadline(deadline);
        }
        None => {
            select.ready();
        }
    }
}

/// Starts the thread that brings what demuxes say to a gateway's agent, and their answers back. It
/// lasts as long as the process.
///
/// # Errors
/// Where the thread cannot be started.
pub fn listen(socket: UdpSocket, seals: Arc<Seals>, ask: Sender<Asked>) -> anyhow::Result<()> {
    Builder::new()
        .name("agent-socket".into())
        .spawn(move || {
            if let Err(error) = hear(&Arc::new(socket), &seals, &ask) {
                tracing::error!(%error, "the gateway hears no demux any more");
            }
        })
        .context("cannot start the thread that hears demuxes")?;
    Ok(())
}

fn hear(socket: &Arc<UdpSocket>, seals: &Arc<Seals>, ask: &Sender<Asked>) -> std::io::Result<()> {
    // One octet more than a message has: what is longer is seen to be.
    let mut octets = [0; LONGEST + 1];
    let mut noise = Noise::default();
    loop {
        let (length, from) = socket.recv_from(&mut octets)?;
        let request = match seals.open(&octets[..length]) {
            Ok(request) => request,
            Err(error) => {
                noise.heard(from, &error);
                continue;
            }
        };
        let (socket, seals) = (socket.clone(), seals.clone());
        let answer = Box::new(move |said: FromGateway| {
            if let Some(sealed) = seals.seal(&said) {
                // Lost, it is asked for again.
                let _ = socket.send_to(&sealed, from);
            }
        });
        let asked = Asked {
            agent: 0,
            request,
            answer,
        };
        match ask.try_send(asked) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return Ok(()),
        }
    }
}
