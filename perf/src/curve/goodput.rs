//! How much TCP payload fits under a limit that counts Ethernet frames.

use anyhow::{Result, ensure};
use causeway_lab::measure::flood::Size;
use causeway_lab::{Encapsulation, Limits, Options};

use super::Direction;
use super::document::Caps;

/// Destination, source, type: what the kernel counts of Ethernet.
const ETHERNET: u32 = 14;
const IPV4: u32 = 20;
const UDP: u32 = 8;
/// SPI and sequence number, then the IV of RFC 4106 and RFC 7634.
const ESP: u32 = 8 + 8;
/// Pad length and next header (RFC 4303 section 2).
const TRAILER: u32 = 2;
/// The check value of all three ciphers.
const ICV: u32 = 16;
/// TCP's header with the option for timestamps (RFC 7323).
const TCP: u32 = 20 + 12;
/// A receiver acknowledges at least every second full segment (RFC 5681 section 4.2).
const ACKS_PER_SEGMENT: f64 = 0.5;

/// The frames that inner packets travel in.
#[derive(Clone, Copy, Debug)]
pub struct Goodput {
    encapsulation: u32,
    mtu: u32,
    ways: f64,
    acks: f64,
}

impl Goodput {
    /// Of a lab whose hosts and tunnels speak IPv4.
    pub fn of(options: &Options, direction: Direction) -> Self {
        // One way, the answers travel where nothing else does; both ways, they take room from the
        // segments of the other way.
        let (ways, acks) = match direction {
            Direction::OneWay => (1.0, 0.0),
            Direction::Both => (2.0, ACKS_PER_SEGMENT),
        };
        Self {
            encapsulation: match options.encapsulation {
                Encapsulation::Esp => 0,
                Encapsulation::Udp => UDP,
            },
            mtu: options.mtu,
            ways,
            acks,
        }
    }

    /// The outer packet of an inner one.
    fn outer(self, inner: u32) -> u32 {
        let padded = (inner + TRAILER).next_multiple_of(4);
        IPV4 + self.encapsulation + ESP + padded + ICV
    }

    /// The largest inner packet whose outer one the path takes.
    fn largest_inner(self) -> u32 {
        let around = IPV4 + self.encapsulation + ESP + ICV;
        (self.mtu - around) / 4 * 4 - TRAILER
    }

    /// Octets of payload to octets of frames, where connections send full segments.
    pub fn ratio(self) -> f64 {
        let inner = self.largest_inner();
        let frames = ETHERNET + self.outer(inner);
        let acks = f64::from(ETHERNET + self.outer(IPV4 + TCP)) * self.acks;
        f64::from(inner - IPV4 - TCP) / (f64::from(frames) + acks)
    }

    /// What the caps leave for TCP at most, beside the numbered UDP packets, of which each direction
    /// has `rate` a second: min(n x gateway, VPC), as payload.
    pub fn ideal_mbit(self, caps: &Caps, gateways: u8, size: Size, rate: u32) -> f64 {
        let room = caps.vpc_mbit.min(f64::from(gateways) * caps.gateway_mbit);
        (room - self.numbered_mbit(size, rate)).max(0.0) * self.ratio()
    }

    /// The frames of the numbered packets, all directions together.
    fn numbered_mbit(self, size: Size, rate: u32) -> f64 {
        let frame = f64::from(ETHERNET + self.outer(0)) + size.mean();
        self.ways * f64::from(rate) * frame * 8.0 / 1e6
    }

    /// Refuses limits of which the numbered packets alone take more than half: what they make the
    /// limits drop is TCP's, which then measures its own patience.
    pub fn check(self, caps: &Caps, size: Size, rate: u32) -> Result<()> {
        let (least, takes) = (
            caps.gateway_mbit.min(caps.vpc_mbit),
            self.numbered_mbit(size, rate),
        );
        ensure!(
            takes * 2.0 <= least,
            "limits of at least {:.1} Mbit/s were expected, twice what the numbered packets take, \
             but one is {least:.1}: raise --cap-gateway and --cap-vpc, or lower --udp-rate",
            takes * 2.0
        );
        Ok(())
    }

    /// What each direction is limited to.
    pub fn limits(self, caps: &Caps) -> Limits {
        Limits {
            gateway_mbit: caps.gateway_mbit / self.ways,
            vpc_mbit: caps.vpc_mbit / self.ways,
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
    fn full_segments_are_as_on_the_wire() {
        let esp = goodput(Encapsulation::Esp, Direction::OneWay);
        assert_eq!((esp.largest_inner(), esp.outer(1446)), (1446, 1500));
        assert_eq!(esp.ratio(), 1394.0 / 1514.0);
        let udp = goodput(Encapsulation::Udp, Direction::OneWay);
        assert_eq!((udp.largest_inner(), udp.outer(1438)), (1438, 1500));
        let both = goodput(Encapsulation::Esp, Direction::Both);
        // An acknowledgement of 52 octets travels in a frame of 122.
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
        assert!(refused.to_string().contains("one is 100.0"), "{refused}");
        assert_eq!(esp.limits(&caps).vpc_mbit, 250.0);
        let both = goodput(Encapsulation::Esp, Direction::Both);
        assert_eq!(both.limits(&caps).gateway_mbit, 50.0);
    }
}
