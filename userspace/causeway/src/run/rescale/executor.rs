//! The thread in which a demux's coordinators work, apart from the role's own, so that probes go out
//! in time whatever that one waits for.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use causeway_device::STANDSTILL;
use causeway_rescale::coordinator::{Coordinator, Settings, State};
use causeway_routes::{Interface, is_link_local};
use ipnet::IpNet;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::command::{Fixed, Handle, Rescale};
use super::directory::Directory;
use super::driver::{Buckets, Driver, Told};
use super::socket::{Ear, Ways, hear};
use super::watch::Watch;
use super::words::{self, Mouth};
use super::{Kept, agents, bind, in_force, number};
use crate::config::{Peering, Plan};
use crate::run::workers::Seat;
use crate::wire::Seals;

/// What waits for a coordinator. What does not fit is lost as on the network, and said again.
const TOLD: usize = 1024;
/// How long a new pair has until a marker comes through it.
const JOIN_TIME: Duration = Duration::from_secs(10);
/// How long the peer's gateway has to be fenced before it counts as stopped.
const FENCE_TIME: Duration = Duration::from_millis(200);

/// The thread. Dropping it ends it.
pub struct Executor {
    /// Told when it is to end, by being dropped.
    _stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<anyhow::Error>,
}

/// What a demux's peerings start from.
pub struct Start<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The NIC.
    pub nic: &'a Interface,
    /// The workers on this host.
    pub seats: &'a [Seat],
    /// For each peering what it is restarted with.
    pub states: Vec<State>,
    /// All gateways.
    pub directory: Arc<Directory>,
    /// The program's table.
    pub buckets: Arc<dyn Buckets>,
    /// The state file.
    pub keep: Option<Kept>,
}

impl Executor {
    /// Starts the coordinators of a demux.
    ///
    /// # Errors
    /// Where a port is taken, or a thread cannot be started.
    pub fn start(start: Start<'_>) -> anyhow::Result<(Rescale, Self)> {
        let Start {
            plan,
            nic,
            seats,
            states,
            directory,
            buckets,
            keep,
        } = start;
        let seals = Arc::new(Seals::new(plan.steering_key.octets()));
        let local = !seats.is_empty();
        let agents = local.then(|| agents(plan, &seals, seats)).transpose()?;
        let sockets = if local {
            Vec::new()
        } else {
            sockets(plan, nic)?
        };
        let (mut drivers, mut handles) = (Vec::new(), Vec::new());
        let mut ears = vec![None; plan.peerings.len()];
        for (peering, state) in plan.peerings.iter().zip(states) {
            let watch = Arc::new(Mutex::new(Watch::new(&peering.name, in_force(&state))));
            let (tell, told) = mpsc::channel(TOLD);
            handles.push(Handle {
                name: peering.name.clone(),
                watch: watch.clone(),
                tell: match (&peering.demux, &keep) {
                    (None, _) => Err(Fixed::NoPeer),
                    (_, None) => Err(Fixed::NoState),
                    _ => Ok(tell.clone()),
                },
            });
            let Some((settings, demux)) = settings(plan, nic, peering) else {
                continue;
            };
            ears[peering.id as usize] = Some(Ear {
                demux,
                watch: watch.clone(),
                tell: tell.clone(),
            });
            drivers.push(Ready {
                peering: peering.id,
                settings,
                state,
                number: number()?,
                told,
                tell,
                watch,
            });
        }
        let mouths = seats.iter().map(|seat| Mouth {
            words: seat.control.words.clone(),
            ears: seat
                .peerings
                .iter()
                .map(|name| {
                    let at = plan
                        .peerings
                        .iter()
                        .position(|peering| peering.name == *name);
                    at.and_then(|at| ears[at].clone())
                })
                .collect(),
        });
        words::hear(mouths.collect(), seals.clone())?;
        let ears: Vec<Ear> = ears.into_iter().flatten().collect();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let work = Work {
            seals,
            sockets,
            agents,
            drivers,
            ears,
            directory,
            buckets,
            keep,
        };
        Builder::new()
            .name("rescale".into())
            .spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                let error = match runtime {
                    Ok(runtime) => runtime.block_on(async {
                        tokio::select! {
                            _ = stopped => None,
                            error = work.go_on() => Some(error),
                        }
                    }),
                    Err(error) => Some(error.into()),
                };
                if let Some(error) = error {
                    let _ = end.send(error);
                }
            })
            .context("cannot start the thread that watches the gateways")?;
        Ok((Rescale::new(plan, handles), Self { _stop: stop, ended }))
    }

    /// Why it ended, when it does, which it should not.
    pub async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.ended).await {
            Ok(error) => error,
            Err(_) => anyhow!("the thread that watches the gateways panicked; see the log"),
        }
    }
}

