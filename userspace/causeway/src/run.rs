//! A role's life: from a plan to packets, until a signal ends it.
//!
//! `tables` makes the steering tables of the plan, `workers` the sockets, SAs and threads,
//! `events` answers what the workers ask for, `sas` lets SAs come and go, `path` hears of packets that
//! were too big, `view` is what status and metrics see of it all.

mod events;
mod explain;
mod object;
mod path;
mod rescale;
mod sas;
pub(crate) mod tables;
mod view;
mod workers;

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use causeway_demux::{Attach, Program};
use causeway_gateway::Command;
use causeway_rescale::coordinator::Outcome;
use causeway_routes::{Interface, Snapshot, Watcher, interface, tx_dropped};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{NicMode, Plan};
use crate::control::{Answer, Request, Socket};
use crate::explain::Names;
use crate::http;
use crate::status::{Role, Status, XdpMode};
use rescale::{Directory, Executor, Rescale, Start, Unchanged};
use sas::Sas;
use tables::RemoteGateways;
use view::View;
pub(crate) use workers::umem_bytes;

/// What a drain may take: the workers are told so, and a little more is waited for them.
const DRAIN: Duration = Duration::from_secs(2);
/// How often the control thread looks after its workers and its remote gateways.
const TICK: Duration = Duration::from_millis(200);
/// A packet that the program redirected just before it was detached has reached its socket then.
const IN_FLIGHT: Duration = Duration::from_millis(20);

/// Runs `role` until SIGTERM or SIGINT, drains, and returns its last status.
///
/// # Errors
/// Whatever keeps it from starting or going on: the kernel program, the NIC, sockets, keys, a
/// worker's thread that ended by itself.
pub async fn run(plan: Plan, role: Role) -> anyhow::Result<Status> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let nic = interface(&plan.nic.name).await?;
    let object = object::read()?;
    let socket = plan.control.as_deref().map(Socket::bind).transpose()?;
    let mut program = Program::load(&object)?;
    let mut logger = program.logger();

    let (publish, mut snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let (watcher, watching) = Watcher::start(nic.index, move |snapshot| {
        publish.send_replace(snapshot);
    })
    .await
    .context("cannot follow the kernel's routes and neighbours")?;
    let mut watching = tokio::spawn(watching);
    let routes = snapshots.borrow_and_update().clone();

    let (workers, sas) = workers::prepare(&plan, &nic, &mut program, &routes)?;
    let sas = Arc::new(sas);
    let directory = Arc::new(Directory::new(&plan, nic.addresses.clone()));
    let (state, states) = rescale::states(&plan, role, &directory)?;
    let clusters: Vec<_> = states.iter().map(rescale::in_force).collect();
    let mut remote = RemoteGateways::default();
    let mut steering = tables::tables(&plan, &nic, &directory, &clusters)?;
    remote.resolve(&directory, &routes, &watcher, |index, place| {
        steering.gateways[index as usize] = place;
        Ok(())
    })?;
    program.fill(nic.index, &steering)?;
    // Counted from here on, as the program's own counters are.
    let dropped_before = tx_dropped(nic.index).await?;

    let (threads, seats) = workers::start(workers)?;
    events::answer(sas.posts(), watcher.clone())?;
    let attach = match plan.nic.mode {
        NicMode::Auto => Attach::Auto,
        NicMode::Driver => Attach::Driver,
        NicMode::Skb => Attach::Skb,
    };
    let mode = program.attach(&nic.name, nic.index, attach)?;
    let listen = plan.http;
    let view = Arc::new(View::new(
        role,
        &plan,
        &nic,
        program,
        seats,
        sas.clone(),
        directory.clone(),
    ));
    view.attached(mode);
    let names = Names::of(&plan);
    let (rescale, mut executor) = match role {
        Role::Demux => {
            let (rescale, executor) = Executor::start(Start {
                plan: &plan,
                nic: &nic,
                seats: view.workers(),
                states,
                directory: directory.clone(),
                buckets: view.clone(),
                keep: state,
            })?;
            (Arc::new(rescale), Some(executor))
        }
        Role::Gateway => {
            rescale::serve(&plan, view.workers())?;
            (Arc::default(), None)
        }
    };
    view.watch(rescale.clone());
    // The workers' SAs have the keys; nobody else needs them any more.
    drop(plan);
    tracing::info!(
        role = role.name(),
        nic = nic.name,
        mode = mode.name(),
        workers = view.workers().len(),
        "causeway carries traffic"
    );

    let serving = async {
        match listen {
            Some(address) => {
                let source = view.clone();
                http::serve(address, move || source.status()).await
            }
            None => std::future::pending().await,
        }
    };
    tokio::pin!(serving);
    let path = match view.workers() {
        [] => None,
        _ => Some(path::Listener::open()?),
    };
    let too_big = async || match &path {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    };
    let answering = async {
        match &socket {
            Some(socket) => {
                let (sas, view) = (sas.clone(), view.clone());
                socket
                    .serve(move |request| answer(request, &sas, &view, &names, &rescale))
                    .await
            }
            None => std::future::pending().await,
        }
    };
    tokio::pin!(answering);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            ended = &mut watching => {
                ended?.context("the watch over routes and neighbours ended")?;
                bail!("the watch over routes and neighbours ended");
            }
            ended = &mut serving => return ended.and_then(|()| bail!("the HTTP server ended")),
            ended = &mut answering => {
                ended.context("the control socket failed")?;
                bail!("the control socket ended");
            }
            changed = snapshots.changed() => {
                changed.context("the watch over routes and neighbours ended")?;
                let snapshot = snapshots.borrow_and_update().clone();
                for worker in view.workers() {
                    worker.control.send(Command::Routes(snapshot.clone()))?;
                }
                place(&mut remote, &directory, &snapshot, &watcher, &view)?;
            }
            error = ended(&mut executor) => return Err(error),
            report = too_big() => {
                let report = report.context("cannot hear what ICMP says of the path")?;
                let at = Instant::now();
                for worker in view.workers() {
                    worker.control.send(Command::TooBig { report, at })?;
                }
            }
            _ = tick.tick() => {
                if threads.iter().any(workers::Thread::has_ended) {
                    bail!("a worker's thread ended by itself; see the log for its panic");
                }
                if let Some(logger) = &mut logger {
                    // The kernel program's rare lines: at most one of a kind per second and CPU.
                    logger.flush();
                }
                view.collect_latency();
                sas.tick(Instant::now(), &*view);
                // A driver may start its count anew with the link.
                view.nic_dropped(tx_dropped(nic.index).await?.saturating_sub(dropped_before));
                let snapshot = snapshots.borrow().clone();
                place(&mut remote, &directory, &snapshot, &watcher, &view)?;
            }
        }
    }

    tracing::info!("draining");
    drop(executor);
    view.detach()?;
    tokio::time::sleep(IN_FLIGHT).await;
    let finished = workers::drain(view.workers(), threads, DRAIN).await?;
    view.nic_dropped(tx_dropped(nic.index).await?.saturating_sub(dropped_before));
    Ok(view.last_words(finished))
}

