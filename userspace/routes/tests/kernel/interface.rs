//! Compares the reported state of NICs with the arguments of `ip` that created them.

use std::collections::BTreeSet;

use crate::namespaces::{NEAR_MAC, NIC, RunningWatcher, VethPair};
use causeway_routes::{Hardware, RoutesError, Watcher, hardware, interface, is_link_local};

#[test]
fn a_nic_is_described_as_it_was_created() {
    let pair = VethPair::new();
    pair.near(&format!("link set {NIC} mtu 3498"));
    pair.near(&format!("addr add 10.3.0.1/16 dev {NIC}"));
    pair.near(&format!("addr add 10.4.0.1 peer 10.4.0.2/32 dev {NIC}"));
    pair.near(&format!("addr add fd00:3::1/64 dev {NIC}"));
    pair.near(&format!("addr add fd00:4::1 peer fd00:4::2/128 dev {NIC}"));
    pair.run(async || {
        let found = interface(NIC).await.unwrap();
        assert_eq!(found.name, NIC);
        assert_eq!(found.mac, NEAR_MAC);
        assert_eq!(found.mtu, 3498);
        assert!(found.up);
        let that = |link_local: bool| {
            let some = found.addresses.iter();
            let some = some.filter(|address| is_link_local(address.addr()) == link_local);
            some.map(ToString::to_string).collect::<BTreeSet<_>>()
        };
        // RFC 4291 appendix A: fe80::/64 and the MAC address with its universal bit inverted.
        assert_eq!(that(true), BTreeSet::from(["fe80::ff:fe00:101/64".into()]));
        let made = [
            "10.1.0.1/24",
            "10.3.0.1/16",
            "10.4.0.1/32",
            "fd00:3::1/64",
            "fd00:4::1/128",
        ];
        assert_eq!(that(false), BTreeSet::from(made.map(String::from)));
    });
    let listed = pair.near(&format!("-o link show {NIC}"));
    let index: u32 = listed.split(':').next().unwrap().parse().unwrap();
    pair.near(&format!("link set {NIC} down"));
    pair.run(async || {
        let found = interface(NIC).await.unwrap();
        assert_eq!(found.index, index);
        assert!(!found.up);
    });
}

#[test]
fn queues_are_those_in_use_not_those_allocated() {
    let pair = VethPair::new();
    pair.near("link add many numrxqueues 3 numtxqueues 2 type veth peer name few");
    pair.near("link add plain numrxqueues 4 numtxqueues 5 type bridge");
    pair.run(async || {
        // Without a setting the kernel allocates one queue per CPU and uses one.
        let default = interface(NIC).await.unwrap();
        assert_eq!((default.rx_queues, default.tx_queues), (1, 1));
        let many = interface("many").await.unwrap();
        assert_eq!((many.rx_queues, many.tx_queues), (3, 2));
        // A bridge reports no channels, so the counts come from its link message.
        let plain = interface("plain").await.unwrap();
        assert_eq!((plain.rx_queues, plain.tx_queues), (4, 5));
    });
}

#[test]
fn a_missing_nic_is_an_error_that_lists_the_others() {
    let pair = VethPair::new();
    pair.run(async || {
        let error = interface("eth7").await.unwrap_err();
        assert!(matches!(error, RoutesError::NoSuchInterface { .. }));
        assert_eq!(
            error.to_string(),
            "there is no network interface named \"eth7\" in this network namespace; \
             it has: lo, nic"
        );
        assert!(matches!(
            Watcher::start(4711, drop).await.err(),
            Some(RoutesError::NoSuchIndex(4711))
        ));
    });
}

#[test]
fn a_nic_without_a_mac_address_is_refused() {
    let pair = VethPair::new();
    pair.near("tuntap add tunnel mode tun");
    pair.run(async || {
        let error = interface("tunnel").await.unwrap_err();
        assert!(matches!(error, RoutesError::NotEthernet { .. }), "{error}");
    });
}

#[test]
fn frames_the_nic_refused_are_counted() {
    let pair = VethPair::new();
    pair.near(&format!(
        "neigh add 10.1.0.2 lladdr 02:00:00:00:01:02 dev {NIC}"
    ));
    pair.far(&format!("link set {NIC} down"));
    pair.run(async || {
        let watch = RunningWatcher::start().await;
        let before = watch.watcher.link().await.unwrap().tx_dropped;
        let socket = std::net::UdpSocket::bind("10.1.0.1:0").unwrap();
        for _ in 0..5 {
            socket.send_to(b"no listener", "10.1.0.2:9").unwrap();
        }
        let after = watch.watcher.link().await.unwrap().tx_dropped;
        assert!(after >= before + 5, "{before} before, {after} after");
    });
}

#[test]
fn a_driver_reports_its_queues_and_offloads() {
    let pair = VethPair::new();
    pair.near("link add many numrxqueues 3 numtxqueues 2 type veth peer name few");
    pair.ethtool("-K many rx-vlan-hw-parse off");
    pair.run(async || {
        let index = interface("many").await.unwrap().index;
        let many = hardware("many", index).await;
        let channels = many.channels.unwrap();
        assert_eq!(channels.in_use(), (3, 2));
        assert_eq!((channels.rx.max, channels.tx.max), (3, 2));
        let off = many.offload("rx-vlan-hw-parse").unwrap();
        assert!(!off.on && !off.fixed, "{off:?}");
        let on = hardware("few", index).await;
        assert!(on.offload("rx-vlan-hw-parse").unwrap().on);
        let fixed = many.offload("rx-lro").unwrap();
        assert!(!fixed.on && fixed.fixed, "{fixed:?}");
        // A veth has no rings.
        assert_eq!(many.rings, None);
        assert_eq!(hardware("eth7", 4711).await, Hardware::default());
        // A veth runs XDP programs and redirects, but cannot transmit redirected packets while its peer has no NAPI.
        let xdp = many.xdp.unwrap();
        assert!(xdp.native && xdp.redirect && !xdp.transmit, "{xdp:?}");
    });
}
