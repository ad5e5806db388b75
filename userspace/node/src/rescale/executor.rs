//! The thread of a demux's coordinators. It is not the role's main thread, so that probes are sent in time whatever the main
//! thread waits for.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use causeway_device::STALL_AFTER;
use causeway_rescale::coordinator::{Coordinator, Settings, State};
use causeway_routes::{Interface, is_link_local};
use ipnet::IpNet;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::command::{FixedCluster, PeeringHandle, Rescale};
use super::directory::Directory;
use super::driver::{Buckets, Driver};
use super::driver_input::DriverInput;
use super::message_receiver::{MessageReceiver, Socket};
use super::peer_messages::{self, Source};
use super::peering_status::PeeringStatus;
use super::sessions::Sessions;
use super::transports::Transports;
use super::{SharedStateFile, auth, bind, in_force, random_number, responders};
use crate::transient::Transient;
use crate::wire::MessageAuth;
use crate::worker_handle::Workers;
use causeway_config::{Peering, Plan};

/// Inputs in the queue of a driver. A message that finds the queue full is lost, as on a network, and resent.
const QUEUE: usize = 1024;
/// The time within which a marker must return through a new pair.
const JOIN_TIME: Duration = Duration::from_secs(10);
/// The time after which a gateway of the peer that does not confirm its fence counts as stopped.
const FENCE_TIME: Duration = Duration::from_millis(200);

/// The thread. It ends when this value is dropped.
pub struct Executor {
    /// Stops the thread when dropped.
    _stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<anyhow::Error>,
}

/// The parameters of [`Executor::start`].
pub struct Start<'a> {
    pub plan: &'a Plan,
    pub nic: &'a Interface,
    /// The workers on this host.
    pub workers: Workers,
    /// The initial state of each peering.
    pub states: Vec<State>,
    pub directory: Arc<Directory>,
    pub buckets: Arc<dyn Buckets>,
    pub state_file: Option<SharedStateFile>,
    pub failures: Transient,
}

impl Executor {
    /// Starts the coordinators of a demux.
    ///
    /// # Errors
    /// A port is in use, or a thread cannot be started.
    pub fn start(start: Start<'_>) -> anyhow::Result<(Rescale, Self)> {
        let Start {
            plan,
            nic,
            workers,
            states,
            directory,
            buckets,
            state_file,
            failures,
        } = start;
        let auth = auth(plan);
        let local = !workers.is_empty();
        let responders = local
            .then(|| responders(plan, &auth, &workers))
            .transpose()?;
        let sockets = if local {
            Vec::new()
        } else {
            sockets(plan, nic)?
        };
        let (mut drivers, mut handles) = (Vec::new(), Vec::new());
        let mut receivers = vec![None; plan.peerings.len()];
        for (peering, state) in plan.peerings.iter().zip(states) {
            let status = Arc::new(Mutex::new(PeeringStatus::new(
                &peering.name,
                in_force(&state),
            )));
            let (driver, inputs) = mpsc::channel(QUEUE);
            handles.push(PeeringHandle {
                name: peering.name.clone(),
                status: status.clone(),
                driver: match (&peering.demux, &state_file) {
                    (None, _) => Err(FixedCluster::NoPeer),
                    (_, None) => Err(FixedCluster::NoStateFile),
                    _ => Ok(driver.clone()),
                },
            });
            let Some(settings) = settings(plan, nic, peering) else {
                continue;
            };
            receivers[peering.id as usize] = Some(MessageReceiver {
                own: settings.own,
                demux: settings.peer,
                status: status.clone(),
                driver: driver.clone(),
            });
            drivers.push(DriverParts {
                peering: peering.id,
                settings,
                state,
                number: random_number()?,
                inputs,
                driver,
                status,
            });
        }
        let sources = workers.iter().map(|worker| Source {
            worker: worker.clone(),
            receivers: worker
                .templates
                .iter()
                .map(|template| {
                    let mut peerings = plan.peerings.iter();
                    let index = peerings.position(|peering| peering.name == template.peering);
                    index.and_then(|index| receivers[index].clone())
                })
                .collect(),
        });
        peer_messages::forward(sources.collect(), auth.clone())?;
        let receivers: Vec<MessageReceiver> = receivers.into_iter().flatten().collect();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let work = Work {
            auth,
            sockets,
            responders,
            drivers,
            receivers,
            directory,
            buckets,
            state_file,
            failures,
        };
        Builder::new()
            .name("rescale".into())
            .spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                let error = match runtime {
                    Ok(runtime) => runtime.block_on(async {
                        tokio::select! {
                            _ = stopped => None,
                            error = work.run() => Some(error),
                        }
                    }),
                    Err(error) => Some(error.into()),
                };
                if let Some(error) = error {
                    let _ = end.send(error);
                }
            })
            .context("cannot start the thread of the coordinators")?;
        Ok((Rescale::new(plan, handles), Self { _stop: stop, ended }))
    }

    /// Waits for an unexpected end of the thread and returns its cause.
    pub async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.ended).await {
            Ok(error) => error,
            Err(_) => anyhow!("the thread of the coordinators panicked; see the log"),
        }
    }
}

