//! Answers what workers ask for, in a thread of its own: a reservation waits for the disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use anyhow::Context;
use causeway_esp::{Spi, Stage};
use causeway_gateway::{Audit, Bound, Command, Direction, Event, Limit};
use causeway_routes::Watcher;
use crossbeam::channel::Select;

use super::sas::{Allotment, Post, RESERVATION, Terms};

/// One worker's requests.
struct Desk {
    gateway: String,
    /// Those of each tunnel.
    terms: Vec<Terms>,
    control: causeway_gateway::Control,
    allotments: Arc<Mutex<Vec<Allotment>>>,
}

/// Starts the thread. It ends when the last worker has.
///
/// # Errors
/// Where the thread cannot be started.
pub fn answer(posts: &[Post], watcher: Watcher) -> anyhow::Result<()> {
    let desks = posts
        .iter()
        .map(|post| Desk {
            gateway: post.gateway.clone(),
            terms: post.terms.clone(),
            control: post.control.clone(),
            allotments: post.allotments.clone(),
        })
        .collect();
    Builder::new()
        .name("events".into())
        .spawn(move || serve(desks, &watcher))
        .context("cannot start the thread that answers the workers")?;
    Ok(())
}

fn serve(mut desks: Vec<Desk>, watcher: &Watcher) {
    while !desks.is_empty() {
        let mut select = Select::new();
        for desk in &desks {
            select.recv(&desk.control.events);
        }
        let ready = select.ready();
        let desk = &mut desks[ready];
        match desk.control.events.try_recv() {
            Ok(event) => handle(desk, event, watcher),
            Err(crossbeam::channel::TryRecvError::Empty) => {}
            Err(crossbeam::channel::TryRecvError::Disconnected) => {
                desks.swap_remove(ready);
            }
        }
    }
}

fn handle(desk: &mut Desk, event: Event, watcher: &Watcher) {
    match event {
        Event::Resolve(neighbour) => {
            // A full queue of requests: the worker asks again while packets wait.
            watcher.resolve(neighbour);
        }
        Event::ReserveMore { tunnel, spi } => reserve(desk, tunnel, spi),
        Event::Limit(limit) => warn(&desk.gateway, &desk.terms[limit.tunnel], limit),
        Event::PathMtu { tunnel, mtu } => tracing::info!(
            gateway = desk.gateway,
            peering = desk.terms[tunnel].peering,
            mtu,
            "the path to the peer takes packets of another size"
        ),
        Event::PathTooNarrow { tunnel, mtu } => tracing::warn!(
            gateway = desk.gateway,
            peering = desk.terms[tunnel].peering,
            mtu,
            "a router on the path to the peer takes less than the tunnel needs, and was not believed"
        ),
        Event::StoodStill(silent) => tracing::warn!(
            gateway = desk.gateway,
            milliseconds = silent.as_millis(),
            "the worker had not run for so long and dropped what it had: was the process stopped, or is the machine overloaded?"
        ),
        Event::Audit(audit) => log(&desk.gateway, audit),
    }
}

fn reserve(desk: &Desk, tunnel: usize, spi: Spi) {
    let mut allotments = desk
        .allotments
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let allotment = &mut allotments[tunnel];
    if allotment.spi != spi {
        // Asked before another SA took over.
        return;
    }
    match allotment.reservation.reserve(RESERVATION) {
        Ok(reserved) => {
            let until = reserved.end;
            // A worker that has ended needs no numbers.
            let _ = desk
                .control
                .send(Command::ReserveUntil { tunnel, spi, until });
        }
        // The worker asks again, and drops packets by name when it has run out.
        Err(error) => {
            tracing::error!(gateway = desk.gateway, %error, "no sequence numbers reserved")
        }
    }
}

/// RFC 4301 section 4.4.2.1: a soft limit asks for a new SA, a hard one ends the SA. So does the
/// end of the sequence numbers, which RFC 4303 section 3.3.3 wants in the audit log with SPI, time
/// and addresses.
fn warn(gateway: &str, terms: &Terms, limit: Limit) {
    let (direction, source, destination) = match limit.direction {
        Direction::Outbound => ("outbound", terms.near(), terms.peer()),
        Direction::Inbound => ("inbound", terms.peer(), terms.near()),
    };
    let what = match (limit.bound, limit.stage) {
        (Bound::Lifetime, Stage::Expired) => {
            "the SA has reached a hard limit of its lifetime and carries no more"
        }
        (Bound::Lifetime, Stage::Due | Stage::Young) => {
            "the SA has reached a soft limit of its lifetime: a new key is due"
        }
        (Bound::SequenceNumbers, Stage::Expired) => {
            "auditable event: the SA's sequence numbers are used up, and it sends no more until it \
             has a new key"
        }
        (Bound::SequenceNumbers, Stage::Due | Stage::Young) => {
            "the SA's sequence numbers come to their end: a new key is due"
        }
    };
    tracing::warn!(
        gateway,
        peering = terms.peering,
        direction,
        spi = %limit.spi,
        %source,
        %destination,
        "{what}"
    );
}

/// RFC 4303 sections 3.4.1 to 3.4.4: SPI, time, addresses and sequence number.
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
