//! Status documents of a gateway and a demux.

use causeway_api::status::*;

/// A gateway's counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub since: u64,
    pub packets: u64,
    pub bytes: u64,
    pub drops: u64,
    pub asleep_ns: u64,
    pub bursts: u64,
    pub timed: u64,
}

pub fn gateway(name: &str, counters: Counters) -> Status {
    let Counters {
        since,
        packets,
        bytes,
        drops,
        ..
    } = counters;
    Status {
        role: Role::Gateway,
        cluster: None,
        since,
        nic: Nic {
            name: "eth0".to_owned(),
            xdp_mode: XdpMode::Driver,
            mtu: 1500,
            tx_dropped: 0,
        },
        transient_errors: 0,
        ready: true,
        not_ready: Vec::new(),
        drained: false,
        steering: Steering {
            received: packets,
            to_worker: packets - drops,
            to_gateway: 0,
            drops: reasons([("no-worker", drops)]),
            punts: reasons([("arp", 3)]),
            gateways: Vec::new(),
        },
        tables: Vec::new(),
        workers: vec![worker(name, counters, bytes)],
    }
}

fn worker(name: &str, counters: Counters, bytes: u64) -> Worker {
    let Counters {
        packets,
        drops,
        asleep_ns,
        bursts,
        timed,
        ..
    } = counters;
    let volume = |bytes| Volume { packets, bytes };
    let ring = |entries| Ring {
        entries,
        room: 1000,
    };
    Worker {
        gateway: name.to_owned(),
        worker: 0,
        core: Some(1),
        copy_mode: CopyMode::Copy,
        received: packets,
        sent: packets - drops,
        originated: 0,
        waiting: 0,
        holds: Holds::default(),
        control_packets: 0,
        control_sealed: 0,
        worker_stalls: 0,
        sealed: volume(bytes),
        opened: volume(0),
        drops: reasons([("replayed", drops)]),
        kernel_drops: reasons([]),
        tunnels: Vec::new(),
        sequence_numbers_remaining: 1 << 32,
        sas: Vec::new(),
        sa_changes: SaChanges::default(),
        latency_ns: Latency {
            count: packets,
            p50: 21_000,
            p99: 84_000,
            p999: 310_000,
            max: 2_400_000,
        },
        frames: Frames::default(),
        rounds: Rounds {
            all: bursts,
            empty: 0,
            sleeps: 0,
            asleep_ns,
        },
        bursts: vec![
            Burst {
                most: Some(64),
                count: bursts,
            },
            Burst {
                most: None,
                count: 0,
            },
        ],
        stages: [("receive", 5), ("seal", 70)]
            .map(|(stage, ns)| Stage {
                stage: stage.to_owned(),
                packets: timed,
                ns: ns * timed,
            })
            .into(),
        rings: Rings {
            samples: timed,
            receive: ring(250 * timed),
            fill: ring(500 * timed),
            transmit: ring(0),
        },
    }
}

pub fn demux(received: u64) -> Status {
    let pair = |gateway: &str, state, buckets| Pair {
        gateway: gateway.to_owned(),
        pair: 0,
        weight: 1,
        buckets,
        state,
        round_trip_ns: Some(312_000),
    };
    let carries = |name: &str| Gateway {
        name: name.to_owned(),
        packets: received / 2,
        bytes: received * 500,
    };
    Status {
        role: Role::Demux,
        workers: Vec::new(),
        steering: Steering {
            received,
            to_gateway: received,
            gateways: vec![carries("gateway-1"), carries("gateway-2")],
            ..Steering::default()
        },
        tables: vec![Table {
            peering: "vpc-2".to_owned(),
            epoch: 4,
            digest: "00000000075bcd15".to_owned(),
            changing_to: None,
            at_start: None,
            peer: PeerTable::Same,
            pairs: vec![
                pair("gateway-1", PairState::Up, 3072),
                pair("gateway-2", PairState::Dead, 1024),
            ],
            changes: Changes::default(),
            moved: MovedBuckets::default(),
            held: HeldPackets::default(),
            differed: 0,
        }],
        ..gateway("none", Counters::default())
    }
}
