//! Handles the events of the workers, in a thread of its own because a reservation of sequence numbers waits for the disk.

use std::sync::{Arc, PoisonError};
use std::thread::Builder;

use anyhow::Context;
use causeway_esp::{LifetimeState, Spi};
use causeway_gateway::{Audit, Bound, Command, Direction, Event, Limit};
use causeway_routes::Watcher;
use crossbeam::channel::Select;

use crate::sas::{RESERVATION, SaTemplate};
use crate::worker_handle::WorkerHandle;

/// Starts the thread. It ends when the last worker has ended.
///
/// # Errors
/// The thread cannot be started.
pub fn start(workers: &[Arc<WorkerHandle>], watcher: Watcher) -> anyhow::Result<()> {
    let workers = workers.to_vec();
    Builder::new()
        .name("events".into())
        .spawn(move || serve(workers, &watcher))
        .context("cannot start the thread that handles the workers' events")?;
    Ok(())
}

fn serve(mut workers: Vec<Arc<WorkerHandle>>, watcher: &Watcher) {
    while !workers.is_empty() {
        let mut select = Select::new();
        for worker in &workers {
            select.recv(&worker.control.events);
        }
        let ready = select.ready();
        let worker = &workers[ready];
        match worker.control.events.try_recv() {
            Ok(event) => handle(worker, event, watcher),
            Err(crossbeam::channel::TryRecvError::Empty) => {}
            Err(crossbeam::channel::TryRecvError::Disconnected) => {
                workers.swap_remove(ready);
            }
        }
    }
}

fn handle(worker: &WorkerHandle, event: Event, watcher: &Watcher) {
    match event {
        Event::Resolve(neighbour) => {
            // If the queue of the watcher is full, the worker repeats the event while packets wait.
            watcher.resolve(neighbour);
        }
        Event::ReserveMore { tunnel, spi } => reserve(worker, tunnel, spi),
        Event::Limit(limit) => warn(&worker.gateway, &worker.templates[limit.tunnel], limit),
        Event::PathMtu { tunnel, mtu } => tracing::info!(
            gateway = worker.gateway,
            peering = worker.templates[tunnel].peering,
            mtu,
            "the path MTU to the peer has changed"
        ),
        Event::PathTooNarrow { tunnel, mtu } => tracing::warn!(
            gateway = worker.gateway,
            peering = worker.templates[tunnel].peering,
            mtu,
            "ignored a report of a path MTU that is too small for the tunnel"
        ),
        Event::WorkerStalled(stall) => tracing::warn!(
            gateway = worker.gateway,
            milliseconds = stall.as_millis(),
            "the worker stalled and dropped its packets: was the process stopped, or is the machine overloaded?"
        ),
        Event::Audit(audit) => log(&worker.gateway, audit),
    }
}

fn reserve(worker: &WorkerHandle, tunnel: usize, spi: Spi) {
    let mut reserved = worker
        .reserved
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let outbound = &mut reserved[tunnel];
    if outbound.spi != spi {
        // The worker sent the event before it switched to another SA.
        return;
    }
    match outbound.reservation.reserve(RESERVATION) {
        Ok(reserved) => {
            let until = reserved.end;
            // A worker that has ended needs no numbers.
            let _ = worker
                .control
                .send(Command::ReserveUntil { tunnel, spi, until });
        }
        // The worker repeats the event. When it has used all numbers, it drops and counts packets.
        Err(error) => {
            tracing::error!(gateway = worker.gateway, %error, "cannot reserve sequence numbers")
        }
    }
}

/// Logs a limit that an SA has reached. RFC 4301 section 4.4.2.1: at a soft limit a new SA should be installed, at a hard limit the
/// SA ends. The SA also ends with its sequence numbers. RFC 4303 section 3.3.3 requires an audit log entry for that, with SPI, time
/// and addresses.
fn warn(gateway: &str, template: &SaTemplate, limit: Limit) {
    let (direction, source, destination) = match limit.direction {
        Direction::Outbound => (
            "outbound",
            template.local_address(),
            template.peer_address(),
        ),
        Direction::Inbound => ("inbound", template.peer_address(), template.local_address()),
    };
    let text = match (limit.bound, limit.state) {
        (Bound::Lifetime, LifetimeState::Expired) => {
            "the SA has reached a hard limit of its lifetime and carries no more packets"
        }
        (Bound::Lifetime, LifetimeState::Due | LifetimeState::Active) => {
            "the SA has reached a soft limit of its lifetime; install a new SA"
        }
        (Bound::SequenceNumbers, LifetimeState::Expired) => {
            "auditable event: the SA has used all sequence numbers and sends no more packets; \
             install a new SA"
        }
        (Bound::SequenceNumbers, LifetimeState::Due | LifetimeState::Active) => {
            "the SA has few sequence numbers left; install a new SA"
        }
    };
    tracing::warn!(
        gateway,
        peering = template.peering,
        direction,
        spi = %limit.spi,
        %source,
        %destination,
        "{text}"
    );
}

/// Logs an auditable event. RFC 4303 sections 3.4.1 to 3.4.4 require SPI, time, addresses and sequence number.
fn log(gateway: &str, audit: Audit) {
    let Audit {
        reason,
        spi,
        sequence,
        source,
        destination,
    } = audit;
    tracing::warn!(
        gateway,
        reason = reason.name(),
        spi = format_args!("{spi:#010x}"),
        sequence,
        %source,
        %destination,
        "auditable event: {}",
        reason.help()
    );
}
