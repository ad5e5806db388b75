//! The workers of a plan: their sockets, SAs and threads.

use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow};
use causeway_demux::Program;
use causeway_device::{AfXdp, CopyPreference, Device, FrameSize, Monitor, OpenOptions};
use causeway_gateway::{
    Command, Control, DEFAULT_BURST, Direction, Finished, Worker, WorkerConfig,
};
use causeway_routes::{Interface, Snapshot, is_link_local};
use ipnet::IpNet;

use super::queues;
use super::sas::{Allotment, Book, Entry, Post, Sas, Terms};
use crate::config::{Gateway, Plan, Tunnel};
use crate::sequence::Reservation;

/// Frames of a queue's UMEM for each worker, half of them to receive: enough for its rings, and no more, since what
/// the kernel writes is to be read out of a cache.
const FRAMES_PER_WORKER: u32 = 2048;
const RING_SIZE: u32 = 2048;
/// A UMEM of whole huge pages can stand on them: 2 MiB, in frames of the smaller size.
const FRAMES_PER_HUGE_PAGE: u32 = 1024;
/// What the control thread allows beyond the time that it gave to the workers.
const GRACE: Duration = Duration::from_millis(500);

/// A worker that is ready to start.
pub struct Ready {
    worker: Worker<AfXdp>,
    seat: Seat,
}

/// A worker as the control thread sees it.
pub struct Seat {
    /// Its gateway's name.
    pub gateway: String,
    /// Its number on this host.
    pub id: u32,
    /// The core to which it is pinned.
    pub core: Option<usize>,
    /// The names of its tunnels' peerings.
    pub peerings: Vec<String>,
    /// Control's end of its channels.
    pub control: Control,
    /// Its sockets' counters.
    pub monitor: Monitor,
}

/// A worker's thread.
pub struct Thread(JoinHandle<Finished<AfXdp>>);

impl Thread {
    /// Whether it has ended, which it does by itself only in a panic.
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}

