//! The watcher with IPv6, a real kernel and real NDP.

use std::net::{IpAddr, Ipv6Addr};

use crate::namespaces::{FAR_MAC, NIC, RunningWatcher, SECOND, VethPair};
use crate::watcher::{NEW_MAC, state_of};
use causeway_routes::Lookup::{Ready, Unreachable, Unresolved};

const FAR: IpAddr = ip([0xfd00, 1, 0, 0, 0, 0, 0, 2]);
const ABSENT: IpAddr = ip([0xfd00, 1, 0, 0, 0, 0, 0, 0x99]);
const BEYOND: IpAddr = ip([0xfd00, 2, 0, 0, 0, 0, 0, 7]);
/// The link-local address that the far NIC derives from its MAC address.
const FAR_LINK_LOCAL: IpAddr = ip([0xfe80, 0, 0, 0, 0, 0x00ff, 0xfe00, 0x0102]);

const fn ip([a, b, c, d, e, f, g, h]: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

/// The pair with fd00:1::1/64 in `near` and fd00:1::2/64 in `far`.
fn pair() -> VethPair {
    let pair = VethPair::new();
    pair.near(&format!("addr add fd00:1::1/64 dev {NIC}"));
    pair.far(&format!("addr add {FAR}/64 dev {NIC}"));
    pair
}

#[test]
fn resolve_leads_to_a_ready_snapshot_by_real_ndp() {
    let pair = pair();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        let first = watch.snapshots.borrow().clone();
        assert_eq!(first.lookup(FAR), Unresolved(FAR));
        assert!(watch.watcher.resolve(FAR));
        watch.wait_for("NDP's answer", FAR, Ready(FAR_MAC)).await;
    });
}

#[test]
fn a_link_local_gateway_is_resolved() {
    let pair = pair();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        assert_eq!(watch.snapshots.borrow().lookup(BEYOND), Unreachable);
        pair.near(&format!(
            "-6 route add default via {FAR_LINK_LOCAL} dev {NIC}"
        ));
        let unresolved = Unresolved(FAR_LINK_LOCAL);
        watch.wait_for("the new route", BEYOND, unresolved).await;
        watch.watcher.resolve(FAR_LINK_LOCAL);
        let ready = Ready(FAR_MAC);
        watch.wait_for("the gateway's MAC", BEYOND, ready).await;
        pair.near("-6 route del default");
        watch.wait_for("the end", BEYOND, Unreachable).await;
    });
}

#[test]
fn a_removed_neighbour_and_a_new_mac_are_published() {
    let pair = pair();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        watch.watcher.resolve(FAR);
        watch.wait_for("NDP's answer", FAR, Ready(FAR_MAC)).await;
        pair.near(&format!("neigh del {FAR} dev {NIC}"));
        watch.wait_for("the deletion", FAR, Unresolved(FAR)).await;
        pair.near(&format!(
            "neigh replace {FAR} lladdr 02:00:00:00:09:09 dev {NIC}"
        ));
        watch.wait_for("the new MAC", FAR, Ready(NEW_MAC)).await;
    });
}

/// The entries have a wrong MAC address, and the kernel has no packets that would start a probe.
#[test]
fn a_stale_gateway_is_probed_without_a_request_and_other_neighbours_are_not() {
    let pair = pair();
    for (parameter, value) in [
        ("base_reachable_time_ms", "200"),
        ("delay_first_probe_time", "0"),
        ("retrans_time_ms", "50"),
    ] {
        pair.ndp(parameter, value);
    }
    pair.near(&format!(
        "-6 route add fd00:2::/64 via {FAR_LINK_LOCAL} dev {NIC}"
    ));
    for address in [FAR_LINK_LOCAL, ABSENT] {
        pair.near(&format!(
            "neigh add {address} lladdr 02:00:00:00:09:09 dev {NIC} nud stale"
        ));
    }
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        let first = watch.snapshots.borrow().clone();
        assert_eq!(first.lookup(BEYOND), Ready(NEW_MAC));
        assert_eq!(first.lookup(ABSENT), Ready(NEW_MAC));
        let wrong = watch
            .wait_within(
                30 * SECOND,
                "the failed probe",
                BEYOND,
                Unresolved(FAR_LINK_LOCAL),
            )
            .await;
        assert_eq!(wrong.lookup(ABSENT), Ready(NEW_MAC));
        assert!(state_of(&pair, ABSENT).contains("STALE"));
    });
}

#[test]
fn routes_have_the_kernels_precedence() {
    let pair = pair();
    pair.near("link add other type bridge");
    pair.near("addr add fd00:9::1/64 dev other");
    pair.near("link set other up");
    for route in [
        &format!("default via {FAR_LINK_LOCAL} dev {NIC}"),
        "blackhole fd00:2::/64",
        "unreachable fd00:2:0:1::/64",
        "prohibit fd00:2:0:2::/64",
        "fd00:3::/64 via fd00:1::3 metric 200",
        "fd00:3::/64 via fd00:1::4 metric 100",
        "fd00:4::/64 nexthop via fd00:9::2 nexthop via fd00:1::5 nexthop via fd00:1::6",
        "fd00:5::/64 via fd00:9::2",
        "fd00:1::7 via fd00:1::8",
        "fd00:6::/64 via fd00:1::3 table 100",
        "fd00:7::/64 via fd00:1::3 table default",
        "fd00:8::/64 from fd00:1::/64 via fd00:1::3",
    ] {
        pair.near(&format!("-6 route add {route}"));
    }
    pair.run(async || {
        let watch = RunningWatcher::start().await;
        let default = FAR_LINK_LOCAL.to_string();
        let default = Some(default.as_str());
        watch.check_next_hops(&[
            ("2001:db8::1", default),
            ("fd00:2::1", None),
            ("fd00:2:0:1::1", None),
            ("fd00:2:0:2::1", None),
            ("fd00:2:0:3::1", default),
            ("fd00:3::1", Some("fd00:1::4")),
            ("fd00:4::1", Some("fd00:1::5")),
            ("fd00:5::1", None),
            ("fd00:6::1", default),
            ("fd00:7::1", default),
            ("fd00:8::1", default),
            ("fd00:9::2", None),
            ("fd00:1::1", None),
            ("fd00:1::7", Some("fd00:1::8")),
            ("fd00:1::9", Some("fd00:1::9")),
            ("::1", None),
            ("fe80::1", None),
            ("ff02::1", None),
        ]);
    });
}

#[test]
fn the_routes_of_a_nic_that_goes_down_are_removed() {
    let pair = pair();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        pair.near(&format!("link set {NIC} down"));
        watch.wait_for("no subnet", FAR, Unreachable).await;
        // The kernel removes a NIC's IPv6 addresses when it goes down.
        pair.near(&format!("link set {NIC} up"));
        pair.near(&format!("addr add fd00:1::1/64 dev {NIC}"));
        watch.wait_for("the subnet", FAR, Unresolved(FAR)).await;
        pair.near(&format!("-6 addr flush dev {NIC} scope global"));
        watch.wait_for("no subnet", FAR, Unreachable).await;
    });
}
