//! Retries of unanswered requests, and permanent entries, which must not be probed.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_routes::Lookup::{Ready, Unresolved};
use tokio::net::UdpSocket;

use crate::namespaces::{FAR_MAC, NIC, RunningWatcher, SECOND, VethPair};
use crate::watcher::{FAR, NEW_MAC, state_of};

/// Addresses of both families that are added to the far NIC only after the first request.
const NEIGHBOURS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 1, 0, 99)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x99)),
];

/// The pair with both families. The near kernel itself sends no retry during a test.
fn pair() -> VethPair {
    let pair = VethPair::new();
    pair.near(&format!("addr add fd00:1::1/64 dev {NIC}"));
    pair.arp("retrans_time_ms", "600000");
    pair.ndp("retrans_time_ms", "600000");
    pair
}

/// Loses the first request: adds the address to the far NIC only after the request was sent.
async fn lose_request(pair: &VethPair, neighbour: IpAddr) {
    while !state_of(pair, neighbour).contains("INCOMPLETE") {
        tokio::task::yield_now().await;
    }
    let length = if neighbour.is_ipv4() { 24 } else { 64 };
    pair.far(&format!("addr add {neighbour}/{length} dev {NIC}"));
}

/// Waits for the answer. Repeats the request, as a worker does while it holds packets.
async fn wait_for_answer(watch: &mut RunningWatcher, neighbour: IpAddr) {
    let watcher = watch.watcher.clone();
    let requests = tokio::spawn(async move {
        while watcher.resolve(neighbour) {
            tokio::time::sleep(SECOND / 4).await;
        }
    });
    // On a host so slow that all retries come too early, those after the cooldown succeed.
    watch
        .wait_within(30 * SECOND, "the answer", neighbour, Ready(FAR_MAC))
        .await;
    requests.abort();
}

#[test]
fn a_lost_request_is_retried_long_before_the_kernel_would() {
    let pair = pair();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        for neighbour in NEIGHBOURS {
            watch.watcher.resolve(neighbour);
            lose_request(&pair, neighbour).await;
            wait_for_answer(&mut watch, neighbour).await;
        }
    });
}

/// A retry does not drop the host's own packets to the same neighbour.
#[test]
fn the_kernels_own_packets_survive_a_retry() {
    let pair = pair();
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        for neighbour in NEIGHBOURS {
            let any: IpAddr = match neighbour {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let host = UdpSocket::bind((any, 0)).await.unwrap();
            host.connect((neighbour, 9)).await.unwrap();
            host.send(b"early").await.unwrap();
            lose_request(&pair, neighbour).await;
            wait_for_answer(&mut watch, neighbour).await;
            // No socket listens there, so the far kernel answers a delivered packet with an ICMP error.
            let refused = tokio::time::timeout(30 * SECOND, host.recv(&mut [0; 8])).await;
            let refused = refused.expect("the packet was lost").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
    });
}

/// Only the acknowledgement of a request lets the next one be sent: the earlier requests are for known
/// neighbours, so no notification follows them.
#[test]
fn a_request_does_not_wait_behind_earlier_requests() {
    let pair = pair();
    let known = |host: u8| IpAddr::from([10, 1, 0, host]);
    let lines: String = (100..200)
        .map(|host| {
            let address = known(host);
            format!("neigh add {address} lladdr 02:00:00:00:09:09 dev {NIC} nud reachable\n")
        })
        .collect();
    pair.near_batch(&lines);
    pair.run(async || {
        let mut watch = RunningWatcher::start().await;
        for host in 100..200 {
            assert!(watch.watcher.resolve(known(host)));
        }
        watch.watcher.resolve(FAR);
        watch
            .wait_within(10 * SECOND, "ARP's answer", FAR, Ready(FAR_MAC))
            .await;
    });
}

#[test]
fn a_permanent_entry_is_not_probed() {
    let pair = pair();
    let permanent = |neighbour, lladdr| {
        pair.near(&format!(
            "neigh replace {neighbour} lladdr {lladdr} dev {NIC} nud permanent"
        ));
    };
    pair.run(async || {
        for neighbour in NEIGHBOURS {
            permanent(neighbour, "02:00:00:00:01:02");
        }
        let mut watch = RunningWatcher::start().await;
        let stay_permanent = async |watch: &mut RunningWatcher| {
            for neighbour in NEIGHBOURS {
                watch.watcher.resolve(neighbour);
            }
            // Requested after the permanent neighbours, so its answer shows that they were processed.
            pair.near(&format!("neigh flush {FAR} dev {NIC}"));
            watch.wait_for("the deletion", FAR, Unresolved(FAR)).await;
            watch.watcher.resolve(FAR);
            watch.wait_for("ARP's answer", FAR, Ready(FAR_MAC)).await;
            for neighbour in NEIGHBOURS {
                let state = state_of(&pair, neighbour);
                assert!(state.contains("PERMANENT"), "{state}");
            }
        };
        stay_permanent(&mut watch).await;
        // The entry changes to another permanent MAC address.
        for neighbour in NEIGHBOURS {
            permanent(neighbour, "02:00:00:00:09:09");
            watch
                .wait_for("the new MAC", neighbour, Ready(NEW_MAC))
                .await;
        }
        stay_permanent(&mut watch).await;
    });
}
