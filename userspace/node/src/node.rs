//! The life of a role: [`Node::start`], [`Node::serve`], [`Node::drain`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use aya_log::EbpfLogger;
use causeway_api::status::{Role, Status};
use causeway_config::{NicMode, Plan};
use causeway_demux::{Attach, Program};
use causeway_gateway::{Command, TooBig};
use causeway_routes::{RoutesError, Snapshot, Watcher, guard, interface};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::control_socket::Socket;
use crate::path_mtu::{Dispatcher, Listener};
use crate::program_tables::{IN_FLIGHT, ProgramTables};
use crate::remote_gateways::RemoteGateways;
use crate::requests::Requests;
use crate::rescale::{Directory, Executor, Start};
use crate::sas::Sas;
use crate::status_reader::{Parts, StatusReader};
use crate::transient::{RETRY_DELAY, Transient};
use crate::worker_handle::Workers;
use crate::{events, http, object, rescale, tables, workers};

/// The time limit of the workers' drain.
const DRAIN: Duration = Duration::from_secs(2);
/// How often the role checks its workers and its remote gateways.
const TICK: Duration = Duration::from_millis(200);

/// A running role.
pub struct Node {
    kernel: KernelRoutes,
    /// The log of the XDP program. Logging ends when this is dropped.
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    remote: RemoteGateways,
    directory: Arc<Directory>,
    program: Arc<ProgramTables>,
    workers: Workers,
    threads: Vec<workers::Thread>,
    sas: Arc<Sas>,
    /// The thread of the coordinators, at a demux.
    executor: Option<Executor>,
    status: Arc<StatusReader>,
    /// Packets that the NIC had refused to transmit before the program was loaded.
    failures: Transient,
    path_mtu: Option<Listener>,
    http: Option<TcpListener>,
    requests: Requests,
    socket: Option<Socket>,
}

/// The kernel's routes and neighbours, followed by a task of their own.
struct KernelRoutes {
    watcher: Watcher,
    task: JoinHandle<Result<(), RoutesError>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Node {
    /// Starts the role of a plan. When this returns, the role carries traffic.
    ///
    /// # Errors
    /// The kernel refuses the program, the NIC a socket, or the disk a reservation of sequence numbers; an SA
    /// cannot be made of its key; a port or a path is in use.
    pub async fn start(plan: Plan, role: Role) -> anyhow::Result<Self> {
        let failures = Transient::default();
        raise_open_files()?;
        // First of all: from here on nothing leaves in clear, whatever happens to this process.
        guard::install(&plan.guarded()).await?;
        let nic = interface(&plan.nic.name).await?;
        let object = object::read()?;
        let socket = plan.control.as_deref().map(Socket::bind).transpose()?;
        let http = match plan.http {
            Some(address) => Some(http::bind(address).await?),
            None => None,
        };
        let path_mtu = match plan.workers().next() {
            Some(_) => Some(Listener::open()?),
            None => None,
        };
        let mut program = Program::load(&object)?;
        let logger = program.logger();
        let mut kernel = KernelRoutes::follow(nic.index).await?;
        let routes = kernel.snapshots.borrow_and_update().clone();

        let prepared = workers::prepare(&plan, &nic, &mut program, &routes)?;
        let sas = Arc::new(prepared.sas);
        let directory = Arc::new(Directory::new(&plan, nic.addresses.clone()));
        let (state, states) = rescale::states(&plan, role, &directory)?;
        let clusters: Vec<_> = states.iter().map(rescale::in_force).collect();
        let mut remote = RemoteGateways::default();
        let mut steering = tables::tables(&plan, &nic, &directory, &clusters)?;
        remote.resolve(&directory, &routes, &kernel.watcher, |index, placement| {
            steering.gateways[index as usize] = placement;
            Ok(())
        })?;
        program.fill(nic.index, &steering)?;
        // The NIC's drops count from here on, as the program's own counters do.
        let link = kernel.watcher.link().await?;

        let threads = workers::start(prepared.idle, &prepared.handles)?;
        let workers = prepared.handles;
        events::start(&workers, kernel.watcher.clone())?;
        let mode = program.attach(&nic.name, nic.index, attach(plan.nic.mode))?;
        let program = ProgramTables::new(program, mode, plan.peerings.len(), directory.clone());
        let program = Arc::new(program);
        let (rescale, executor) = match role {
            Role::Demux => {
                let (rescale, executor) = Executor::start(Start {
                    plan: &plan,
                    nic: &nic,
                    workers: workers.clone(),
                    states,
                    directory: directory.clone(),
                    buckets: program.clone(),
                    state_file: state,
                    failures: failures.clone(),
                })?;
                (Arc::new(rescale), Some(executor))
            }
            Role::Gateway => {
                rescale::serve(&plan, &workers, failures.clone())?;
                (Arc::default(), None)
            }
        };
        let parts = Parts {
            tables: program.clone(),
            workers: workers.clone(),
            monitors: prepared.monitors,
            sas: sas.clone(),
            directory: directory.clone(),
            rescale: rescale.clone(),
            routes: kernel.snapshots.clone(),
        };
        let status = Arc::new(StatusReader::new(role, &plan, nic.clone(), link, parts));
        tracing::info!(
            role = role.name(),
            nic = nic.name,
            mode = program.mode().name(),
            workers = workers.len(),
            "causeway carries traffic"
        );
        let requests = Requests {
            sas: sas.clone(),
            program: program.clone(),
            directory: directory.clone(),
            rescale,
            status: status.clone(),
            names: crate::explain::Names::of(&plan),
        };
        // `plan` is dropped here, and its copies of the keys with it. The workers' SAs have their own copies.
        Ok(Self {
            kernel,
            logger,
            remote,
            directory,
            program,
            workers,
            threads,
            sas,
            executor,
            status,
            failures,
            path_mtu,
            http,
            requests,
            socket,
        })
    }
}

impl Node {
    /// Serves until `stop` is ready.
    ///
    /// # Errors
    /// A part of the role failed or ended unexpectedly. Packets may be lost from now on.
    pub async fn serve(&mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::pin!(stop);
        let http = serve_http(self.http.take(), self.status.clone(), self.failures.clone());
        tokio::pin!(http);
        let requests = self.requests.clone();
        let control = serve_control(self.socket.as_ref(), requests, self.failures.clone());
        tokio::pin!(control);
        let mut reports = Dispatcher::new(self.workers.len(), Instant::now());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                never = &mut http => match never {},
                never = &mut control => match never {},
                error = coordinators_ended(&mut self.executor) => return Err(error),
                snapshot = self.kernel.changed() => {
                    let snapshot = snapshot?;
                    for worker in self.workers.iter() {
                        worker.control.send(Command::Routes(snapshot.clone()))?;
                    }
                    self.remote.update(&self.directory, &snapshot, &self.kernel.watcher, &self.program)?;
                }
                report = next_report(self.path_mtu.as_ref(), &self.failures) => {
                    let at = Instant::now();
                    if let Some(worker) = reports.worker_for(&report, &self.sas, at) {
                        self.workers[worker].control.send(Command::TooBig { report, at })?;
                    }
                }
                _ = tick.tick() => {
                    if self.threads.iter().any(workers::Thread::has_ended) {
                        bail!("the thread of a worker panicked; see the log");
                    }
                    if let Some(logger) = &mut self.logger {
                        // At most one line of a kind per second and CPU.
                        logger.flush();
                    }
                    self.status.collect_latency();
                    self.sas.tick(Instant::now(), &*self.program);
                    self.read_nic().await;
                    let snapshot = self.kernel.snapshots.borrow().clone();
                    self.remote.update(&self.directory, &snapshot, &self.kernel.watcher, &self.program)?;
                }
            }
        }
    }

    /// Detaches the program, lets the workers finish the packets that they have, and returns the final status.
    ///
    /// # Errors
    /// The kernel does not detach the program; a worker panicked or did not end in time.
    pub async fn drain(mut self) -> anyhow::Result<Status> {
        tracing::info!("draining");
        drop(self.executor.take());
        self.program.detach()?;
        sleep(IN_FLIGHT).await;
        let finished =
            workers::drain(&self.workers, std::mem::take(&mut self.threads), DRAIN).await?;
        self.read_nic().await;
        Ok(self.status.final_status(&finished))
    }

    /// Reads the NIC's link for the status. A failed read leaves the last value: it ends nothing that carries packets.
    async fn read_nic(&self) {
        let watcher = &self.kernel.watcher;
        match watcher.link().await {
            Ok(link) => self.status.set_link(link),
            Err(error) => self.failures.count("cannot read the NIC's state", &error),
        }
        self.status
            .set_transient_errors(watcher.transient_errors() + self.failures.total());
    }
}