/// Opens the sockets of all workers of the plan, gives them to the program, and makes the workers.
///
/// # Errors
/// Where the NIC refuses a socket, or an SA cannot be made of its key and its reservation.
pub fn prepare(
    plan: &Plan,
    nic: &Interface,
    program: &mut Program,
    routes: &Arc<Snapshot>,
) -> anyhow::Result<(Vec<Ready>, Sas)> {
    let count = plan.workers().count();
    let (mut posts, mut book) = (Vec::with_capacity(count), Book::default());
    if count == 0 {
        return Ok((Vec::new(), Sas::new(posts, book)));
    }
    let devices = AfXdp::open(OpenOptions {
        queues: queues(nic),
        workers: count,
        frames_per_queue: frames_per_queue(plan, count),
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
        "the workers' frames are registered"
    );
    let addresses = nic.addresses.iter().map(IpNet::addr);
    let routed: Vec<_> = addresses
        .filter(|&address| !is_link_local(address))
        .collect();
    let mut ready = Vec::with_capacity(count);
    for (post, ((gateway, worker), device)) in plan.workers().zip(devices).enumerate() {
        for (queue, socket) in device.sockets() {
            program.bind(queue, worker.id, socket)?;
        }
        let monitor = device.monitor();
        let mut tunnels = Vec::with_capacity(worker.tunnels.len());
        let (mut terms, mut allotments) = (Vec::new(), Vec::new());
        for (place, tunnel) in worker.tunnels.iter().enumerate() {
            let place = (post, place);
            let (tunnel, its, numbers) = secure(plan, gateway, tunnel, place, &mut book)?;
            tunnels.push(tunnel);
            terms.push(its);
            allotments.push(numbers);
        }
        let config = WorkerConfig {
            mac: nic.mac,
            address: gateway.address,
            nic_addresses: routed.clone(),
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
        posts.push(Post {
            gateway: gateway.name.clone(),
            worker: worker.id,
            control: control.clone(),
            terms,
            allotments: Arc::new(Mutex::new(allotments)),
        });
        ready.push(Ready {
            worker: made,
            seat: Seat {
                gateway: gateway.name.clone(),
                id: worker.id,
                core: worker.core,
                peerings: worker
                    .tunnels
                    .iter()
                    .map(|tunnel| plan.peerings[tunnel.peering].name.clone())
                    .collect(),
                control,
                monitor,
            },
        });
    }
    Ok((ready, Sas::new(posts, book)))
}

fn frames_per_queue(plan: &Plan, workers: usize) -> u32 {
    // What a worker holds is missing to those that receive.
    let held = plan.rescale.hold_packets as u32 * workers as u32;
    (FRAMES_PER_WORKER * (workers as u32 + 1) + held).next_multiple_of(FRAMES_PER_HUGE_PAGE)
}

/// Bytes of packet buffers that the plan's workers take; 0 where the MTU is too large for any.
pub fn umem_bytes(plan: &Plan, nic: &Interface) -> u64 {
    let workers = plan.workers().count();
    if workers == 0 {
        return 0;
    }
    let frames = u64::from(frames_per_queue(plan, workers)) * u64::from(queues(nic));
    frames * u64::from(FrameSize::Auto.bytes(&nic.name, nic.mtu).unwrap_or(0))
}

/// The two SAs of a tunnel at `place`, the outbound one with its first numbers reserved.
fn secure(
    plan: &Plan,
    gateway: &Gateway,
    tunnel: &Tunnel,
    place: (usize, usize),
    book: &mut Book,
) -> anyhow::Result<(causeway_gateway::Tunnel, Terms, Allotment)> {
    let terms = Terms::of(plan, gateway, tunnel)?;
    let (out, back) = (&tunnel.outbound, &tunnel.inbound);
    for sa in [out, back] {
        book.take_key(&sa.key, sa.spi, &sa.key_file)?;
    }
    let reservation = Reservation::open(&out.key_file)?;
    let (outbound, allotment) = terms.outbound(out.spi, &out.key, reservation)?;
    let inbound = terms.inbound(back.spi, &back.key)?;
    let lifetimes = (outbound.lifetime(), inbound.lifetime());
    let peering = &plan.peerings[tunnel.peering];
    let made = causeway_gateway::Tunnel {
        peer: tunnel.peer,
        peer_prefixes: peering.prefixes.clone(),
        clamp_mss: peering.clamp_mss,
        path_mtu_age: peering.path_mtu_age,
        dummy_interval: tunnel.dummy_interval,
        outbound: outbound.into(),
        inbound: inbound.into(),
    };
    let name = (out.spi, Direction::Outbound);
    book.add(Entry::new(name, place, made.outbound.meter(), lifetimes.0));
    let name = (back.spi, Direction::Inbound);
    book.add(Entry::new(name, place, made.inbound.meter(), lifetimes.1));
    Ok((made, terms, allotment))
}

/// Starts a thread for each worker.
pub fn start(ready: Vec<Ready>) -> anyhow::Result<(Vec<Thread>, Vec<Seat>)> {
    let mut threads = Vec::with_capacity(ready.len());
    let mut seats = Vec::with_capacity(ready.len());
    for Ready { worker, seat } in ready {
        let core = seat.core;
        let gateway = seat.gateway.clone();
        let thread = Builder::new()
            .name(format!("worker-{}", seat.id))
            .spawn(move || {
                if let Some(id) = core
                    && !core_affinity::set_for_current(core_affinity::CoreId { id })
                {
                    tracing::warn!(
                        gateway,
                        core = id,
                        "the worker could not be pinned to its core"
                    );
                }
                worker.run()
            })
            .context("cannot start a worker's thread")?;
        threads.push(Thread(thread));
        seats.push(seat);
    }
    Ok((threads, seats))
}

/// Lets all workers drain at once, and waits for them.
///
/// # Errors
/// Where a worker panicked, or did not end in time.
pub async fn drain(
    seats: &[Seat],
    threads: Vec<Thread>,
    within: Duration,
) -> anyhow::Result<Vec<Finished<AfXdp>>> {
    for seat in seats {
        seat.control.send(Command::Drain { within })?;
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

/// A finished worker's frames: all, and those at home.
pub fn frames(finished: &Finished<AfXdp>) -> (usize, usize) {
    let device = &finished.device;
    (device.frames_total(), device.frames_home())
}
