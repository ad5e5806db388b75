//! The workers of a plan: their sockets, SAs and threads.

use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow};
use causeway_demux::Program;
use causeway_device::{AfXdp, CopyPreference, Diagnostics, FrameSize, Monitor, OpenOptions};
use causeway_gateway::{
    Command, DEFAULT_BURST, Demuxes, Direction, Finished, Worker, WorkerConfig,
};
use causeway_routes::{Interface, Snapshot, is_link_local};
use ipnet::IpNet;

use crate::sas::{Entry, ReservedRange, SaRegistry, SaTemplate, Sas};
use crate::worker_handle::{WorkerHandle, Workers};
use causeway_config::{Gateway, Plan, Tunnel};
use causeway_keys::sequence::Reservation;

/// Frames of a queue's UMEM per worker, half of them for the receive ring. Just enough for the worker's rings, so that the
/// frames stay in the cache.
const FRAMES_PER_WORKER: u32 = 2048;
const RING_SIZE: u32 = 2048;
/// Frames of the smaller size in a huge page of 2 MiB. A UMEM of whole huge pages can be allocated from them.
const FRAMES_PER_HUGE_PAGE: u32 = 1024;
/// The time for which a drain waits beyond the time limit of the workers.
const GRACE: Duration = Duration::from_millis(500);

/// The workers of a plan, with open sockets and SAs, before their start.
pub struct Prepared {
    pub idle: Vec<Worker<AfXdp>>,
    pub handles: Workers,
    /// The counters of each worker's sockets.
    pub monitors: Vec<Monitor>,
    pub sas: Sas,
}

/// A worker's thread.
pub struct Thread(JoinHandle<Finished<AfXdp>>);

impl Thread {
    /// Whether the thread has ended. Before a drain it ends only with a panic.
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}

/// Opens the sockets of all workers of a plan, registers them with the program, and makes the workers.
///
/// # Errors
/// The NIC refuses a socket, or an SA cannot be made from its key and its reservation.
pub fn prepare(
    plan: &Plan,
    nic: &Interface,
    program: &mut Program,
    routes: &Arc<Snapshot>,
) -> anyhow::Result<Prepared> {
    let mut registry = SaRegistry::default();
    let (mut idle, mut handles, mut monitors) = (Vec::new(), Vec::new(), Vec::new());
    let addresses = nic.addresses.iter().map(IpNet::addr);
    let nic_addresses: Vec<_> = addresses
        .filter(|&address| !is_link_local(address))
        .collect();
    let workers = plan.workers().zip(open(plan, nic)?);
    for (index, ((gateway, worker), device)) in workers.enumerate() {
        for (queue, socket) in device.sockets() {
            program.bind(queue, worker.id, socket)?;
        }
        monitors.push(device.monitor());
        let mut tunnels = Vec::with_capacity(worker.tunnels.len());
        let (mut templates, mut reserved) = (Vec::new(), Vec::new());
        for (position, tunnel) in worker.tunnels.iter().enumerate() {
            let index = (index, position);
            let (tunnel, template, sequence) =
                make_tunnel(plan, nic, gateway, tunnel, index, &mut registry)?;
            tunnels.push(tunnel);
            templates.push(template);
            reserved.push(sequence);
        }
        let config = WorkerConfig {
            mac: nic.mac,
            address: gateway.address,
            nic_addresses: nic_addresses.clone(),
            mtu: nic.mtu as usize,
            own_prefixes: plan.vpc_prefixes.clone(),
            tunnels,
            routes: routes.clone(),
            burst: DEFAULT_BURST,
            hold_packets: plan.rescale.hold_packets,
            spin: worker.spin,
        };
        let (made, control) = Worker::new(config, device)
            .with_context(|| format!("worker {} of {}", worker.id, gateway.name))?;
        idle.push(made);
        handles.push(Arc::new(WorkerHandle {
            gateway: gateway.name.clone(),
            id: worker.id,
            core: worker.core,
            control,
            templates,
            reserved: Mutex::new(reserved),
        }));
    }
    let handles: Workers = handles.into();
    Ok(Prepared {
        idle,
        sas: Sas::new(handles.clone(), registry),
        handles,
        monitors,
    })
}

/// Opens one device for each worker of the plan.
fn open(plan: &Plan, nic: &Interface) -> anyhow::Result<Vec<AfXdp>> {
    let workers = plan.workers().count();
    if workers == 0 {
        return Ok(Vec::new());
    }
    let devices = AfXdp::open(OpenOptions {
        queues: queues(nic),
        workers,
        frames_per_queue: frames_per_queue(plan, workers),
        frame_size: FrameSize::Auto,
        ring_size: RING_SIZE,
        copy: CopyPreference::Auto,
        need_wakeup: true,
        ..OpenOptions::new(&plan.nic.name)
    })?;
    let huge_pages = devices.iter().all(|device| device.monitor().huge_pages());
    tracing::info!(
        nic = plan.nic.name,
        huge_pages,
        "registered the workers' frames"
    );
    Ok(devices)
}

