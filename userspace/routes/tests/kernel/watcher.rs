//! The watch against a real kernel, real ARP and a real veth pair.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::namespaces::{FAR_MAC, NIC, Pair, Watch};
use causeway_routes::{Lookup, RoutesError, Snapshot, Watcher};

pub const SECOND: Duration = Duration::from_secs(1);
pub const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 99));
const BEYOND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 2, 0, 7));
pub const NEW_MAC: [u8; 6] = [2, 0, 0, 0, 9, 9];

pub fn finds(destination: IpAddr, expected: Lookup) -> impl Fn(&Snapshot) -> bool {
    move |snapshot| snapshot.lookup(destination) == expected
}

pub fn state_of(pair: &Pair, address: IpAddr) -> String {
    pair.near(&format!("neigh show {address} dev {NIC} nud all"))
}

#[test]
fn resolve_leads_to_a_ready_snapshot_by_real_arp() {
    let pair = Pair::new();
    pair.run(async || {
        let mut watch = Watch::start().await;
        let first = watch.snapshots.borrow().clone();
        assert_eq!(first.lookup(FAR), Lookup::Unresolved(FAR));
        assert!(watch.watcher.resolve(FAR));
        watch
            .until("ARP's answer", SECOND, finds(FAR, Lookup::Ready(FAR_MAC)))
            .await;
    });
}

#[test]
fn a_route_through_a_gateway_resolves_the_gateway() {
    let pair = Pair::new();
    pair.run(async || {
        let mut watch = Watch::start().await;
        assert_eq!(watch.snapshots.borrow().lookup(BEYOND), Lookup::Unreachable);
        pair.near("route add 10.2.0.0/16 via 10.1.0.2");
        watch
            .until(
                "the new route",
                SECOND,
                finds(BEYOND, Lookup::Unresolved(FAR)),
            )
            .await;
        watch.watcher.resolve(FAR);
        watch
            .until(
                "the gateway's MAC",
                SECOND,
                finds(BEYOND, Lookup::Ready(FAR_MAC)),
            )
            .await;
        pair.near("route del 10.2.0.0/16");
        watch
            .until(
                "the route's end",
                SECOND,
                finds(BEYOND, Lookup::Unreachable),
            )
            .await;
    });
}

#[test]
fn an_onlink_gateway_outside_every_subnet_is_resolved() {
    let pair = Pair::new();
    let gateway = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    pair.far(&format!("addr add {gateway}/32 dev {NIC}"));
    pair.near(&format!("route add default via {gateway} dev {NIC} onlink"));
    pair.run(async || {
        let mut watch = Watch::start().await;
        let first = watch.snapshots.borrow().clone();
        assert_eq!(first.lookup(BEYOND), Lookup::Unresolved(gateway));
        watch.watcher.resolve(gateway);
        watch
            .until(
                "the gateway's MAC",
                SECOND,
                finds(BEYOND, Lookup::Ready(FAR_MAC)),
            )
            .await;
    });
}

#[test]
fn a_neighbour_that_goes_or_changes_its_mac_is_published() {
    let pair = Pair::new();
    pair.run(async || {
        let mut watch = Watch::start().await;
        watch.watcher.resolve(FAR);
        watch
            .until("ARP's answer", SECOND, finds(FAR, Lookup::Ready(FAR_MAC)))
            .await;
        pair.near(&format!("neigh del {FAR} dev {NIC}"));
        watch
            .until("the deletion", SECOND, finds(FAR, Lookup::Unresolved(FAR)))
            .await;
        watch.watcher.resolve(FAR);
        watch
            .until("the new answer", SECOND, finds(FAR, Lookup::Ready(FAR_MAC)))
            .await;
        pair.near(&format!(
            "neigh replace {FAR} lladdr 02:00:00:00:09:09 dev {NIC}"
        ));
        watch
            .until("the new MAC", SECOND, finds(FAR, Lookup::Ready(NEW_MAC)))
            .await;
    });
}

