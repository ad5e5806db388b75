//! Rate limits and delay of the trunk. These tests need root.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use causeway_lab::{Family, Inner, Lab, Limits, Options, Site};

const PACKETS: u64 = 500;
const PAYLOAD: usize = 1000;
const QUIET: Duration = Duration::from_millis(300);

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
    socket.set_read_timeout(Some(QUIET)).unwrap();
    socket
}

/// Sends a burst of packets like ESP in UDP with this SPI, and returns how many arrived.
fn burst(lab: &Lab, spi: u32) -> u64 {
    let (from, to) = (Site::gateway(1, 1), Site::gateway(2, 1));
    let (sender, receiver) = (socket(lab, from), socket(lab, to));
    let mut packet = [0; PAYLOAD];
    packet[..4].copy_from_slice(&spi.to_be_bytes());
    let mut arrived = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..PACKETS {
                sender
                    .send_to(&packet, (to.address(Family::Ipv4), 4500))
                    .unwrap();
            }
        });
        while receiver.recv(&mut [0; PAYLOAD]).is_ok() {
            arrived += 1;
        }
    });
    arrived
}

#[test]
fn a_limit_applies_to_its_gateway_and_counts_its_drops() {
    let lab = lab(|_| {});
    let limits = Limits {
        gateway_mbit: 10.0,
        vpc_mbit: 1000.0,
    };
    let limited = lab.limit(limits).unwrap();
    // The SPI of gateway 1 in VPC 1.
    let arrived = burst(&lab, 0x1001);
    assert!(arrived > 0 && arrived < PACKETS / 2, "{arrived} arrived");
    assert_eq!(limited.dropped().unwrap(), PACKETS - arrived);
    // ESP with an unknown SPI is not limited.
    let before = limited.dropped().unwrap();
    assert!(burst(&lab, 0x7777) > PACKETS / 2);
    assert_eq!(limited.dropped().unwrap(), before);
    drop(limited);
    assert!(burst(&lab, 0x1001) > PACKETS / 2);
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
