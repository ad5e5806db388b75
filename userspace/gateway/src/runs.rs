//! Runs: packets of a burst, one after the other, that belong to one SA.

use std::ops::Range;

use causeway_device::Device;
use causeway_esp::{OpenBurst, OpenError, Opened, SealBurst, SealError, prefetch_write};
use causeway_steering::headers::ETHERNET;

/// What a run's packets have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// The tunnel that they go into.
    Seal { tunnel: usize },
    /// The SPI that they carry.
    Open { spi: u32 },
}

/// A packet that may be sealed. Its outer packet goes to the frame of the same place among the run's.
pub(crate) struct ToSeal {
    /// Its place in the burst.
    pub(crate) place: u32,
    /// Where its IP header starts.
    pub(crate) l3: u16,
    /// Its length, IP header included.
    pub(crate) length: u32,
    /// The length of the outer packet.
    pub(crate) sealed: Result<u16, SealError>,
}

/// An ESP packet. What it holds goes to the frame of the same place among the run's.
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

/// A run on its way through an outbound SA.
pub(crate) struct Sealing<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) frames: &'a mut [D::Frame],
    pub(crate) outs: &'a mut [D::Frame],
    pub(crate) run: &'a mut [ToSeal],
}

impl<D: Device> SealBurst for Sealing<'_, D> {
    #[inline]
    fn packet(&mut self, n: usize) -> causeway_esp::ToSeal<'_> {
        let packet = &self.run[n];
        let frame = &mut self.frames[packet.place as usize];
        causeway_esp::ToSeal {
            frame: &mut self.device.room(frame)[packet.l3.into()..],
            len: packet.length as usize,
            out: &mut self.device.room(&mut self.outs[n])[ETHERNET..],
        }
    }

    /// The packet's own first line is here: its header was read.
    #[inline]
    fn fetch(&mut self, n: usize) {
        let packet = &self.run[n];
        let frame = self.device.room(&mut self.frames[packet.place as usize]);
        let end = usize::from(packet.l3) + packet.length as usize;
        prefetch_write(frame.get_mut(end..).unwrap_or_default());
        prefetch_write(self.device.room(&mut self.outs[n]));
    }

    #[inline]
    fn sealed(&mut self, n: usize, result: Result<usize, SealError>) {
        // An outer packet tells its length in 16 bits.
        self.run[n].sealed = result.map(|length| length as u16);
    }
}

/// A run on its way through an inbound SA.
pub(crate) struct Opening<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) frames: &'a [D::Frame],
    pub(crate) outs: &'a mut [D::Frame],
    pub(crate) run: &'a mut [ToOpen],
}

impl<D: Device> OpenBurst for Opening<'_, D> {
    #[inline(always)]
    fn packet(&mut self, n: usize) -> causeway_esp::ToOpen<'_> {
        let packet = &self.run[n];
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
        prefetch_write(self.device.room(&mut self.outs[n]));
    }

    #[inline]
    fn opened(&mut self, n: usize, result: Result<Opened, OpenError>) {
        self.run[n].opened = result;
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
