//! Open: each queued ESP packet is authenticated and decrypted into an output frame.

use std::ops::Range;

use causeway_device::Device;
use causeway_esp::{OpenBurst, OpenError, Opened, prefetch_write};
use causeway_steering::DropReason;
use causeway_steering::headers::ETHERNET;

use crate::burst::{Burst, ToOpen, allocate_outputs};
use crate::control::WorkerChannels;
use crate::inbound::InboundSas;
use crate::io::Io;

/// The number of runs whose SAs are prefetched ahead of their ciphers.
const RUNS_AHEAD: usize = 4;

/// Opens the queued packets into output frames. Returns the number of queued packets.
#[inline]
pub(crate) fn open<D: Device>(
    burst: &mut Burst<D::Frame>,
    inbound: &mut InboundSas,
    io: &mut Io<D>,
    channels: &WorkerChannels,
) -> usize {
    let queued = burst.queues.to_open.len();
    let ends = burst.queues.open_runs.iter_mut().map(|run| &mut run.end);
    let outputs = &mut burst.outputs;
    allocate_outputs(&mut burst.queues.to_open, ends, outputs, io);
    open_runs(burst, inbound, &io.device);
    inbound.account(burst.now, channels, &mut io.totals.sas);
    queued
}

#[inline(always)]
fn open_runs<D: Device>(burst: &mut Burst<D::Frame>, inbound: &mut InboundSas, device: &D) {
    let runs = &burst.queues.open_runs;
    let mut packets = Packets {
        device,
        received: &burst.received,
        outputs: &mut burst.outputs,
        packets: &mut burst.queues.to_open,
    };
    let (mut first, mut fetched) = (0, 0);
    for (index, run) in runs.iter().enumerate() {
        while fetched < runs.len().min(index + RUNS_AHEAD) {
            inbound.at_mut(runs[fetched].sa).fetch();
            fetched += 1;
        }
        let end = run.end as usize;
        let sa = inbound.at_mut(run.sa).sa.sa_mut();
        sa.open_burst(first..end, &mut packets);
        first = end;
    }
}

/// The packets of a burst as the cipher takes them.
struct Packets<'a, D: Device> {
    device: &'a D,
    received: &'a [D::Frame],
    outputs: &'a mut [D::Frame],
    packets: &'a mut [ToOpen],
}

impl<D: Device> OpenBurst for Packets<'_, D> {
    #[inline(always)]
    fn packet(&mut self, n: usize) -> causeway_esp::ToOpen<'_> {
        let packet = &self.packets[n];
        let bytes = self.device.bytes(&self.received[packet.index as usize]);
        causeway_esp::ToOpen {
            esp: &bytes[range(&packet.esp)],
            outer_tos: traffic_class(&bytes[packet.l3.into()..]),
            out: &mut self.device.room(&mut self.outputs[n])[ETHERNET..],
        }
    }

    /// The packet's first line is in the cache, since its header was read.
    #[inline]
    fn fetch(&mut self, n: usize) {
        if let Some(output) = self.outputs.get_mut(n) {
            prefetch_write(self.device.room(output));
        }
    }

    #[inline]
    fn opened(&mut self, n: usize, result: Result<Opened, OpenError>) {
        self.packets[n].opened = result;
    }
}

#[inline]
fn range(octets: &Range<u32>) -> Range<usize> {
    octets.start as usize..octets.end as usize
}

/// DSCP and ECN of a packet: IPv4's TOS, IPv6's traffic class.
#[inline]
fn traffic_class(packet: &[u8]) -> u8 {
    if packet[0] >> 4 == 6 {
        packet[0] << 4 | packet[1] >> 4
    } else {
        packet[1]
    }
}

pub(crate) fn drop_reason(error: OpenError) -> DropReason {
    match error {
        OpenError::TooShort => DropReason::EspTruncated,
        OpenError::OutputTooSmall => DropReason::NoFrame,
        OpenError::Expired => DropReason::SaExpired,
        OpenError::Replayed => DropReason::Replayed,
        OpenError::TooOld => DropReason::ReplayTooOld,
        OpenError::BadIcv => DropReason::AuthenticationFailed,
        OpenError::BadPadding => DropReason::BadPadding,
        OpenError::NextHeader => DropReason::NextHeader,
        OpenError::InnerMalformed => DropReason::InnerMalformed,
        OpenError::EcnCeOverNotEct => DropReason::EcnInvalid,
    }
}