/// The number of receive queues that the workers bind.
fn queues(nic: &Interface) -> u32 {
    nic.rx_queues.clamp(1, causeway_steering::MAX_QUEUES)
}

fn frames_per_queue(plan: &Plan, workers: usize) -> u32 {
    // A worker that holds packets has fewer frames to receive into.
    let held = plan.rescale.hold_packets as u32 * workers as u32;
    (FRAMES_PER_WORKER * (workers as u32 + 1) + held).next_multiple_of(FRAMES_PER_HUGE_PAGE)
}

/// Bytes of the packet buffers of a plan's workers; 0 if the MTU is too large for any frame size.
pub fn umem_bytes(plan: &Plan, nic: &Interface) -> u64 {
    let workers = plan.workers().count();
    if workers == 0 {
        return 0;
    }
    let frames = u64::from(frames_per_queue(plan, workers)) * u64::from(queues(nic));
    frames * u64::from(FrameSize::Auto.bytes(&nic.name, nic.mtu).unwrap_or(0))
}

/// Makes the two SAs of the tunnel at `index`, and reserves the first sequence numbers of the outbound one.
fn make_tunnel(
    plan: &Plan,
    nic: &Interface,
    gateway: &Gateway,
    tunnel: &Tunnel,
    index: (usize, usize),
    registry: &mut SaRegistry,
) -> anyhow::Result<(causeway_gateway::Tunnel, SaTemplate, ReservedRange)> {
    let template = SaTemplate::of(plan, gateway, tunnel)?;
    let (out, back) = (&tunnel.outbound, &tunnel.inbound);
    for sa in [out, back] {
        registry.take_key(&sa.key, sa.spi, &sa.key_file)?;
    }
    let reservation = Reservation::open(&out.key_file, &out.key)?;
    let (outbound, reserved) = template.outbound(out.spi, &out.key, reservation)?;
    let inbound = template.inbound(back.spi, &back.key)?;
    let lifetimes = (outbound.lifetime(), inbound.lifetime());
    let peering = &plan.peerings[tunnel.peering];
    let demuxes = peering.demux.and_then(|peer| {
        Some(Demuxes {
            own: plan.marker_source(peer, &nic.addresses)?.into(),
            peer: peer.into(),
        })
    });
    let made = causeway_gateway::Tunnel {
        peer: tunnel.peer,
        peer_prefixes: peering.prefixes.clone(),
        clamp_mss: peering.clamp_mss,
        path_mtu_age: peering.path_mtu_age,
        dummy_interval: tunnel.dummy_interval,
        demuxes,
        outbound: outbound.into(),
        inbound: inbound.into(),
    };
    let name = (out.spi, Direction::Outbound);
    registry.add(Entry::new(name, index, made.outbound.meter(), lifetimes.0));
    let name = (back.spi, Direction::Inbound);
    registry.add(Entry::new(name, index, made.inbound.meter(), lifetimes.1));
    Ok((made, template, reserved))
}

/// Starts a thread for each worker.
pub fn start(
    idle: Vec<Worker<AfXdp>>,
    handles: &[Arc<WorkerHandle>],
) -> anyhow::Result<Vec<Thread>> {
    let mut threads = Vec::with_capacity(idle.len());
    for (worker, handle) in idle.into_iter().zip(handles.iter().cloned()) {
        let thread = Builder::new()
            .name(format!("worker-{}", handle.id))
            .spawn(move || {
                if let Some(id) = handle.core
                    && !core_affinity::set_for_current(core_affinity::CoreId { id })
                {
                    tracing::warn!(
                        gateway = handle.gateway,
                        core = id,
                        "cannot pin the worker to its core"
                    );
                }
                drop(handle);
                worker.run()
            })
            .context("cannot start the thread of a worker")?;
        threads.push(Thread(thread));
    }
    Ok(threads)
}

/// Drains all workers in parallel and waits until they have ended.
///
/// # Errors
/// A worker panicked, or did not end in time.
pub async fn drain(
    handles: &[Arc<WorkerHandle>],
    threads: Vec<Thread>,
    within: Duration,
) -> anyhow::Result<Vec<Finished<AfXdp>>> {
    for handle in handles {
        handle.control.send(Command::Drain { within })?;
    }
    let all_ended = async {
        while !threads.iter().all(Thread::has_ended) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(within + GRACE, all_ended)
        .await
        .map_err(|_| {
            anyhow!(
                "a worker did not end within {} s",
                (within + GRACE).as_secs_f32()
            )
        })?;
    threads
        .into_iter()
        .map(|thread| thread.0.join().map_err(|_| anyhow!("a worker panicked")))
        .collect()
}

/// The frames of a worker that has ended: all frames, and those that hold no packet.
pub fn frames(finished: &Finished<AfXdp>) -> (usize, usize) {
    let device = &finished.device;
    (device.frames_total(), device.frames_home())
}
