//! The packets of one burst, from receive to reclaim, in their order of arrival.
//!
//! Packets of one SA that arrive one after the other form a run, so that an SA is looked up once per run.

use std::ops::Range;
use std::time::Instant;

use causeway_device::Device;
use causeway_esp::{OpenError, Opened, SealError};
use causeway_steering::DropReason;

use crate::io::Io;

/// Everything that belongs to one burst. The vectors keep their capacity, so no burst allocates.
pub(crate) struct Burst<F> {
    /// The time of the burst's round.
    pub(crate) now: Instant,
    /// The most packets that a burst takes.
    pub(crate) limit: usize,
    pub(crate) received: Vec<F>,
    pub(crate) queues: Queues,
    /// The output frames of `to_seal` or of `to_open`, one for each packet, in the same order.
    pub(crate) outputs: Vec<F>,
    /// Outputs that leave, while those that do not leave are taken out of `outputs`.
    pub(crate) ready: Vec<F>,
    /// The sealed fragments of one packet with their lengths, until all fragments are sealed.
    pub(crate) pieces: Vec<(F, usize)>,
}

/// Where classify puts the packets of [`Burst::received`].
pub(crate) struct Queues {
    /// Packets that are classified and not sealed yet.
    pub(crate) to_seal: Vec<ToSeal>,
    pub(crate) seal_runs: Vec<SealRun>,
    /// Packets that are classified and not opened yet.
    pub(crate) to_open: Vec<ToOpen>,
    pub(crate) open_runs: Vec<OpenRun>,
    /// Packets that a hold keeps: index in `received`, index of the hold.
    pub(crate) held_back: Vec<(usize, usize)>,
}

/// A run of packets to seal into one tunnel.
#[derive(Clone, Copy)]
pub(crate) struct SealRun {
    pub(crate) tunnel: u32,
    /// The end of the run in [`Queues::to_seal`].
    pub(crate) end: u32,
}

/// A run of packets to open that carry one SPI.
#[derive(Clone, Copy)]
pub(crate) struct OpenRun {
    pub(crate) spi: u32,
    /// The index of the inbound SA.
    pub(crate) sa: u32,
    /// The SA's tunnel.
    pub(crate) tunnel: u32,
    /// The end of the run in [`Queues::to_open`].
    pub(crate) end: u32,
}

/// A packet to seal.
pub(crate) struct ToSeal {
    /// The index of its frame in [`Burst::received`].
    pub(crate) index: u32,
    pub(crate) tunnel: u32,
    /// The offset of its IP header in the frame.
    pub(crate) l3: u16,
    /// Its length, IP header included.
    pub(crate) length: u16,
    /// The length of the outer packet.
    pub(crate) sealed: Result<u16, SealError>,
}

/// An ESP packet to open.
pub(crate) struct ToOpen {
    /// The index of its frame in [`Burst::received`].
    pub(crate) index: u32,
    /// The offset of the outer IP header in the frame.
    pub(crate) l3: u16,
    /// The ESP octets in the frame, from the SPI on.
    pub(crate) esp: Range<u32>,
    pub(crate) opened: Result<Opened, OpenError>,
}

impl<F> Burst<F> {
    pub(crate) fn new(limit: usize, now: Instant) -> Self {
        Self {
            now,
            limit,
            received: Vec::with_capacity(limit),
            queues: Queues {
                to_seal: Vec::with_capacity(limit),
                seal_runs: Vec::with_capacity(limit),
                to_open: Vec::with_capacity(limit),
                open_runs: Vec::with_capacity(limit),
                held_back: Vec::with_capacity(limit),
            },
            outputs: Vec::with_capacity(limit),
            ready: Vec::with_capacity(limit),
            pieces: Vec::with_capacity(16),
        }
    }
}

/// Allocates an output frame for each of `packets`. Drops the last packets if frames run out, and shortens their runs.
#[inline]
pub(crate) fn allocate_outputs<'a, D: Device, P>(
    packets: &mut Vec<P>,
    run_ends: impl Iterator<Item = &'a mut u32>,
    outputs: &mut Vec<D::Frame>,
    io: &mut Io<D>,
) {
    io.device.allocate_burst(outputs, packets.len());
    if outputs.len() < packets.len() {
        io.totals.drops[DropReason::NoFrame] += (packets.len() - outputs.len()) as u64;
        packets.truncate(outputs.len());
        let count = packets.len() as u32;
        run_ends.for_each(|end| *end = count.min(*end));
    }
}
