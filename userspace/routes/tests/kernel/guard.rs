//! The guard: rules and routes as `ip` shows them, and packets that the kernel no longer forwards.

use std::net::UdpSocket;

use causeway_routes::guard;
use ipnet::IpNet;

use crate::namespaces::{NIC, SECOND, VethPair};

const PREFIXES: [&str; 2] = ["10.2.0.0/24", "fd00:2::/64"];

fn prefixes() -> Vec<IpNet> {
    PREFIXES.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_guard_is_complete_after_each_install_and_gone_after_its_removal() {
    let pair = VethPair::new();
    pair.run(async || {
        assert_eq!(guard::missing(&prefixes()).await.unwrap(), prefixes());
        for _ in 0..2 {
            guard::install(&prefixes()).await.unwrap();
            assert_eq!(guard::missing(&prefixes()).await.unwrap(), []);
        }
        let other: IpNet = "10.3.0.0/16".parse().unwrap();
        assert_eq!(guard::missing(&[other]).await.unwrap(), [other]);
        guard::install(&[other]).await.unwrap();
        guard::remove(&prefixes()).await.unwrap();
        guard::remove(&prefixes()).await.unwrap();
        assert_eq!(guard::missing(&prefixes()).await.unwrap(), prefixes());
        assert_eq!(guard::missing(&[other]).await.unwrap(), []);
    });
}

/// An IPv4 counter of the calling thread's namespace (RFC 4293).
fn counter(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("Ip:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split(' ').position(|each| each == name).unwrap();
    values.split(' ').nth(at).unwrap().parse().unwrap()
}

/// The far end sends five packets to a prefix that the near end forwards. Returns how many were forwarded.
async fn forwarded(pair: &VethPair) -> u64 {
    let (received, forwarded) = (counter("InReceives"), counter("ForwDatagrams"));
    pair.far_shell("for n in 1 2 3 4 5; do echo > /dev/udp/10.2.0.9/9; done");
    while counter("InReceives") < received + 5 {
        tokio::time::sleep(SECOND / 100).await;
    }
    counter("ForwDatagrams") - forwarded
}

#[test]
fn packets_to_a_guarded_prefix_are_not_forwarded() {
    let pair = VethPair::new();
    pair.near(&format!("route add 10.2.0.0/24 via 10.1.0.2 dev {NIC}"));
    pair.far(&format!("route add 10.2.0.9/32 via 10.1.0.1 dev {NIC}"));
    pair.run(async || {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        assert_eq!(forwarded(&pair).await, 5);
        guard::install(&prefixes()).await.unwrap();
        assert_eq!(forwarded(&pair).await, 0);
        // What this host itself sends is not guarded.
        let socket = UdpSocket::bind("10.1.0.1:0").unwrap();
        socket.send_to(b"own", "10.2.0.1:9").unwrap();
        guard::remove(&prefixes()).await.unwrap();
        assert_eq!(forwarded(&pair).await, 5);
    });
}