impl KernelRoutes {
    async fn follow(interface: u32) -> anyhow::Result<Self> {
        let (publish, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let (watcher, task) = Watcher::start(interface, move |snapshot| {
            publish.send_replace(snapshot);
        })
        .await
        .context("cannot follow the kernel's routes and neighbours")?;
        Ok(Self {
            watcher,
            task: tokio::spawn(task),
            snapshots,
        })
    }

    /// Waits for a change and returns the new snapshot.
    async fn changed(&mut self) -> anyhow::Result<Arc<Snapshot>> {
        const ENDED: &str = "the watcher of routes and neighbours ended";
        tokio::select! {
            ended = &mut self.task => {
                ended?.context(ENDED)?;
                bail!(ENDED);
            }
            changed = self.snapshots.changed() => {
                changed.context(ENDED)?;
                Ok(self.snapshots.borrow_and_update().clone())
            }
        }
    }
}

async fn serve_http(
    listener: Option<TcpListener>,
    status: Arc<StatusReader>,
    failures: Transient,
) -> Infallible {
    match listener {
        Some(listener) => http::serve(listener, move || status.status(), failures).await,
        None => std::future::pending().await,
    }
}

async fn serve_control(
    socket: Option<&Socket>,
    requests: Requests,
    failures: Transient,
) -> Infallible {
    let answer = move |request| requests.answer(request);
    match socket {
        Some(socket) => socket.serve(answer, failures).await,
        None => std::future::pending().await,
    }
}

/// Waits for an unexpected end of the coordinators' thread and returns its cause. Never returns at a gateway.
async fn coordinators_ended(executor: &mut Option<Executor>) -> anyhow::Error {
    match executor {
        Some(executor) => executor.ended().await,
        None => std::future::pending().await,
    }
}

/// The next ICMP report of a path MTU. Never returns where no worker needs it.
async fn next_report(listener: Option<&Listener>, failures: &Transient) -> TooBig {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.next().await {
            Ok(report) => return report,
            Err(error) => {
                failures.count("cannot receive ICMP reports of the path MTU", &error);
                sleep(RETRY_DELAY).await;
            }
        }
    }
}

/// Raises the soft limit of open files to the hard one, which the check of the configuration has compared with the plan.
fn raise_open_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).context("cannot raise RLIMIT_NOFILE to its hard limit")
}

fn attach(mode: NicMode) -> Attach {
    match mode {
        NicMode::Auto => Attach::Auto,
        NicMode::Driver => Attach::Driver,
        NicMode::Skb => Attach::Skb,
    }
}
