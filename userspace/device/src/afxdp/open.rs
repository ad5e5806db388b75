//! Opens a NIC's queues: one UMEM for each queue, and on it one socket for each worker.
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
    AfXdp,
    bind::{copy_mode, raise_transmit_budget, retry_while_busy},
    error::{BIND, OpenError, QueueContext},
    monitor::Monitor,
    nic,
    options::{CopyMode, CopyPreference, OpenOptions},
    partition::Partition,
    pool::Pool,
    rx_socket::RxSocket,
    tx_socket::TxSocket,
};
use crate::wake::Waker;

/// Bytes of a huge page on x86-64, and on aarch64 with pages of 4 KiB.
const HUGE_PAGE: u64 = 2 << 20;

/// An open queue with a socket for each worker, before the sockets are handed to their workers.
struct Queue {
    pool: Arc<Pool>,
    sockets: vec::IntoIter<(TxQueue, RxQueue)>,
    frames: Vec<FrameDesc>,
    copy_mode: CopyMode,
}

impl AfXdp {
    /// Opens queues of a NIC in the network namespace of the calling thread, and returns one device for each worker.
    ///
    /// The sockets can transmit at once. They receive as soon as an XDP program redirects packets to them
    /// ([`AfXdp::sockets`]). This function loads no XDP program.
    ///
    /// # Errors
    /// [`OpenError`], which names the NIC, the queue and the remedy.
    pub fn open(options: OpenOptions) -> Result<Vec<AfXdp>, OpenError> {
        options.check()?;
        let mut context = QueueContext {
            interface: &options.interface,
            queue: 0,
            memory: 0,
            zero_copy: options.copy == CopyPreference::ZeroCopy,
        };
        let mtu =
            nic::mtu(&options.interface).map_err(|error| context.error("read the MTU", &error))?;
        let frame_size = options.frame_size.bytes(&options.interface, mtu)?;
        context.memory = u64::from(frame_size) * u64::from(options.frames_per_queue);

        let mut queues = Vec::new();
        for queue in 0..options.queues {
            context.queue = queue;
            queues.push(open_queue(&options, frame_size, context)?);
        }
        (0..options.workers)
            .map(|worker| device(worker, &mut queues, context))
            .collect()
    }
}

/// Makes a queue's UMEM, binds one socket for each worker to it, and fills its fill ring.
fn open_queue(
    options: &OpenOptions,
    frame_size: u32,
    context: QueueContext<'_>,
) -> Result<Queue, OpenError> {
    let partition = Partition::new(options, context.queue, frame_size);
    let ring = |size| QueueSize::new(size).map_err(|e| context.error("size a ring", &e));

    let umem_config = UmemConfig::builder()
        .frame_size(ChunkSize::new(frame_size).map_err(|e| context.error("size a frame", &e))?)
        .fill_queue_size(ring(partition.fill_ring())?)
        .comp_queue_size(ring(partition.completion_ring())?)
        .build()
        .map_err(|e| context.error("size a UMEM", &e))?;
    let count =
        NonZeroU32::new(options.frames_per_queue).expect("OpenOptions::check demands frames");
    let (umem, frames, huge_pages) = register(umem_config, count, context)
        .map_err(|e| context.error("register the UMEM", &e))?;

    let mut flags = match options.copy {
        CopyPreference::Auto => BindFlags::empty(),
        CopyPreference::ZeroCopy => BindFlags::XDP_ZEROCOPY,
        CopyPreference::Copy => BindFlags::XDP_COPY,
    };
    flags.set(BindFlags::XDP_USE_NEED_WAKEUP, options.need_wakeup);
    let socket_config = |receive_ring| -> Result<_, OpenError> {
        Ok(SocketConfig::builder()
            .rx_queue_size(ring(receive_ring)?)
            .tx_queue_size(ring(partition.transmit_ring())?)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(flags)
            .build())
    };
    let (receiving, transmitting) = (socket_config(partition.receive_ring)?, socket_config(1)?);
    let interface: Interface = options.interface.parse().map_err(|_| {
        let interface = options.interface.clone();
        OpenError::NoSuchInterface { interface }
    })?;

    let bind = |config| {
        retry_while_busy(|| {
            // SAFETY: binding a queue again with the same UMEM requires the flag that keeps libxdp from loading a
            // program. The configuration above sets it.
            unsafe { Socket::new(config, &umem, &interface, context.queue) }
                .map_err(|e| context.error(BIND, &e))
        })
    };
    let mut shared = None;
    let mut sockets = Vec::new();
    let mut mode = CopyMode::Copy;
    for worker in 0..options.workers {
        let (mut transmit, receive, rings) = bind(receiving)?;
        // Only the first socket returns the queue's fill ring and completion ring.
        shared = shared.or(rings);
        let transmits_here = worker as u32 % options.queues == context.queue;
        // In copy mode the kernel sends on this worker's core and receives on another core. The receiving core counts
        // a socket's dropped packets on a cache line that the sending core reads for each packet. With one socket for
        // both directions, drops would therefore slow down transmission.
        mode = copy_mode(&receive).map_err(|e| context.error("read the mode", &e))?;
        if transmits_here && mode == CopyMode::Copy {
            (transmit, ..) = bind(transmitting)?;
        }
        sockets.push((transmit, receive));
    }
    let missing = || context.error(BIND, &io::Error::other("the first socket has no fill ring"));
    let pool = Pool::new(umem, partition, huge_pages, shared.ok_or_else(missing)?);
    pool.lock()
        .refill(&mut frames[..partition.receive as usize].to_vec());
    Ok(Queue {
        pool: Arc::new(pool),
        sockets: sockets.into_iter(),
        frames,
        copy_mode: mode,
    })
}

