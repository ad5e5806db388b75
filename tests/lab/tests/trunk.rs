//! Rate limits and delay of the trunk. These tests need root.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use causeway_lab::{ActiveLimits, Family, Inner, Lab, Limits, Options, Site};

const PACKETS: u64 = 500;
const PAYLOAD: usize = 1000;
/// No test waits as long, unless a packet is lost.
const LOST: Duration = Duration::from_secs(60);

fn lab(change: impl FnOnce(&mut Options)) -> Lab {
    let mut options = Options::new("/nonexistent/causeway", "/nonexistent/causeway-xdp.o");
    options.gateways = 2;
    options.inner = Inner::Ipv4;
    change(&mut options);
    Lab::new(options).unwrap()
}

fn socket(lab: &Lab, site: Site) -> UdpSocket {
    let address = (site.address(Family::Ipv4), 4500);
    let socket = lab.inside(site, || Ok(UdpSocket::bind(address)?)).unwrap();
    socket.set_read_timeout(Some(LOST)).unwrap();
    socket
}

/// Both ends of a gateway pair, and a packet like ESP in UDP with this SPI.
fn ends(lab: &Lab, spi: u32) -> (UdpSocket, UdpSocket, [u8; PAYLOAD]) {
    let (near, far) = (Site::gateway(1, 1), Site::gateway(2, 1));
    let (sender, receiver) = (socket(lab, near), socket(lab, far));
    sender.connect((far.address(Family::Ipv4), 4500)).unwrap();
    let mut packet = [0; PAYLOAD];
    packet[..4].copy_from_slice(&spi.to_be_bytes());
    (sender, receiver, packet)
}

/// Sends the packets at once, and returns how many arrived when each has arrived or was dropped.
fn burst(lab: &Lab, spi: u32, limited: &ActiveLimits) -> u64 {
    let (sender, receiver, packet) = ends(lab, spi);
    for _ in 0..PACKETS {
        sender.send(&packet).unwrap();
    }
    let poll = Duration::from_millis(100);
    receiver.set_read_timeout(Some(poll)).unwrap();
    let (started, mut arrived) = (Instant::now(), 0);
    while arrived + limited.dropped().unwrap() < PACKETS {
        assert!(started.elapsed() < LOST, "{arrived} arrived");
        arrived += u64::from(receiver.recv(&mut [0; PAYLOAD]).is_ok());
    }
    arrived
}

/// Sends each packet after the previous one has arrived, so that no queue can be too short.
fn every_packet_arrives(lab: &Lab, spi: u32) {
    let (sender, receiver, packet) = ends(lab, spi);
    for _ in 0..PACKETS {
        sender.send(&packet).unwrap();
        receiver.recv(&mut [0; PAYLOAD]).unwrap();
    }
}

#[test]
fn a_limit_applies_to_its_gateway_and_counts_its_drops() {
    let lab = lab(|_| {});
    // 6 packets a second: the sender may take half a minute for the burst.
    let limits = Limits {
        gateway_mbit: 0.05,
        vpc_mbit: 1000.0,
    };
    let limited = lab.limit(limits).unwrap();
    // The SPI of gateway 1 in VPC 1.
    let arrived = burst(&lab, 0x1001, &limited);
    assert!(arrived > 0 && arrived < PACKETS / 2, "{arrived} arrived");
    // ESP with an unknown SPI is not limited.
    let before = limited.dropped().unwrap();
    every_packet_arrives(&lab, 0x7777);
    assert_eq!(limited.dropped().unwrap(), before);
    drop(limited);
    every_packet_arrives(&lab, 0x1001);
}

#[test]
fn a_delayed_trunk_carries_every_packet_and_none_early() {
    let delay = Duration::from_millis(10);
    let lab = lab(|options| options.delay = delay);
    let (one, two) = (Site::gateway(1, 1), Site::gateway(2, 1));
    let (near, far) = (socket(&lab, one), socket(&lab, two));
    for number in 0..20_u8 {
        // A packet of a full MTU.
        let request = [number; 1472];
        let sent = Instant::now();
        near.send_to(&request, (two.address(Family::Ipv4), 4500))
            .unwrap();
        let mut buffer = [0; 2000];
        let (length, from) = far.recv_from(&mut buffer).unwrap();
        assert!(sent.elapsed() >= delay);
        far.send_to(&buffer[..length], from).unwrap();
        assert_eq!(near.recv(&mut buffer).unwrap(), request.len());
        assert!(sent.elapsed() >= 2 * delay && buffer[..length] == request);
    }
}
