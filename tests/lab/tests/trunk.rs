//! What the trunk does to packets when it is asked to: it limits, and it delays. These tests need root.

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

/// Sends packets at once that look like ESP in UDP with this SPI; how many arrived.
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
fn a_limit_holds_its_gateway_back_and_counts_what_it_drops() {
    let lab = lab(|_| {});
    let limits = Limits {
        gateway_mbit: 10.0,
        vpc_mbit: 1000.0,
    };
    let limited = lab.limit(limits).unwrap();
    // Gateway 1 of VPC 1: config's first SPI there.
    let arrived = burst(&lab, 0x1001);
    assert!(arrived > 0 && arrived < PACKETS / 2, "{arrived} arrived");
    assert_eq!(limited.dropped().unwrap(), PACKETS - arrived);
    // What is nobody's ESP is not limited.
    let before = limited.dropped().unwrap();
    assert!(burst(&lab, 0x7777) > PACKETS / 2);
    assert_eq!(limited.dropped().unwrap(), before);
    drop(limited);
    assert!(burst(&lab, 0x1001) > PACKETS / 2);
}

#[test]
fn a_delayed_trunk_carries_everything_and_nothing_sooner() {
    let delay = Duration::from_millis(10);
    let lab = lab(|options| options.delay = delay);
    let (one, two) = (Site::gateway(1, 1), Site::gateway(2, 1));
    let (near, far) = (socket(&lab, one), socket(&lab, two));
    for number in 0..20_u8 {
        // Of a full MTU.
        let question = [number; 1472];
        let asked = Instant::now();
        near.send_to(&question, (two.address(Family::Ipv4), 4500))
            .unwrap();
        let mut buffer = [0; 2000];
        let (length, from) = far.recv_from(&mut buffer).unwrap();
        assert!(asked.elapsed() >= delay);
        far.send_to(&buffer[..length], from).unwrap();
        assert_eq!(near.recv(&mut buffer).unwrap(), question.len());
        assert!(asked.elapsed() >= 2 * delay && buffer[..length] == question);
    }
}
