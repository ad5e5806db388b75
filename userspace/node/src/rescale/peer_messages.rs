//! The peer messages that arrive through the tunnels of this host's own workers.

use std::sync::Arc;
use std::thread::Builder;
use std::time::Instant;

use anyhow::Context;
use causeway_gateway::ControlMessage;
use crossbeam::channel::{Select, TryRecvError};

use super::message_receiver::MessageReceiver;
use super::rate_limited_log::RateLimitedLog;
use crate::wire::{Ends, MessageAuth, PORT, parse_packet};
use crate::worker_handle::WorkerHandle;

/// A worker, and for each of its tunnels the receiver of the peer's messages.
pub struct Source {
    pub worker: Arc<WorkerHandle>,
    /// `None` for a peering whose cluster does not change at run time.
    pub receivers: Vec<Option<MessageReceiver>>,
}

/// Starts the thread that passes the peer messages from the workers to their receivers. It ends when the last worker
/// has ended.
///
/// # Errors
/// The thread cannot be started.
pub fn forward(sources: Vec<Source>, auth: Arc<MessageAuth>) -> anyhow::Result<()> {
    Builder::new()
        .name("peer-messages".into())
        .spawn(move || serve(sources, &auth))
        .context("cannot start the thread that receives the peers' messages from the workers")?;
    Ok(())
}

fn serve(mut sources: Vec<Source>, auth: &MessageAuth) {
    let mut log = RateLimitedLog::default();
    while !sources.is_empty() {
        let mut select = Select::new();
        for source in &sources {
            select.recv(&source.worker.control.messages);
        }
        let ready = select.ready();
        match sources[ready].worker.control.messages.try_recv() {
            Ok(message) => deliver(&message, &sources[ready].receivers, auth, &mut log),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                sources.swap_remove(ready);
            }
        }
    }
}

fn deliver(
    message: &ControlMessage,
    receivers: &[Option<MessageReceiver>],
    auth: &MessageAuth,
    log: &mut RateLimitedLog,
) {
    let Some(packet) = parse_packet(message.packet()) else {
        return;
    };
    let from = (packet.from, PORT).into();
    match receivers.get(message.tunnel) {
        Some(Some(receiver)) if (receiver.demux, receiver.own) == (packet.from, packet.to) => {
            let ends = Ends {
                from: packet.from,
                to: packet.to,
            };
            match auth.decode(ends, packet.payload) {
                Ok(message) => receiver.peer_message(Instant::now(), message),
                Err(error) => log.refused(from, &error),
            }
        }
        _ => log.refused(from, &"it is not from the peer's demux to this one"),
    }
}