/// A driver that is still to be put into its thread.
struct Ready {
    peering: u32,
    settings: Settings,
    state: State,
    number: u64,
    told: mpsc::Receiver<Told>,
    tell: mpsc::Sender<Told>,
    watch: Arc<Mutex<Watch>>,
}

struct Work {
    seals: Arc<Seals>,
    sockets: Vec<UdpSocket>,
    agents: Option<crossbeam::channel::Sender<super::desk::Asked>>,
    drivers: Vec<Ready>,
    ears: Vec<Ear>,
    directory: Arc<Directory>,
    buckets: Arc<dyn Buckets>,
    keep: Option<Kept>,
}

impl Work {
    async fn go_on(self) -> anyhow::Error {
        match self.work().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn work(self) -> anyhow::Result<std::convert::Infallible> {
        let mut sockets = Vec::with_capacity(self.sockets.len());
        for socket in self.sockets {
            socket.set_nonblocking(true)?;
            sockets.push(tokio::net::UdpSocket::from_std(socket)?);
        }
        let sockets = Arc::new(sockets);
        let mut tasks = JoinSet::new();
        for at in 0..sockets.len() {
            let (sockets, seals) = (sockets.clone(), self.seals.clone());
            let (ears, directory) = (self.ears.clone(), self.directory.clone());
            tasks.spawn(async move {
                let heard = hear(&sockets[at], &seals, &ears, &directory).await;
                heard.context("cannot hear gateways any more")
            });
        }
        for ready in self.drivers {
            let began = Instant::now();
            let coordinator = Coordinator::new(
                ready.settings.clone(),
                ready.state,
                ready.number,
                Duration::ZERO,
            );
            let driver = Driver {
                peering: ready.peering,
                name: ready.settings.peering,
                coordinator,
                began,
                told: ready.told,
                directory: self.directory.clone(),
                ways: Ways {
                    seals: self.seals.clone(),
                    sockets: sockets.clone(),
                    agents: self.agents.clone(),
                    tell: ready.tell,
                },
                buckets: self.buckets.clone(),
                keep: self.keep.clone(),
                watch: ready.watch,
                waiting: None,
                idle: Vec::new(),
            };
            tasks.spawn(driver.run());
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("a coordinator panicked")??;
        }
        // A demux whose clusters never change.
        std::future::pending().await
    }
}

/// What a peering's coordinator goes by, and the peer's demux, if it has one.
fn settings(plan: &Plan, nic: &Interface, peering: &Peering) -> Option<(Settings, IpAddr)> {
    let peer = peering.demux?;
    let own = plan.marker_source(peer, &nic.addresses)?;
    let rescale = &plan.rescale;
    let settings = Settings {
        peering: peering.name.clone(),
        own,
        peer,
        probe_interval: rescale.probe_interval,
        dead_after: rescale.dead_after,
        idle_time: rescale.idle_time,
        hold_time: rescale.hold_time,
        at_limit: rescale.at_limit,
        batch: rescale.batch,
        join_time: JOIN_TIME,
        fence_time: FENCE_TIME,
        standstill: STANDSTILL,
    };
    Some((settings, peer))
}

/// One socket for each family in which a gateway or a peer's demux is spoken to: at the address that
/// markers come from.
fn sockets(plan: &Plan, nic: &Interface) -> anyhow::Result<Vec<UdpSocket>> {
    let demuxes = plan.peerings.iter().filter_map(|peering| peering.demux);
    let gateways = plan.gateways.iter().map(|gateway| gateway.address);
    let watched = demuxes.clone().next().is_some();
    let spoken_to: Vec<IpAddr> = demuxes.chain(gateways).collect();
    let mut sockets = Vec::new();
    for ipv4 in [true, false] {
        let Some(&one) = spoken_to.iter().find(|address| address.is_ipv4() == ipv4) else {
            continue;
        };
        let mut own = nic.addresses.iter().map(IpNet::addr);
        let any = own.find(|own| own.is_ipv4() == ipv4 && !is_link_local(*own));
        if let Some(own) = plan.marker_source(one, &nic.addresses).or(any)
            && watched
        {
            sockets.push(bind(own)?);
        }
    }
    Ok(sockets)
}
