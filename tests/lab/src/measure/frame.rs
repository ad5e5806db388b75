//! What a captured frame is, as far as the trunk is concerned.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERNET_HEADER: usize = 14;
const IPV6_HEADER: usize = 40;
/// RFC 3948.
const ESP_IN_UDP_PORT: u16 = 4500;

/// A kind of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Address resolution between the routers.
    Arp,
    /// The same in IPv6: neighbour discovery (RFC 4861), and the membership of its multicast groups
    /// (MLD, RFC 3810). Both are bound to the link: the one has hop limit 255, which no packet
    /// has that a router passed on, the other hop limit 1 and a link-local source.
    Ndp,
    /// IP protocol 50, from this address.
    Esp(IpAddr),
    /// UDP to port 4500 with a non-zero SPI, from this address.
    EspInUdp(IpAddr),
    /// Anything else, fragments included.
    Other,
}

/// Tells what a frame is. Too short to tell counts as other.
pub fn kind(frame: &[u8]) -> Kind {
    let Some((ethernet, packet)) = frame.split_at_checked(ETHERNET_HEADER) else {
        return Kind::Other;
    };
    let kind = match [ethernet[12], ethernet[13]] {
        [0x08, 0x06] => Some(Kind::Arp),
        [0x08, 0x00] => ipv4(packet),
        [0x86, 0xdd] => ipv6(packet),
        _ => None,
    };
    kind.unwrap_or(Kind::Other)
}

fn ipv4(packet: &[u8]) -> Option<Kind> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]);
    let more_or_offset = fragment & 0x3fff;
    if packet[0] >> 4 != 4 || header < 20 || more_or_offset != 0 {
        return None;
    }
    let source = Ipv4Addr::from(*packet.get(12..)?.first_chunk::<4>()?);
    esp(*packet.get(9)?, packet.get(header..)?, source.into())
}

/// Of extension headers only the one that MLD has.
fn ipv6(packet: &[u8]) -> Option<Kind> {
    let (header, payload) = packet.split_at_checked(IPV6_HEADER)?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let source = Ipv6Addr::from(*header[8..].first_chunk::<16>()?);
    let hop_limit = header[7];
    match header[6] {
        58 => (hop_limit == 255 && (133..=137).contains(payload.first()?)).then_some(Kind::Ndp),
        0 => {
            // Eight octets, with the router alert (RFC 2711) that MLD must carry.
            let options = payload.first_chunk::<8>()?;
            let mld =
                *options == [58, 0, 5, 2, 0, 0, 1, 0] || *options == [58, 0, 1, 0, 5, 2, 0, 0];
            let message = payload.get(8)?;
            let bound =
                hop_limit == 1 && (source.is_unicast_link_local() || source.is_unspecified());
            (mld && bound && matches!(message, 130..=132 | 143)).then_some(Kind::Ndp)
        }
        protocol => esp(protocol, payload, source.into()),
    }
}

fn esp(protocol: u8, payload: &[u8], source: IpAddr) -> Option<Kind> {
    match protocol {
        50 => has_spi(payload).then_some(Kind::Esp(source)),
        17 => {
            let port = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
            let esp = port == ESP_IN_UDP_PORT && has_spi(payload.get(8..)?);
            esp.then_some(Kind::EspInUdp(source))
        }
        _ => None,
    }
}

/// The SPI is never 0 on the wire (RFC 4303 section 2.1); in UDP 4500 four
/// zero octets mean IKE (RFC 3948 section 2.2).
fn has_spi(esp: &[u8]) -> bool {
    esp.first_chunk().is_some_and(|spi| *spi != [0; 4])
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::options::Family;
    use crate::topology::Site;

    /// A frame of a VPC's first gateway.
    pub fn frame(family: Family, protocol: u8, vpc: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        match family {
            Family::Ipv4 => {
                frame.extend([0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
            }
            Family::Ipv6 => frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, protocol, 64]),
        }
        for vpc in [vpc, 3 - vpc] {
            match Site::gateway(vpc, 1).address(family) {
                IpAddr::V4(address) => frame.extend(address.octets()),
                IpAddr::V6(address) => frame.extend(address.octets()),
            }
        }
        frame.extend(payload);
        frame
    }

    pub fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x11, 0x94];
        datagram.extend(port.to_be_bytes());
        datagram.extend([0; 4]);
        datagram.extend(payload);
        datagram
    }

    const SPI: [u8; 6] = [0, 0, 0x10, 1, 9, 9];

    #[test]
    fn esp_is_told_from_everything_else_in_both_families() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let source = Site::gateway(1, 1).address(family);
            let kind = |protocol, payload: &[u8]| kind(&frame(family, protocol, 1, payload));
            assert_eq!(kind(50, &SPI), Kind::Esp(source));
            assert_eq!(kind(17, &udp(4500, &SPI)), Kind::EspInUdp(source));
            assert_eq!(kind(17, &udp(4500, &[0; 8])), Kind::Other, "IKE");
            assert_eq!(kind(17, &udp(4501, &SPI)), Kind::Other);
            assert_eq!(kind(6, &SPI), Kind::Other);
            assert_eq!(kind(50, &[0; 4]), Kind::Other, "SPI 0");
            assert_eq!(
                kind(44, &[50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
                Kind::Other
            );
        }
        let mut fragment = frame(Family::Ipv4, 50, 1, &SPI);
        fragment[21] = 9;
        assert_eq!(kind(&fragment), Kind::Other);
        let mut arp = vec![0; 42];
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        assert_eq!(kind(&arp), Kind::Arp);
    }

    #[test]
    fn only_what_cannot_have_crossed_a_router_is_care_of_the_link() {
        const HOP_LIMIT: usize = ETHERNET_HEADER + 7;
        let solicitation = |hop_limit, message| {
            let mut frame = frame(Family::Ipv6, 58, 1, &[message, 0, 0, 0]);
            frame[HOP_LIMIT] = hop_limit;
            kind(&frame)
        };
        assert_eq!(solicitation(255, 135), Kind::Ndp);
        assert_eq!(solicitation(255, 136), Kind::Ndp);
        assert_eq!(solicitation(254, 135), Kind::Other);
        assert_eq!(solicitation(255, 128), Kind::Other, "an echo request");

        let report = |hop_limit, source: [u8; 2], alert: [u8; 4]| {
            let [a, b, c, d] = alert;
            let message = [58, 0, a, b, c, d, 1, 0, 143, 0, 0, 0];
            let mut frame = frame(Family::Ipv6, 0, 1, &message);
            frame[HOP_LIMIT] = hop_limit;
            frame[ETHERNET_HEADER + 8..][..2].copy_from_slice(&source);
            kind(&frame)
        };
        let alert = [5, 2, 0, 0];
        assert_eq!(report(1, [0xfe, 0x80], alert), Kind::Ndp);
        assert_eq!(report(2, [0xfe, 0x80], alert), Kind::Other);
        assert_eq!(report(1, [0xfd, 0x00], alert), Kind::Other);
        assert_eq!(report(1, [0xfe, 0x80], [1, 2, 0, 0]), Kind::Other);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = kind(&bytes);
            for ethertype in [[0x08, 0x00], [0x86, 0xdd]] {
                let mut frame = vec![0; 12];
                frame.extend(ethertype);
                frame.extend(&bytes);
                let _ = kind(&frame);
            }
        }
    }
}
