//! Runs: packets of a burst, one after the other, that belong to one SA.

use std::ops::Range;

use causeway_device::Device;
use causeway_esp::{OpenBurst, OpenError, Opened, SealBurst, SealError};
use causeway_steering::headers::ETHERNET;

/// What a run's packets have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// The tunnel that they go into.
    Seal { tunnel: usize },
    /// The SPI that they carry.
    Open { spi: u32 },
}

/// A packet that may be sealed.
pub(crate) struct ToSeal<F> {
    /// Its place in the burst.
    pub(crate) place: usize,
    /// Where its IP header starts.
    pub(crate) l3: usize,
    /// Its length, IP header included.
    pub(crate) length: usize,
    /// Where its ESP packet goes; without it, the SA refuses for lack of room.
    pub(crate) out: Option<F>,
    pub(crate) sealed: Result<usize, SealError>,
}

/// An ESP packet.
pub(crate) struct ToOpen<F> {
    /// Its place in the burst.
    pub(crate) place: usize,
    /// Where its IP header starts.
    pub(crate) l3: usize,
    /// Where it stands, from its SPI on.
    pub(crate) esp: Range<usize>,
    /// Where its inner packet goes; without it, the SA refuses for lack of room.
    pub(crate) out: Option<F>,
    pub(crate) opened: Result<Opened, OpenError>,
}

/// A run on its way through an outbound SA.
pub(crate) struct Sealing<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) frames: &'a mut [D::Frame],
    pub(crate) run: &'a mut [ToSeal<D::Frame>],
}

impl<D: Device> SealBurst for Sealing<'_, D> {
    #[inline]
    fn packet(&mut self, n: usize) -> causeway_esp::ToSeal<'_> {
        let packet = &mut self.run[n];
        causeway_esp::ToSeal {
            frame: &mut self.device.room(&mut self.frames[packet.place])[packet.l3..],
            len: packet.length,
            out: room(self.device, &mut packet.out),
        }
    }

    #[inline]
    fn sealed(&mut self, n: usize, result: Result<usize, SealError>) {
        self.run[n].sealed = result;
    }
}

/// A run on its way through an inbound SA.
pub(crate) struct Opening<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) frames: &'a [D::Frame],
    pub(crate) run: &'a mut [ToOpen<D::Frame>],
}

impl<D: Device> OpenBurst for Opening<'_, D> {
    #[inline]
    fn packet(&mut self, n: usize) -> causeway_esp::ToOpen<'_> {
        let packet = &mut self.run[n];
        let bytes = self.device.bytes(&self.frames[packet.place]);
        causeway_esp::ToOpen {
            esp: &bytes[packet.esp.clone()],
            outer_tos: tos(&bytes[packet.l3..]),
            out: room(self.device, &mut packet.out),
        }
    }

    #[inline]
    fn opened(&mut self, n: usize, result: Result<Opened, OpenError>) {
        self.run[n].opened = result;
    }
}

/// Where an IP packet may be written.
#[inline]
fn room<'a, D: Device>(device: &'a D, frame: &'a mut Option<D::Frame>) -> &'a mut [u8] {
    match frame {
        Some(frame) => &mut device.room(frame)[ETHERNET..],
        None => &mut [],
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
