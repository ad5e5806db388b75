//! Opening a NIC's queues: a UMEM for each, and on it a socket for each worker.
#![allow(unsafe_code)]

use std::{
    io,
    num::NonZeroU32,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    vec,
};

use rustix::net::sockopt;
use xsk_rs::{
    FrameDesc, RxQueue, Socket, TxQueue, Umem,
    config::{
        BindFlags, FrameSize as ChunkSize, Interface, LibxdpFlags, QueueSize, SocketConfig,
        UmemConfig,
    },
    umem::UmemCreateError,
};

use super::{
    AfXdp, CopyMode, CopyPreference, Monitor, OpenError, OpenOptions,
    bind::{copy_mode, patiently, send_more_at_once},
    error::{BIND, Place},
    nic,
    partition::Partition,
    pool::Pool,
    port::{Port, Transmitter},
};
use crate::Waker;

/// Bytes of a huge page on x86-64, and on aarch64 with pages of 4 KiB.
const HUGE_PAGE: u64 = 2 << 20;

/// A queue with a socket for each worker, before they go to their workers.
struct Queue {
    pool: Arc<Pool>,
    sockets: vec::IntoIter<(TxQueue, RxQueue)>,
    frames: Vec<FrameDesc>,
    copy_mode: CopyMode,
}

impl AfXdp {
    /// Opens queues of a NIC, in the network namespace of the calling thread, and returns a
    /// device for each worker. The sockets receive once an XDP program redirects to them
    /// ([`AfXdp::sockets`]); they transmit at once. No XDP program is loaded.
    ///
    /// # Errors
    /// A sentence that names NIC and queue, and what to do.
    pub fn open(options: OpenOptions) -> Result<Vec<AfXdp>, OpenError> {
        options.check()?;
        let mut place = Place {
            interface: &options.interface,
            queue: 0,
            memory: 0,
            zero_copy: options.copy == CopyPreference::ZeroCopy,
        };
        let mtu =
            nic::mtu(&options.interface).map_err(|error| place.error("read the MTU", &error))?;
        let frame_size = options.frame_size.bytes(&options.interface, mtu)?;
        place.memory = u64::from(frame_size) * u64::from(options.frames_per_queue);

        let mut queues = Vec::new();
        for queue in 0..options.queues {
            place.queue = queue;
            queues.push(open_queue(&options, frame_size, place)?);
        }
        (0..options.workers)
            .map(|worker| device(worker, &mut queues, place))
            .collect()
    }
}

/// Makes a queue's UMEM, binds a socket for each worker to it and fills its fill ring.
fn open_queue(
    options: &OpenOptions,
    frame_size: u32,
    place: Place<'_>,
) -> Result<Queue, OpenError> {
    let split = Partition::new(options, place.queue, frame_size);
    let ring = |size| QueueSize::new(size).map_err(|e| place.error("size a ring", &e));

    let umem_config = UmemConfig::builder()
        .frame_size(ChunkSize::new(frame_size).map_err(|e| place.error("size a frame", &e))?)
        .fill_queue_size(ring(split.fill_ring())?)
        .comp_queue_size(ring(split.completion_ring())?)
        .build()
        .map_err(|e| place.error("size a UMEM", &e))?;
    let count = NonZeroU32::new(options.frames_per_queue).expect("checked with the options");
    let (umem, frames, huge_pages) =
        register(umem_config, count, place).map_err(|e| place.error("register the UMEM", &e))?;

    let mut flags = match options.copy {
        CopyPreference::Auto => BindFlags::empty(),
        CopyPreference::ZeroCopy => BindFlags::XDP_ZEROCOPY,
        CopyPreference::Copy => BindFlags::XDP_COPY,
    };
    flags.set(BindFlags::XDP_USE_NEED_WAKEUP, options.need_wakeup);
    let socket_config = |receive_ring| -> Result<_, OpenError> {
        Ok(SocketConfig::builder()
            .rx_queue_size(ring(receive_ring)?)
            .tx_queue_size(ring(split.transmit_ring())?)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(flags)
            .build())
    };
    let (receiving, transmitting) = (socket_config(split.receive_ring)?, socket_config(1)?);
    let interface: Interface = options.interface.parse().map_err(|_| {
        let interface = options.interface.clone();
        OpenError::NoSuchInterface { interface }
    })?;

    let bind = |config| {
        patiently(|| {
            // SAFETY: a queue that is bound again with this UMEM asks for the flag that keeps
            // libxdp from loading a program, and it is set above.
            unsafe { Socket::new(config, &umem, &interface, place.queue) }
                .map_err(|e| place.error(BIND, &e))
        })
    };
    let mut shared = None;
    let mut sockets = Vec::new();
    let mut mode = CopyMode::Copy;
    for worker in 0..options.workers {
        let (mut transmit, receive, rings) = bind(receiving)?;
        // Only the first socket brings the queue's fill and completion ring.
        shared = shared.or(rings);
        let at_home = worker as u32 % options.queues == place.queue;
        // Copied packets are sent on this worker's core and received on another. There the kernel counts
        // what a socket has no room for, on the line that it reads here for each packet that the socket
        // sends: one socket for both would send slower the more is dropped.
        mode = copy_mode(&receive).map_err(|e| place.error("read the mode", &e))?;
        if at_home && mode == CopyMode::Copy {
            (transmit, ..) = bind(transmitting)?;
        }
        sockets.push((transmit, receive));
    }
    let missing = || place.error(BIND, &io::Error::other("no fill ring came with the socket"));
    let pool = Pool::new(umem, split, huge_pages, shared.ok_or_else(missing)?);
    pool.lock()
        .refill(&mut frames[..split.receive as usize].to_vec());
    Ok(Queue {
        pool: Arc::new(pool),
        sockets: sockets.into_iter(),
        frames,
        copy_mode: mode,
    })
}

