//! The TCP payload that fits under a limit on Ethernet frames.

use anyhow::{Result, ensure};
use causeway_lab::measure::flood::Size;
use causeway_lab::{Encapsulation, Limits, Options};

use super::document::Caps;
use super::plan::Direction;

/// The part of Ethernet that the kernel counts: destination, source and type.
const ETHERNET: u32 = 14;
const IPV4: u32 = 20;
const UDP: u32 = 8;
/// SPI and sequence number, then the IV of RFC 4106 and RFC 7634.
const ESP: u32 = 8 + 8;
/// Pad length and next header (RFC 4303 section 2).
const TRAILER: u32 = 2;
/// The ICV of all three ciphers.
const ICV: u32 = 16;
/// The TCP header with the timestamps option (RFC 7323).
const TCP: u32 = 20 + 12;
/// A receiver acknowledges at least every second full segment (RFC 5681 section 4.2).
const ACKS_PER_SEGMENT: f64 = 0.5;

/// The encapsulation of inner packets, from which the sizes of frames follow.
#[derive(Clone, Copy, Debug)]
pub struct Goodput {
    encapsulation: u32,
    mtu: u32,
    directions: f64,
    acks: f64,
}

impl Goodput {
    /// For a lab whose hosts and tunnels use IPv4.
    pub fn of(options: &Options, direction: Direction) -> Self {
        // In one-way runs acknowledgements use the idle direction. In runs of both directions they take
        // capacity from the segments of the other direction.
        let (directions, acks) = match direction {
            Direction::OneWay => (1.0, 0.0),
            Direction::Both => (2.0, ACKS_PER_SEGMENT),
        };
        Self {
            encapsulation: match options.encapsulation {
                Encapsulation::Esp => 0,
                Encapsulation::Udp => UDP,
            },
            mtu: options.mtu,
            directions,
            acks,
        }
    }

    /// The length of the outer packet for an inner packet.
    fn outer(self, inner: u32) -> u32 {
        let padded = (inner + TRAILER).next_multiple_of(4);
        IPV4 + self.encapsulation + ESP + padded + ICV
    }

    /// The largest inner packet whose outer packet fits the MTU.
    fn largest_inner(self) -> u32 {
        let around = IPV4 + self.encapsulation + ESP + ICV;
        (self.mtu - around) / 4 * 4 - TRAILER
    }

    /// TCP payload over frame bytes, with full segments.
    pub fn ratio(self) -> f64 {
        let inner = self.largest_inner();
        let frames = ETHERNET + self.outer(inner);
        let acks = f64::from(ETHERNET + self.outer(IPV4 + TCP)) * self.acks;
        f64::from(inner - IPV4 - TCP) / (f64::from(frames) + acks)
    }

    /// The TCP payload that the limits allow: min(n x gateway, VPC) less the numbered UDP packets, of
    /// which each direction sends `rate` per second.
    pub fn ideal_mbit(self, caps: &Caps, gateways: u8, size: Size, rate: u32) -> f64 {
        let room = caps.vpc_mbit.min(f64::from(gateways) * caps.gateway_mbit);
        (room - self.numbered_mbit(size, rate)).max(0.0) * self.ratio()
    }

    /// The rate of the numbered packets' frames over all directions.
    fn numbered_mbit(self, size: Size, rate: u32) -> f64 {
        let frame = f64::from(ETHERNET + self.outer(0)) + size.mean();
        self.directions * f64::from(rate) * frame * 8.0 / 1e6
    }

    /// Refuses limits of which the numbered packets take more than half. Their queueing then drops TCP
    /// segments, and the result depends on TCP's retransmission timers.
    pub fn check(self, caps: &Caps, size: Size, rate: u32) -> Result<()> {
        let (least, numbered) = (
            caps.gateway_mbit.min(caps.vpc_mbit),
            self.numbered_mbit(size, rate),
        );
        ensure!(
            numbered * 2.0 <= least,
            "the limit of {least:.1} Mbit/s is too low: the numbered packets require at least {:.1} Mbit/s, \
             twice their own rate; raise --cap-gateway and --cap-vpc, or lower --udp-rate",
            numbered * 2.0
        );
        Ok(())
    }

    /// The limits of each direction.
    pub fn limits(self, caps: &Caps) -> Limits {
        Limits {
            gateway_mbit: caps.gateway_mbit / self.directions,
            vpc_mbit: caps.vpc_mbit / self.directions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goodput(encapsulation: Encapsulation, direction: Direction) -> Goodput {
        let options = Options {
            encapsulation,
            ..Options::new("c", "x")
        };
        Goodput::of(&options, direction)
    }

    #[test]
    fn full_segments_have_their_length_on_the_wire() {
        let esp = goodput(Encapsulation::Esp, Direction::OneWay);
        assert_eq!((esp.largest_inner(), esp.outer(1446)), (1446, 1500));
        assert_eq!(esp.ratio(), 1394.0 / 1514.0);
        let udp = goodput(Encapsulation::Udp, Direction::OneWay);
        assert_eq!((udp.largest_inner(), udp.outer(1438)), (1438, 1500));
        let both = goodput(Encapsulation::Esp, Direction::Both);
        // An acknowledgement of 52 bytes takes a frame of 122 bytes.
        assert_eq!(both.ratio(), 1394.0 / (1514.0 + 61.0));
    }

    #[test]
    fn the_ideal_grows_with_the_gateways_up_to_the_vpc() {
        let caps = Caps {
            reference_gateway_mbit: 1200.0,
            reference_vpc_mbit: 5000.0,
            scale: 12.0,
            gateway_mbit: 100.0,
            vpc_mbit: 250.0,
        };
        let esp = goodput(Encapsulation::Esp, Direction::OneWay);
        let ideal = |gateways| esp.ideal_mbit(&caps, gateways, Size::Imix, 0) / esp.ratio();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(ideal(1), 100.0) && near(ideal(2), 200.0));
        assert!(near(ideal(3), 250.0) && near(ideal(10), 250.0));
        let beside = esp.ideal_mbit(&caps, 1, Size::Fixed(500), 1000);
        assert!(beside < 96.0 * esp.ratio(), "{beside}");
        assert!(esp.check(&caps, Size::Fixed(500), 10_000).is_ok());
        let refused = esp.check(&caps, Size::Fixed(500), 12_000).unwrap_err();
        assert!(
            refused.to_string().contains("the limit of 100.0 Mbit/s"),
            "{refused}"
        );
        assert_eq!(esp.limits(&caps).vpc_mbit, 250.0);
        let both = goodput(Encapsulation::Esp, Direction::Both);
        assert_eq!(both.limits(&caps).gateway_mbit, 50.0);
    }
}