/// Makes a UMEM on huge pages if the host has reserved enough of them, else on normal pages. A huge page needs one TLB
/// entry instead of 512.
fn register(
    config: UmemConfig,
    count: NonZeroU32,
    context: QueueContext<'_>,
) -> Result<(Umem, Vec<FrameDesc>, bool), UmemCreateError> {
    // The kernel unmaps only whole huge pages.
    if context.memory.is_multiple_of(HUGE_PAGE)
        && let Ok((umem, frames)) = Umem::new(config, count, true)
    {
        return Ok((umem, frames, true));
    }
    Umem::new(config, count, false).map(|(umem, frames)| (umem, frames, false))
}

/// Makes one worker's device from its sockets on all queues.
fn device(
    worker: usize,
    queues: &mut [Queue],
    context: QueueContext<'_>,
) -> Result<AfXdp, OpenError> {
    static NEXT_ID: AtomicU32 = AtomicU32::new(0);

    let count = queues.len() as u32;
    let first = NEXT_ID.fetch_add(count, Ordering::Relaxed);
    let tx_queue = worker as u32 % count;
    let mut transmit = None;
    let mut receive = Vec::new();
    let mut frames = 0;
    for (queue, opened) in (0..count).zip(queues) {
        let (tx_ring, rx_ring) = opened.sockets.next().expect("a socket for each worker");
        let partition = opened.pool.partition;
        let rx = RxSocket::new(first + queue, queue, opened.pool.clone(), rx_ring);
        frames += partition.receive as usize;
        if queue == tx_queue {
            let transmitter = worker as u32 / count;
            let free = opened.frames[partition.share(transmitter)].to_vec();
            frames += free.len();
            let pool = opened.pool.clone();
            let tx = TxSocket::new(rx.id, pool, transmitter, tx_ring, free);
            // In copy mode a packet occupies the socket's send buffer until the NIC has sent it.
            // The default buffer holds fewer packets than the ring.
            sockopt::set_socket_send_buffer_size_force(&tx, partition.send_buffer())
                .map_err(|e| context.error("enlarge the send buffer", &io::Error::from(e)))?;
            raise_transmit_budget(tx.as_fd(), partition.transmit_ring());
            transmit = Some((tx, opened.copy_mode));
        }
        receive.push(rx);
    }
    let (tx, copy_mode) = transmit.expect("the transmit queue is one of the queues");
    let waker = Waker::new().map_err(|e| context.error("make a waker", &e))?;
    let huge_pages = receive.iter().all(|rx| rx.pool.huge_pages);
    let receiving = receive.iter().map(AsFd::as_fd);
    let monitor = Monitor::new(copy_mode, huge_pages, frames, receiving, tx.as_fd());
    Ok(AfXdp {
        rx: receive.into(),
        tx_queue: tx_queue as usize,
        tx,
        first_queue: 0,
        frames,
        waker,
        monitor,
    })
}
