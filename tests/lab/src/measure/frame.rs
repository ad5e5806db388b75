//! Classifies a captured frame of the trunk.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERNET_HEADER: usize = 14;
const IPV6_HEADER: usize = 40;
/// RFC 3948.
const ESP_IN_UDP_PORT: u16 = 4500;

/// A kind of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ARP between the routers.
    Arp,
    /// Neighbour discovery (RFC 4861), or a report of multicast group membership (MLD, RFC 3810).
    ///
    /// Neither has crossed a router: neighbour discovery has hop limit 255, which a router would decrement. MLD has hop
    /// limit 1 and a link-local source.
    Ndp,
    /// IP protocol 50, with the source address.
    Esp(IpAddr),
    /// UDP to port 4500 with a non-zero SPI, with the source address.
    EspInUdp(IpAddr),
    /// Any other frame, including fragments.
    Other,
}

/// Classifies a frame. A frame that is too short counts as other.
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

/// Accepts only the extension header of MLD.
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
            // Eight octets with the router alert (RFC 2711), which MLD must have.
            let options = payload.first_chunk::<8>()?;
            let mld =
                *options == [58, 0, 5, 2, 0, 0, 1, 0] || *options == [58, 0, 1, 0, 5, 2, 0, 0];
            let message = payload.get(8)?;
            let link_local =
                hop_limit == 1 && (source.is_unicast_link_local() || source.is_unspecified());
            (mld && link_local && matches!(message, 130..=132 | 143)).then_some(Kind::Ndp)
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

/// The SPI is never 0 on the wire (RFC 4303 section 2.1). Four zero octets in UDP 4500 mean IKE (RFC 3948 section 2.2).
fn has_spi(esp: &[u8]) -> bool {
    esp.first_chunk().is_some_and(|spi| *spi != [0; 4])
}

#[cfg(test)]
pub(super) mod tests {
    use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header, UdpHeader};
    use proptest::prelude::*;

    use super::*;
    use crate::options::Family;
    use crate::topology::Site;

    /// A frame from a VPC's first gateway to its peer.
    pub fn frame(family: Family, protocol: u8, vpc: u8, payload: &[u8]) -> Vec<u8> {
        let ends = [vpc, 3 - vpc].map(|vpc| Site::gateway(vpc, 1).address(family));
        let length = payload.len() as u16;
        let next_header = IpNumber(protocol);
        let (ether_type, header) = match ends {
            [IpAddr::V4(from), IpAddr::V4(to)] => {
                let (from, to) = (from.octets(), to.octets());
                let header = Ipv4Header::new(length, 64, next_header, from, to).unwrap();
                (EtherType::IPV4, header.to_bytes().to_vec())
            }
            [IpAddr::V6(from), IpAddr::V6(to)] => {
                let header = Ipv6Header {
                    payload_length: length,
                    next_header,
                    hop_limit: 64,
                    source: from.octets(),
                    destination: to.octets(),
                    ..Ipv6Header::default()
                };
                (EtherType::IPV6, header.to_bytes().to_vec())
            }
            _ => unreachable!("two addresses of {family}"),
        };
        let ethernet = Ethernet2Header {
            ether_type,
            ..Ethernet2Header::default()
        };
        [&ethernet.to_bytes(), &header[..], payload].concat()
    }

    pub fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let header = UdpHeader::without_ipv4_checksum(4500, port, payload.len()).unwrap();
        [&header.to_bytes(), payload].concat()
    }

    const SPI: [u8; 6] = [0, 0, 0x10, 1, 9, 9];

    #[test]
    fn esp_is_recognised_in_both_families() {
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
    fn only_frames_that_have_not_crossed_a_router_are_ndp() {
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
        fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
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