/// What `causeway local` asked for. May wait for disk and workers.
fn answer(request: Request, sas: &Sas, view: &View, names: &Names, rescale: &Rescale) -> Answer {
    let done = match request {
        Request::Status {} => return Answer::Status(view.status().into()),
        Request::SaList {} => return Answer::Sas(sas.list()),
        Request::Explain(question) => return explain::answer(&question, view, rescale, names),
        Request::SaInstall(wanted) => sas.install(&wanted, view),
        Request::SaSwitch(wanted) => sas.switch(&wanted),
        Request::SaRetire { spi, after_seconds } => {
            sas.retire(spi, Duration::from_secs(after_seconds))
        }
        Request::GatewayList {} => return Answer::Tables(rescale.tables()),
        Request::GatewayAdd(wanted) => return changed(rescale.add(wanted)),
        Request::GatewayDrain(which) => return changed(rescale.drain(which)),
        Request::GatewayRemove(which) => return changed(rescale.remove(which)),
        Request::GatewayWeight(wanted) => return changed(rescale.weigh(wanted)),
    };
    match done {
        Ok(sentence) => Answer::Done(sentence),
        Err(error) => refused(&error),
    }
}

fn changed(change: Result<Outcome, Unchanged>) -> Answer {
    match change {
        Ok(outcome) => Answer::Changed(outcome),
        Err(error) => refused(&error),
    }
}

fn refused(error: &dyn Display) -> Answer {
    tracing::warn!(%error, "refused over the control socket");
    Answer::Refused(error.to_string())
}

/// Why the thread of the coordinators ended.
async fn ended(executor: &mut Option<Executor>) -> anyhow::Error {
    match executor {
        Some(executor) => executor.ended().await,
        None => std::future::pending().await,
    }
}

fn place(
    remote: &mut RemoteGateways,
    directory: &Directory,
    snapshot: &Snapshot,
    watcher: &Watcher,
    view: &View,
) -> anyhow::Result<()> {
    remote.resolve(directory, snapshot, watcher, |index, place| {
        view.place(index, place)
    })
}

/// The mode as the status document has it.
fn xdp_mode(mode: causeway_demux::Mode) -> XdpMode {
    match mode {
        causeway_demux::Mode::Driver => XdpMode::Driver,
        causeway_demux::Mode::Skb => XdpMode::Skb,
    }
}

/// The receive queues that are bound.
fn queues(nic: &Interface) -> u32 {
    nic.rx_queues.clamp(1, causeway_steering::MAX_QUEUES)
}