/// A driver that is not in its thread yet.
struct DriverParts {
    peering: u32,
    settings: Settings,
    state: State,
    number: u64,
    inputs: mpsc::Receiver<DriverInput>,
    driver: mpsc::Sender<DriverInput>,
    status: Arc<Mutex<PeeringStatus>>,
}

struct Work {
    auth: Arc<MessageAuth>,
    sockets: Vec<UdpSocket>,
    responders: Option<crossbeam::channel::Sender<super::responder_thread::ResponderRequest>>,
    drivers: Vec<DriverParts>,
    receivers: Vec<MessageReceiver>,
    directory: Arc<Directory>,
    buckets: Arc<dyn Buckets>,
    state_file: Option<SharedStateFile>,
    failures: Transient,
}

impl Work {
    async fn run(self) -> anyhow::Error {
        match self.try_run().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn try_run(self) -> anyhow::Result<std::convert::Infallible> {
        let mut sockets = Vec::with_capacity(self.sockets.len());
        for socket in self.sockets {
            socket.set_nonblocking(true)?;
            sockets.push(tokio::net::UdpSocket::from_std(socket)?);
        }
        let sockets = Arc::new(sockets);
        let mut tasks = JoinSet::new();
        let sessions = Arc::new(Sessions::new(random_number()? as u16));
        for index in 0..sockets.len() {
            let socket = Socket {
                sockets: sockets.clone(),
                index,
                auth: self.auth.clone(),
                sessions: sessions.clone(),
                receivers: self.receivers.clone(),
                directory: self.directory.clone(),
                failures: self.failures.clone(),
            };
            tasks.spawn(async move {
                match socket.receive().await {
                    Ok(never) => match never {},
                    Err(error) => Err(error).context("cannot limit the senders of messages"),
                }
            });
        }
        for parts in self.drivers {
            let start = Instant::now();
            let coordinator = Coordinator::new(
                parts.settings.clone(),
                parts.state,
                parts.number,
                Duration::ZERO,
            );
            let driver = Driver {
                peering: parts.peering,
                name: parts.settings.peering,
                coordinator,
                start,
                inputs: parts.inputs,
                directory: self.directory.clone(),
                transports: Transports {
                    auth: self.auth.clone(),
                    sessions: sessions.clone(),
                    sockets: sockets.clone(),
                    responders: self.responders.clone(),
                    driver: parts.driver,
                },
                buckets: self.buckets.clone(),
                state_file: self.state_file.clone(),
                status: parts.status,
                requester: None,
                moved: Vec::new(),
                unwritten: None,
                writing: None,
            };
            tasks.spawn(driver.run());
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("a coordinator panicked")??;
        }
        // No cluster can change, so there is no driver.
        std::future::pending().await
    }
}

/// The settings of a peering's coordinator. `None` if the peering has no demux.
fn settings(plan: &Plan, nic: &Interface, peering: &Peering) -> Option<Settings> {
    let peer = peering.demux?;
    let own = plan.marker_source(peer, &nic.addresses)?;
    let rescale = &plan.rescale;
    Some(Settings {
        peering: peering.name.clone(),
        own,
        peer,
        probe_interval: rescale.probe_interval,
        dead_after: rescale.dead_after,
        idle_time: rescale.idle_time,
        hold_time: rescale.hold_time,
        hold_timeout_action: rescale.hold_timeout_action,
        batch: rescale.batch,
        join_time: JOIN_TIME,
        fence_time: FENCE_TIME,
        stall_after: STALL_AFTER,
    })
}

/// One socket for each address family of the gateways and the peers' demuxes, bound to the source address of the markers.
fn sockets(plan: &Plan, nic: &Interface) -> anyhow::Result<Vec<UdpSocket>> {
    let demuxes = plan.peerings.iter().filter_map(|peering| peering.demux);
    let gateways = plan.gateways.iter().map(|gateway| gateway.address);
    let has_peer = demuxes.clone().next().is_some();
    let addresses: Vec<IpAddr> = demuxes.chain(gateways).collect();
    let mut sockets = Vec::new();
    for ipv4 in [true, false] {
        let Some(&one) = addresses.iter().find(|address| address.is_ipv4() == ipv4) else {
            continue;
        };
        let mut own = nic.addresses.iter().map(IpNet::addr);
        let any = own.find(|own| own.is_ipv4() == ipv4 && !is_link_local(*own));
        if let Some(own) = plan.marker_source(one, &nic.addresses).or(any)
            && has_peer
        {
            sockets.push(bind(own)?);
        }
    }
    Ok(sockets)
}
