//! The packets of a burst on their way through their SAs, in the order in which they came: run by run, which is those of
//! one SA that came one after the other.

use std::ops::Range;

use causeway_device::Device;
use causeway_esp::{OpenBurst, OpenError, Opened, SealBurst, SealError, prefetch_write};
use causeway_steering::headers::ETHERNET;

/// How many runs ahead what their SAs' ciphers take is fetched.
pub(crate) const AHEAD: usize = 4;

/// Packets to seal that go into one tunnel.
#[derive(Clone, Copy)]
pub(crate) struct SealRun {
    pub(crate) tunnel: u32,
    /// The place behind its last packet among those to seal.
    pub(crate) end: u32,
}

/// Packets to open that carry one SPI.
#[derive(Clone, Copy)]
pub(crate) struct OpenRun {
    pub(crate) spi: u32,
    /// Its SA's place among the inbound ones.
    pub(crate) sa: u32,
    /// Whose SA it is.
    pub(crate) tunnel: u32,
    /// The place behind its last packet among those to open.
    pub(crate) end: u32,
}

/// A packet that may be sealed. Its outer packet goes to the frame of the same place among those to write to.
pub(crate) struct ToSeal {
    /// Its place in the burst.
    pub(crate) place: u32,
    /// The tunnel that it goes into.
    pub(crate) tunnel: u32,
    /// Where its IP header starts.
    pub(crate) l3: u16,
    /// Its length, IP header included.
    pub(crate) length: u16,
    /// The length of the outer packet.
    pub(crate) sealed: Result<u16, SealError>,
}

/// An ESP packet. What it holds goes to the frame of the same place among those to write to.
pub(crate) struct ToOpen {
    /// Its place in the burst.
    pub(crate) place: u32,
    /// Where its IP header starts.
    pub(crate) l3: u16,
    /// Where it stands, from its SPI on.
    pub(crate) esp: Range<u32>,
    pub(crate) opened: Result<Opened, OpenError>,
}

impl ToOpen {
    /// The ESP packet in its frame.
    #[inline]
    fn esp(&self) -> Range<usize> {
        self.esp.start as usize..self.esp.end as usize
    }
}

/// Packets on their way through outbound SAs: those of one tunnel, or `MIXED`.
pub(crate) struct Sealing<'a, D: Device, const MIXED: bool> {
    pub(crate) device: &'a D,
    pub(crate) frames: &'a mut [D::Frame],
    pub(crate) outs: &'a mut [D::Frame],
    pub(crate) packets: &'a mut [ToSeal],
}

impl<D: Device, const MIXED: bool> SealBurst for Sealing<'_, D, MIXED> {
    const MIXED: bool = MIXED;

    #[inline]
    fn sa(&self, n: usize) -> usize {
        self.packets[n].tunnel as usize
    }

    #[inline]
    fn packet(&mut self, n: usize) -> causeway_esp::ToSeal<'_> {
        let packet = &self.packets[n];
        let frame = &mut self.frames[packet.place as usize];
        causeway_esp::ToSeal {
            frame: &mut self.device.room(frame)[packet.l3.into()..],
            len: packet.length.into(),
            out: &mut self.device.room(&mut self.outs[n])[ETHERNET..],
        }
    }

    /// The packet's own first line is here: its header was read.
    #[inline]
    fn fetch(&mut self, n: usize) {
        let packet = &self.packets[n];
        let frame = self.device.room(&mut self.frames[packet.place as usize]);
        let end = usize::from(packet.l3) + usize::from(packet.length);
        prefetch_write(frame.get_mut(end..).unwrap_or_default());
        prefetch_write(self.device.room(&mut self.outs[n]));
    }

    #[inline]
    fn sealed(&mut self, n: usize, result: Result<usize, SealError>) {
        // An outer packet tells its length in 16 bits.
        self.packets[n].sealed = result.map(|length| length as u16);
    }
}

/// Packets on their way through inbound SAs.
pub(crate) struct Opening<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) frames: &'a [D::Frame],
    pub(crate) outs: &'a mut [D::Frame],
    pub(crate) packets: &'a mut [ToOpen],
}

impl<D: Device> OpenBurst for Opening<'_, D> {
    #[inline(always)]
    fn packet(&mut self, n: usize) -> causeway_esp::ToOpen<'_> {
        let packet = &self.packets[n];
        let bytes = self.device.bytes(&self.frames[packet.place as usize]);
        causeway_esp::ToOpen {
            esp: &bytes[packet.esp()],
            outer_tos: tos(&bytes[packet.l3.into()..]),
            out: &mut self.device.room(&mut self.outs[n])[ETHERNET..],
        }
    }

    /// The packet's own first line is here: its header was read.
    #[inline]
    fn fetch(&mut self, n: usize) {
        if let Some(out) = self.outs.get_mut(n) {
            prefetch_write(self.device.room(out));
        }
    }

    #[inline]
    fn opened(&mut self, n: usize, result: Result<Opened, OpenError>) {
        self.packets[n].opened = result;
    }
}

/// DSCP and ECN of a packet: IPv4's TOS, IPv6's traffic class.
#[inline]
fn tos(packet: &[u8]) -> u8 {
    if packet[0] >> 4 == 6 {
        packet[0] << 4 | packet[1] >> 4
    } else {
        packet[1]
    }
}
