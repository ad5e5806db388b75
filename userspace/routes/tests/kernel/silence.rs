//! Requests that nobody answers, and one that must not be sent at all.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_routes::Lookup;
use tokio::net::UdpSocket;

use crate::namespaces::{FAR_MAC, NIC, Pair, Watch};
use crate::watcher::{FAR, NEW_MAC, SECOND, finds, state_of};

/// Both families' addresses of somebody who is late.
const LATE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 1, 0, 99)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x99)),
];

/// The pair with both families, whose near kernel repeats no request in the time of a test.
fn pair() -> Pair {
    let pair = Pair::new();
    pair.near(&format!("addr add fd00:1::1/64 dev {NIC}"));
    pair.arp("retrans_time_ms", "600000");
    pair.ndp("retrans_time_ms", "600000");
    pair
}

/// Lets the request that is under way meet nobody, as if it had been lost, and then somebody be there.
async fn miss(pair: &Pair, late: IpAddr) {
    while !state_of(pair, late).contains("INCOMPLETE") {
        tokio::task::yield_now().await;
    }
    let length = if late.is_ipv4() { 24 } else { 64 };
    pair.far(&format!("addr add {late}/{length} dev {NIC}"));
}

/// Waits for the answer, asking as a worker does while packets wait.
async fn answer(watch: &mut Watch, late: IpAddr) {
    let watcher = watch.watcher.clone();
    let asking = tokio::spawn(async move {
        while watcher.resolve(late) {
            tokio::time::sleep(SECOND / 4).await;
        }
    });
    // A machine so slow that all repetitions come too early has those after the rest.
    let ready = finds(late, Lookup::Ready(FAR_MAC));
    watch.until("the answer", 30 * SECOND, ready).await;
    asking.abort();
}

#[test]
fn a_lost_request_is_repeated_long_before_the_kernel_would() {
    let pair = pair();
    pair.run(async || {
        let mut watch = Watch::start().await;
        for late in LATE {
            watch.watcher.resolve(late);
            miss(&pair, late).await;
            answer(&mut watch, late).await;
        }
    });
}

/// What the host itself has to send to the same neighbour is not lost by our asking again.
#[test]
fn the_kernels_own_packets_go_on_waiting() {
    let pair = pair();
    pair.run(async || {
        let mut watch = Watch::start().await;
        for late in LATE {
            let any: IpAddr = match late {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let host = UdpSocket::bind((any, 0)).await.unwrap();
            host.connect((late, 9)).await.unwrap();
            host.send(b"early").await.unwrap();
            miss(&pair, late).await;
            answer(&mut watch, late).await;
            // Nobody listens there, and says so to whom a packet has reached it from.
            let refused = tokio::time::timeout(30 * SECOND, host.recv(&mut [0; 8])).await;
            let refused = refused.expect("the packet is gone").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
    });
}

/// Nothing but the kernel's word on each question lets the next one leave: those before ask for what
/// is known, so nothing comes of them.
#[test]
fn a_question_does_not_wait_behind_others() {
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
        let mut watch = Watch::start().await;
        for host in 100..200 {
            assert!(watch.watcher.resolve(known(host)));
        }
        watch.watcher.resolve(FAR);
        watch
            .until(
                "ARP's answer",
                10 * SECOND,
                finds(FAR, Lookup::Ready(FAR_MAC)),
            )
            .await;
    });
}

#[test]
fn a_permanent_entry_is_left_as_it_is() {
    let pair = pair();
    let permanent = |late, lladdr| {
        pair.near(&format!(
            "neigh replace {late} lladdr {lladdr} dev {NIC} nud permanent"
        ));
    };
    pair.run(async || {
        for late in LATE {
            permanent(late, "02:00:00:00:01:02");
        }
        let mut watch = Watch::start().await;
        let left_alone = async |watch: &mut Watch| {
            for late in LATE {
                watch.watcher.resolve(late);
            }
            // Asked for behind them, so they have had their turn when it is there.
            pair.near(&format!("neigh flush {FAR} dev {NIC}"));
            watch
                .until("the deletion", SECOND, finds(FAR, Lookup::Unresolved(FAR)))
                .await;
            watch.watcher.resolve(FAR);
            watch
                .until("ARP's answer", SECOND, finds(FAR, Lookup::Ready(FAR_MAC)))
                .await;
            for late in LATE {
                let state = state_of(&pair, late);
                assert!(state.contains("PERMANENT"), "{state}");
            }
        };
        left_alone(&mut watch).await;
        // One that has become so since, with another address.
        for late in LATE {
            permanent(late, "02:00:00:00:09:09");
            watch
                .until("the new MAC", SECOND, finds(late, Lookup::Ready(NEW_MAC)))
                .await;
        }
        left_alone(&mut watch).await;
    });
}