#[test]
fn a_failed_neighbour_is_unresolved_and_asked_for_anew() {
    let pair = Pair::new();
    pair.arp("retrans_time_ms", "50");
    pair.run(async || {
        let mut watch = Watch::start().await;
        // It was known once, so that its failure is a change that must be published.
        pair.near(&format!(
            "neigh add {NOBODY} lladdr 02:00:00:00:09:09 dev {NIC} nud reachable"
        ));
        watch
            .until("the entry", SECOND, finds(NOBODY, Lookup::Ready(NEW_MAC)))
            .await;
        pair.near(&format!("neigh replace {NOBODY} dev {NIC} nud failed"));
        watch
            .until(
                "the failure",
                SECOND,
                finds(NOBODY, Lookup::Unresolved(NOBODY)),
            )
            .await;

        watch.watcher.resolve(NOBODY);
        // All repetitions are over, and the kernel's last one as well.
        tokio::time::sleep(2 * SECOND).await;
        let state = state_of(&pair, NOBODY);
        assert!(state.contains("FAILED"), "{state}");
        let latest = watch.snapshots.borrow().clone();
        assert_eq!(latest.lookup(NOBODY), Lookup::Unresolved(NOBODY));

        pair.far(&format!("addr add {NOBODY}/24 dev {NIC}"));
        watch.watcher.resolve(NOBODY);
        watch
            .until("the retry", SECOND, finds(NOBODY, Lookup::Ready(FAR_MAC)))
            .await;
    });
}

/// Makes the kernel confirm neighbours within seconds rather than minutes.
fn hasten(pair: &Pair) {
    for (parameter, value) in [
        ("base_reachable_time_ms", "200"),
        ("delay_first_probe_time", "0"),
        ("retrans_time_ms", "50"),
    ] {
        pair.arp(parameter, value);
    }
}

/// The far NIC changes its MAC address without a word; only asking again reveals it.
#[test]
fn a_stale_neighbour_that_was_asked_for_is_confirmed() {
    let pair = Pair::new();
    hasten(&pair);
    pair.run(async || {
        let mut watch = Watch::start().await;
        watch.watcher.resolve(FAR);
        watch
            .until("ARP's answer", SECOND, finds(FAR, Lookup::Ready(FAR_MAC)))
            .await;
        // From here on the kernel does nothing of its own accord.
        let stale = async {
            while !state_of(&pair, FAR).contains("STALE") {
                tokio::time::sleep(SECOND / 20).await;
            }
        };
        let waited = tokio::time::timeout(8 * SECOND, stale).await;
        waited.expect("the entry never went stale");
        pair.far(&format!("link set {NIC} address 02:00:00:00:09:09"));
        watch
            .until(
                "the silence",
                8 * SECOND,
                finds(FAR, Lookup::Unresolved(FAR)),
            )
            .await;
        watch.watcher.resolve(FAR);
        watch
            .until("the new MAC", SECOND, finds(FAR, Lookup::Ready(NEW_MAC)))
            .await;
    });
}

#[test]
fn a_stale_gateway_is_confirmed_unasked_and_other_neighbours_are_left_alone() {
    let pair = Pair::new();
    hasten(&pair);
    pair.near("route add 10.2.0.0/16 via 10.1.0.2");
    for address in [FAR, NOBODY] {
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
                8 * SECOND,
                finds(BEYOND, Lookup::Unresolved(FAR)),
            )
            .await;
        assert_eq!(wrong.lookup(NOBODY), Lookup::Ready(NEW_MAC));
    });
}

#[test]
fn routes_count_as_the_kernel_orders_them() {
    let pair = Pair::new();
    pair.near("link add other type bridge");
    pair.near("addr add 10.9.0.1/24 dev other");
    pair.near("link set other up");
    for route in [
        "default via 10.1.0.2",
        "blackhole 10.2.0.0/24",
        "unreachable 10.2.1.0/24",
        "prohibit 10.2.2.0/24",
        "10.3.0.0/16 via 10.1.0.3 metric 200",
        "10.3.0.0/16 via 10.1.0.4 metric 100",
        "10.4.0.0/16 nexthop via 10.9.0.2 nexthop via 10.1.0.5 nexthop via 10.1.0.6",
        "10.5.0.0/16 via 10.9.0.2",
        "10.1.0.7 via 10.1.0.8",
        "10.6.0.0/16 via 10.1.0.3 table 100",
    ] {
        pair.near(&format!("route add {route}"));
    }
    pair.run(async || {
        let watch = Watch::start().await;
        let snapshot = watch.snapshots.borrow().clone();
        let next = |destination: &str| {
            let next = snapshot.next_hop(destination.parse().unwrap());
            next.map(|address| address.to_string())
        };
        let expectations = [
            ("198.51.100.1", Some("10.1.0.2")),
            ("10.2.0.1", None),
            ("10.2.1.1", None),
            ("10.2.2.1", None),
            ("10.2.3.1", Some("10.1.0.2")),
            ("10.3.0.1", Some("10.1.0.4")),
            ("10.4.0.1", Some("10.1.0.5")),
            ("10.5.0.1", None),
            ("10.6.0.1", Some("10.1.0.2")),
            ("10.9.0.2", None),
            ("10.1.0.1", None),
            ("10.1.0.255", None),
            ("10.1.0.7", Some("10.1.0.8")),
            ("10.1.0.9", Some("10.1.0.9")),
            ("127.0.0.1", None),
            ("224.0.0.1", None),
            ("255.255.255.255", None),
        ];
        for (destination, expected) in expectations {
            assert_eq!(next(destination).as_deref(), expected, "{destination}");
        }
    });
}

