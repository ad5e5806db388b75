//! The watch over IPv6: a real kernel and real NDP.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::namespaces::{FAR_MAC, NIC, Pair, Watch};
use crate::watcher::{NEW_MAC, SECOND, finds, state_of};
use causeway_routes::Lookup;

const FAR: IpAddr = ip([0xfd00, 1, 0, 0, 0, 0, 0, 2]);
const NOBODY: IpAddr = ip([0xfd00, 1, 0, 0, 0, 0, 0, 0x99]);
const BEYOND: IpAddr = ip([0xfd00, 2, 0, 0, 0, 0, 0, 7]);
/// What the far NIC makes of its MAC address.
const FAR_LINK_LOCAL: IpAddr = ip([0xfe80, 0, 0, 0, 0, 0x00ff, 0xfe00, 0x0102]);

const fn ip([a, b, c, d, e, f, g, h]: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

/// The pair with fd00:1::1/64 in `near` and fd00:1::2/64 in `far`.
fn pair() -> Pair {
    let pair = Pair::new();
    pair.near(&format!("addr add fd00:1::1/64 dev {NIC}"));
    pair.far(&format!("addr add {FAR}/64 dev {NIC}"));
    pair
}

#[test]
fn resolve_leads_to_a_ready_snapshot_by_real_ndp() {
    let pair = pair();
    pair.run(async || {
        let mut watch = Watch::start().await;
        let first = watch.snapshots.borrow().clone();
        assert_eq!(first.lookup(FAR), Lookup::Unresolved(FAR));
        assert!(watch.watcher.resolve(FAR));
        watch
            .until("NDP's answer", SECOND, finds(FAR, Lookup::Ready(FAR_MAC)))
            .await;
    });
}

#[test]
fn a_link_local_gateway_is_resolved_and_followed() {
    let pair = pair();
    pair.run(async || {
        let mut watch = Watch::start().await;
        assert_eq!(watch.snapshots.borrow().lookup(BEYOND), Lookup::Unreachable);
        pair.near(&format!(
            "-6 route add default via {FAR_LINK_LOCAL} dev {NIC}"
        ));
        let unresolved = Lookup::Unresolved(FAR_LINK_LOCAL);
        watch
            .until("the new route", SECOND, finds(BEYOND, unresolved))
            .await;
        watch.watcher.resolve(FAR_LINK_LOCAL);
        let ready = Lookup::Ready(FAR_MAC);
        watch
            .until("the gateway's MAC", SECOND, finds(BEYOND, ready))
            .await;
        pair.near("-6 route del default");
        watch
            .until("the end", SECOND, finds(BEYOND, Lookup::Unreachable))
            .await;
    });
}

#[test]
fn a_neighbour_that_goes_or_changes_its_mac_is_published() {
    let pair = pair();
    pair.run(async || {
        let mut watch = Watch::start().await;
        watch.watcher.resolve(FAR);
        watch
            .until("NDP's answer", SECOND, finds(FAR, Lookup::Ready(FAR_MAC)))
            .await;
        pair.near(&format!("neigh del {FAR} dev {NIC}"));
        watch
            .until("the deletion", SECOND, finds(FAR, Lookup::Unresolved(FAR)))
            .await;
        pair.near(&format!(
            "neigh replace {FAR} lladdr 02:00:00:00:09:09 dev {NIC}"
        ));
        watch
            .until("the new MAC", SECOND, finds(FAR, Lookup::Ready(NEW_MAC)))
            .await;
    });
}

/// The entry is wrong, and nobody but us has a reason to ask.
#[test]
fn a_stale_gateway_is_confirmed_unasked_and_other_neighbours_are_left_alone() {
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
    for address in [FAR_LINK_LOCAL, NOBODY] {
        pair.near(&format!(
            "neigh add {address} lladdr 02:00:00:00:09:09 dev {NIC} nud stale"
        ));
    }
    pair.run(async || {
        let mut watch = Watch::start().await;
        let first = watch.snapshots.borrow().clone();
        assert_eq!(first.lookup(BEYOND), Lookup::Ready(NEW_MAC));
        assert_eq!(first.lookup(NOBODY), Lookup::Ready(NEW_MAC));
        let wrong = watch
            .until(
                "the silence",
                Duration::from_secs(8),
                finds(BEYOND, Lookup::Unresolved(FAR_LINK_LOCAL)),
            )
            .await;
        assert_eq!(wrong.lookup(NOBODY), Lookup::Ready(NEW_MAC));
        assert!(state_of(&pair, NOBODY).contains("STALE"));
    });
}

#[test]
fn routes_count_as_the_kernel_orders_them() {
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
        let watch = Watch::start().await;
        let snapshot = watch.snapshots.borrow().clone();
        let next = |destination: &str| {
            let next = snapshot.next_hop(destination.parse().unwrap());
            next.map(|address| address.to_string())
        };
        let default = FAR_LINK_LOCAL.to_string();
        let default = Some(default.as_str());
        let expectations = [
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
        ];
        for (destination, expected) in expectations {
            assert_eq!(next(destination).as_deref(), expected, "{destination}");
        }
    });
}

#[test]
fn a_nic_that_goes_down_takes_its_routes_along() {
    let pair = pair();
    pair.run(async || {
        let mut watch = Watch::start().await;
        pair.near(&format!("link set {NIC} down"));
        watch
            .until("no subnet", SECOND, finds(FAR, Lookup::Unreachable))
            .await;
        // The kernel forgets a NIC's IPv6 addresses when it goes down.
        pair.near(&format!("link set {NIC} up"));
        pair.near(&format!("addr add fd00:1::1/64 dev {NIC}"));
        watch
            .until("the subnet", SECOND, finds(FAR, Lookup::Unresolved(FAR)))
            .await;
        pair.near(&format!("-6 addr flush dev {NIC} scope global"));
        watch
            .until("no subnet", SECOND, finds(FAR, Lookup::Unreachable))
            .await;
    });
}
