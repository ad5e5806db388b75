//! The watcher with a real kernel, real ARP and a real veth pair.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;

use crate::namespaces::{FAR_MAC, NIC, RunningWatcher, SECOND, VethPair};
use causeway_routes::Lookup::{Ready, Unreachable, Unresolved};
use causeway_routes::{RoutesError, Snapshot, Watcher};

pub const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));
const ABSENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 99));
const BEYOND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 2, 0, 7));
pub const NEW_MAC: [u8; 6] = [2, 0, 0, 0, 9, 9];

pub fn state_of(pair: &VethPair, address: IpAddr) -> String {
    pair.near(&format!("neigh show {address} dev {NIC} nud all"))
}

#[test]
fn resolve_leads_to_a_ready_snapshot_by_real_arp() {
    let pair = VethPair::new();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        let first = watch.snapshots.borrow().clone();
        assert_eq!(first.lookup(FAR), Unresolved(FAR));
        assert!(watch.watcher.resolve(FAR));
        watch.wait_for("ARP's answer", FAR, Ready(FAR_MAC)).await;
    });
}

#[test]
fn a_route_through_a_gateway_resolves_the_gateway() {
    let pair = VethPair::new();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        assert_eq!(watch.snapshots.borrow().lookup(BEYOND), Unreachable);
        pair.near("route add 10.2.0.0/16 via 10.1.0.2");
        watch
            .wait_for("the new route", BEYOND, Unresolved(FAR))
            .await;
        watch.watcher.resolve(FAR);
        watch
            .wait_for("the gateway's MAC", BEYOND, Ready(FAR_MAC))
            .await;
        pair.near("route del 10.2.0.0/16");
        watch.wait_for("the route's end", BEYOND, Unreachable).await;
    });
}

#[test]
fn an_onlink_gateway_outside_every_subnet_is_resolved() {
    let pair = VethPair::new();
    let gateway = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    pair.far(&format!("addr add {gateway}/32 dev {NIC}"));
    pair.near(&format!("route add default via {gateway} dev {NIC} onlink"));
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        let first = watch.snapshots.borrow().clone();
        assert_eq!(first.lookup(BEYOND), Unresolved(gateway));
        watch.watcher.resolve(gateway);
        watch
            .wait_for("the gateway's MAC", BEYOND, Ready(FAR_MAC))
            .await;
    });
}

#[test]
fn a_removed_neighbour_and_a_new_mac_are_published() {
    let pair = VethPair::new();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        watch.watcher.resolve(FAR);
        watch.wait_for("ARP's answer", FAR, Ready(FAR_MAC)).await;
        pair.near(&format!("neigh del {FAR} dev {NIC}"));
        watch.wait_for("the deletion", FAR, Unresolved(FAR)).await;
        watch.watcher.resolve(FAR);
        watch.wait_for("the new answer", FAR, Ready(FAR_MAC)).await;
        pair.near(&format!(
            "neigh replace {FAR} lladdr 02:00:00:00:09:09 dev {NIC}"
        ));
        watch.wait_for("the new MAC", FAR, Ready(NEW_MAC)).await;
    });
}

#[test]
fn a_failed_neighbour_is_unresolved_and_can_be_requested_again() {
    let pair = VethPair::new();
    pair.arp("retrans_time_ms", "50");
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        // The neighbour is known first, so that its failure is a change that must be published.
        pair.near(&format!(
            "neigh add {ABSENT} lladdr 02:00:00:00:09:09 dev {NIC} nud reachable"
        ));
        watch.wait_for("the entry", ABSENT, Ready(NEW_MAC)).await;
        pair.near(&format!("neigh replace {ABSENT} dev {NIC} nud failed"));
        watch
            .wait_for("the failure", ABSENT, Unresolved(ABSENT))
            .await;

        watch.watcher.resolve(ABSENT);
        // All retries have ended, the kernel's last one included.
        tokio::time::sleep(2 * SECOND).await;
        let state = state_of(&pair, ABSENT);
        assert!(state.contains("FAILED"), "{state}");
        let latest = watch.snapshots.borrow().clone();
        assert_eq!(latest.lookup(ABSENT), Unresolved(ABSENT));

        pair.far(&format!("addr add {ABSENT}/24 dev {NIC}"));
        watch.watcher.resolve(ABSENT);
        watch.wait_for("the retry", ABSENT, Ready(FAR_MAC)).await;
    });
}

/// Makes entries stale within seconds instead of minutes.
fn shorten_neighbour_timeouts(pair: &VethPair) {
    for (parameter, value) in [
        ("base_reachable_time_ms", "200"),
        ("delay_first_probe_time", "0"),
        ("retrans_time_ms", "50"),
    ] {
        pair.arp(parameter, value);
    }
}