#[test]
fn a_nic_that_goes_down_takes_its_routes_along() {
    let pair = Pair::new();
    pair.near("route add 10.2.0.0/16 via 10.1.0.2");
    pair.run(async || {
        let mut watch = Watch::start().await;
        pair.near(&format!("link set {NIC} down"));
        watch
            .until("no route", SECOND, finds(BEYOND, Lookup::Unreachable))
            .await;
        pair.near(&format!("link set {NIC} up"));
        watch
            .until("the subnet", SECOND, finds(FAR, Lookup::Unresolved(FAR)))
            .await;
        pair.near(&format!("addr flush dev {NIC}"));
        watch
            .until("no subnet", SECOND, finds(FAR, Lookup::Unreachable))
            .await;
    });
}

#[test]
fn a_nic_that_is_removed_ends_the_watch() {
    let pair = Pair::new();
    pair.run(async || {
        let watch = Watch::start().await;
        pair.near(&format!("link del {NIC}"));
        let ended = tokio::time::timeout(SECOND, watch.task).await;
        let error = ended.expect("the watch goes on").unwrap().unwrap_err();
        assert!(
            matches!(error, RoutesError::InterfaceRemoved(index) if index == watch.index),
            "{error}"
        );
        assert_eq!(**watch.snapshots.borrow(), Snapshot::default());
    });
}

#[test]
fn a_nic_that_leaves_a_bridge_is_still_watched() {
    let pair = Pair::new();
    pair.near("link add bridge type bridge");
    pair.near(&format!("link set {NIC} master bridge"));
    pair.run(async || {
        let mut watch = Watch::start().await;
        pair.near(&format!("link set {NIC} nomaster"));
        pair.near("route add 10.2.0.0/16 via 10.1.0.2");
        watch
            .until(
                "the new route",
                SECOND,
                finds(BEYOND, Lookup::Unresolved(FAR)),
            )
            .await;
    });
}

#[test]
fn an_index_without_a_nic_is_refused() {
    let pair = Pair::new();
    pair.run(async || {
        let refused = Watcher::start(4711, |_| {}).await;
        assert!(matches!(refused, Err(RoutesError::NoSuchIndex(4711))));
    });
}

#[test]
fn the_watch_ends_with_its_last_watcher() {
    let pair = Pair::new();
    pair.run(async || {
        let watch = Watch::start().await;
        let second = watch.watcher.clone();
        drop(watch.watcher);
        tokio::task::yield_now().await;
        assert!(!watch.task.is_finished());
        drop(second);
        let ended = tokio::time::timeout(SECOND, watch.task).await;
        ended.expect("the watch goes on").unwrap().unwrap();
    });
}

#[test]
fn a_burst_is_published_once_and_no_change_not_at_all() {
    let pair = Pair::new();
    pair.run(async || {
        let mut watch = Watch::start().await;
        // The runtime is blocked meanwhile, so all notifications are there at once.
        for third in 0..50 {
            pair.near(&format!("route add 10.2.{third}.0/24 via 10.1.0.2"));
        }
        let last = IpAddr::V4(Ipv4Addr::new(10, 2, 49, 1));
        watch
            .until("the routes", SECOND, finds(last, Lookup::Unresolved(FAR)))
            .await;
        // Longer than the refresh, which lists neighbours again.
        tokio::time::sleep(4 * SECOND).await;
        let published = watch.published.load(Ordering::Relaxed);
        assert_eq!(published, 2, "the first snapshot and the burst");
    });
}

/// Route notifications fill the socket until the kernel throws away the neighbour's.
#[test]
fn what_an_overrun_lost_is_listed_again() {
    let pair = Pair::new();
    let routes: String = (0..4000u32)
        .map(|n| format!("route add 10.2.{}.{}/32 via {FAR}\n", n / 250, n % 250))
        .collect();
    pair.run(async || {
        let mut watch = Watch::start().await;
        pair.near_batch(&routes);
        pair.near(&format!(
            "neigh add {NOBODY} lladdr 02:00:00:00:09:09 dev {NIC}"
        ));
        watch
            .until(
                "what was lost",
                SECOND,
                finds(NOBODY, Lookup::Ready(NEW_MAC)),
            )
            .await;
        let last = IpAddr::V4(Ipv4Addr::new(10, 2, 15, 249));
        let latest = watch.snapshots.borrow().clone();
        assert_eq!(latest.next_hop(last), Some(FAR));
    });
}