/// Makes a UMEM on huge pages, of which each spares the TLB 512 others, where the host has set enough of them
/// aside; else on common ones.
fn register(
    config: UmemConfig,
    count: NonZeroU32,
    place: Place<'_>,
) -> Result<(Umem, Vec<FrameDesc>, bool), UmemCreateError> {
    // The kernel unmaps only whole huge pages.
    if place.memory.is_multiple_of(HUGE_PAGE)
        && let Ok((umem, frames)) = Umem::new(config, count, true)
    {
        return Ok((umem, frames, true));
    }
    Umem::new(config, count, false).map(|(umem, frames)| (umem, frames, false))
}

/// Gathers one worker's sockets of all queues.
fn device(worker: usize, queues: &mut [Queue], place: Place<'_>) -> Result<AfXdp, OpenError> {
    static NEXT_PORT: AtomicU32 = AtomicU32::new(0);

    let count = queues.len() as u32;
    let first = NEXT_PORT.fetch_add(count, Ordering::Relaxed);
    let home = worker as u32 % count;
    let mut transmitter = None;
    let mut ports = Vec::new();
    let mut frames = 0;
    for (queue, opened) in (0..count).zip(queues) {
        let (tx, rx) = opened.sockets.next().expect("a socket for each worker");
        let split = opened.pool.partition;
        let port = Port::new(first + queue, queue, opened.pool.clone(), rx);
        frames += split.receive as usize;
        if queue == home {
            let at_home = worker as u32 / count;
            let free = opened.frames[split.share(at_home)].to_vec();
            frames += free.len();
            let pool = opened.pool.clone();
            let socket = Transmitter::new(port.id, pool, at_home, tx, free);
            // In copy mode a packet occupies the socket's send buffer until the NIC has sent it;
            // the default buffer holds fewer packets than the ring.
            sockopt::set_socket_send_buffer_size_force(&socket, split.send_buffer())
                .map_err(|e| place.error("enlarge the send buffer", &io::Error::from(e)))?;
            send_more_at_once(socket.as_fd(), split.transmit_ring());
            transmitter = Some((socket, opened.copy_mode));
        }
        ports.push(port);
    }
    let (transmitter, copy_mode) = transmitter.expect("the home queue is among the queues");
    let waker = Waker::new().map_err(|e| place.error("make a waker", &e))?;
    let huge_pages = ports.iter().all(|port| port.pool.huge_pages);
    let receiving = ports.iter().map(AsFd::as_fd);
    let monitor = Monitor::new(
        copy_mode,
        huge_pages,
        frames,
        receiving,
        transmitter.as_fd(),
    );
    Ok(AfXdp {
        ports: ports.into(),
        home: home as usize,
        transmitter,
        turn: 0,
        frames,
        waker,
        monitor,
    })
}