/// The far NIC changes its MAC address without an announcement. Only a probe reveals it.
#[test]
fn a_stale_requested_neighbour_is_probed() {
    let pair = VethPair::new();
    shorten_neighbour_timeouts(&pair);
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        watch.watcher.resolve(FAR);
        watch.wait_for("ARP's answer", FAR, Ready(FAR_MAC)).await;
        // A stale entry is not probed by the kernel itself.
        let stale = async {
            while !state_of(&pair, FAR).contains("STALE") {
                tokio::time::sleep(SECOND / 20).await;
            }
        };
        let waited = tokio::time::timeout(30 * SECOND, stale).await;
        waited.expect("the entry never went stale");
        pair.far(&format!("link set {NIC} address 02:00:00:00:09:09"));
        watch
            .wait_within(30 * SECOND, "the failed probe", FAR, Unresolved(FAR))
            .await;
        watch.watcher.resolve(FAR);
        watch.wait_for("the new MAC", FAR, Ready(NEW_MAC)).await;
    });
}

#[test]
fn a_stale_gateway_is_probed_without_a_request_and_other_neighbours_are_not() {
    let pair = VethPair::new();
    shorten_neighbour_timeouts(&pair);
    pair.near("route add 10.2.0.0/16 via 10.1.0.2");
    for address in [FAR, ABSENT] {
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
            .wait_within(30 * SECOND, "the failed probe", BEYOND, Unresolved(FAR))
            .await;
        assert_eq!(wrong.lookup(ABSENT), Ready(NEW_MAC));
    });
}

#[test]
fn routes_have_the_kernels_precedence() {
    let pair = VethPair::new();
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
        let watch = RunningWatcher::start().await;
        watch.check_next_hops(&[
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
        ]);
    });
}

#[test]
fn the_routes_of_a_nic_that_goes_down_are_removed() {
    let pair = VethPair::new();
    pair.near("route add 10.2.0.0/16 via 10.1.0.2");
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        pair.near(&format!("link set {NIC} down"));
        watch.wait_for("no route", BEYOND, Unreachable).await;
        pair.near(&format!("link set {NIC} up"));
        watch.wait_for("the subnet", FAR, Unresolved(FAR)).await;
        pair.near(&format!("addr flush dev {NIC}"));
        watch.wait_for("no subnet", FAR, Unreachable).await;
    });
}

#[test]
fn the_removal_of_the_nic_ends_the_watcher() {
    let pair = VethPair::new();
    pair.run(async || {
        let watch = RunningWatcher::start().await;
        pair.near(&format!("link del {NIC}"));
        let ended = tokio::time::timeout(30 * SECOND, watch.task).await;
        let error = ended
            .expect("the watcher did not end")
            .unwrap()
            .unwrap_err();
        assert!(
            matches!(error, RoutesError::InterfaceRemoved(index) if index == watch.index),
            "{error}"
        );
        assert_eq!(**watch.snapshots.borrow(), Snapshot::default());
    });
}

#[test]
fn a_nic_that_leaves_a_bridge_is_still_watched() {
    let pair = VethPair::new();
    pair.near("link add bridge type bridge");
    pair.near(&format!("link set {NIC} master bridge"));
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        pair.near(&format!("link set {NIC} nomaster"));
        pair.near("route add 10.2.0.0/16 via 10.1.0.2");
        watch
            .wait_for("the new route", BEYOND, Unresolved(FAR))
            .await;
    });
}

#[test]
fn an_index_without_a_nic_is_refused() {
    let pair = VethPair::new();
    pair.run(async || {
        let refused = Watcher::start(4711, |_| {}).await;
        assert!(matches!(refused, Err(RoutesError::NoSuchIndex(4711))));
    });
}

#[test]
fn the_future_ends_when_the_last_watcher_is_dropped() {
    let pair = VethPair::new();
    pair.run(async || {
        let watch = RunningWatcher::start().await;
        let second = watch.watcher.clone();
        drop(watch.watcher);
        tokio::task::yield_now().await;
        assert!(!watch.task.is_finished());
        drop(second);
        let ended = tokio::time::timeout(30 * SECOND, watch.task).await;
        ended.expect("the watcher did not end").unwrap().unwrap();
    });
}

#[test]
fn a_burst_of_changes_is_published_once() {
    let pair = VethPair::new();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        // The runtime is blocked here, so all notifications arrive together.
        for third in 0..50 {
            pair.near(&format!("route add 10.2.{third}.0/24 via 10.1.0.2"));
        }
        let last = IpAddr::V4(Ipv4Addr::new(10, 2, 49, 1));
        watch.wait_for("the routes", last, Unresolved(FAR)).await;
        // Longer than the refresh interval: a refresh without a change publishes nothing.
        tokio::time::sleep(4 * SECOND).await;
        let published = watch.published.load(Ordering::Relaxed);
        assert_eq!(published, 2, "the first snapshot and the burst");
    });
}

/// Route notifications fill the socket until the kernel drops the notification of the neighbour.
#[test]
fn state_is_read_again_after_an_overrun() {
    let pair = VethPair::new();
    let routes: String = (0..4000u32)
        .map(|n| format!("route add 10.2.{}.{}/32 via {FAR}\n", n / 250, n % 250))
        .collect();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        pair.near_batch(&routes);
        pair.near(&format!(
            "neigh add {ABSENT} lladdr 02:00:00:00:09:09 dev {NIC}"
        ));
        watch
            .wait_for("the lost neighbour", ABSENT, Ready(NEW_MAC))
            .await;
        let last = IpAddr::V4(Ipv4Addr::new(10, 2, 15, 249));
        let latest = watch.snapshots.borrow().clone();
        assert_eq!(latest.next_hop(last), Some(FAR));
    });
}
