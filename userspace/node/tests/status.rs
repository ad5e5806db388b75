//! The status document as JSON, as metrics and over HTTP, and the lists in `docs/metrics.md`.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use causeway_api::status::*;
use causeway_node::metrics::{families, text};
use causeway_node::{Transient, http, metrics};
use causeway_rescale::message::TableId;
use causeway_steering::{DropReason, PuntReason};
use tokio::net::{TcpListener, TcpSocket};

/// A status in which each number occurs once.
fn sample() -> Status {
    let reasons = |pairs: &[(&str, u64)]| reasons(pairs.iter().copied());
    Status {
        role: Role::Gateway,
        cluster: None,
        since: 1567,
        nic: Nic {
            name: "eth0".to_owned(),
            xdp_mode: XdpMode::Driver,
            mtu: 1501,
            tx_dropped: 1502,
        },
        transient_errors: 1571,
        ready: true,
        not_ready: vec![NotReady {
            reason: NotReadyReason::LinkDown,
            detail: "eth0 is down".to_owned(),
        }],
        drained: false,
        steering: Steering {
            received: 1503,
            to_worker: 1504,
            to_gateway: 1505,
            drops: reasons(&[("no-worker", 1506), ("too-big", 0)]),
            punts: reasons(&[("arp", 1507)]),
            gateways: vec![Gateway {
                name: "gateway-1".to_owned(),
                packets: 1508,
                bytes: 1509,
            }],
        },
        tables: vec![Table {
            peering: "vpc-2".to_owned(),
            epoch: 1536,
            digest: "00000000075bcd15".to_owned(),
            changing_to: Some(1537),
            at_start: Some(RecoveredChange::Resumed),
            peer: PeerTable::Behind,
            pairs: vec![Pair {
                gateway: "gateway-1".to_owned(),
                pair: 0,
                weight: 64,
                buckets: 1538,
                state: PairState::Fenced,
                round_trip_ns: Some(1539),
            }],
            changes: Changes {
                done: 1540,
                refused: 1541,
                given_up: 1542,
            },
            moved: MovedBuckets {
                idle: 1543,
                barrier: 1544,
            },
            held: HeldPackets {
                packets: 1545,
                dropped: 1546,
                expired: 1547,
            },
            differed: 1548,
        }],
        workers: vec![Worker {
            gateway: "gateway-1".to_owned(),
            worker: 3,
            core: Some(1),
            copy_mode: CopyMode::ZeroCopy,
            received: 1510,
            sent: 1511,
            originated: 1512,
            waiting: 1513,
            holds: Holds {
                now: 1549,
                waiting: 1550,
                packets: 1551,
                expired: 1552,
            },
            control_packets: 1553,
            control_sealed: 1570,
            worker_stalls: 1554,
            sealed: Volume {
                packets: 1514,
                bytes: 1515,
            },
            opened: Volume {
                packets: 1516,
                bytes: 1517,
            },
            drops: reasons(&[("replayed", 1518)]),
            kernel_drops: reasons(&[("rx-ring-full", 1519)]),
            tunnels: vec![Tunnel {
                peering: "vpc-2".to_owned(),
                path_mtu: 1535,
            }],
            sequence_numbers_remaining: 1527,
            sas: vec![
                sa(Direction::Outbound, "active", 1533),
                sa(Direction::Inbound, "retiring", 1532),
            ],
            sa_changes: SaChanges {
                installed: 1528,
                switched: 1529,
                retired: 1530,
                due: 1531,
                expired: 1534,
            },
            latency_ns: Latency {
                count: 1520,
                p50: 1521,
                p99: 1522,
                p999: 1523,
                max: 1524,
            },
            frames: Frames {
                total: 1525,
                home: 1526,
            },
            rounds: Rounds {
                all: 1555,
                empty: 1556,
                sleeps: 1557,
                asleep_ns: 1568,
            },
            bursts: [(Some(1), 1558), (Some(64), 2), (None, 3)]
                .map(|(most, count)| Burst { most, count })
                .into(),
            stages: vec![Stage {
                stage: "seal".to_owned(),
                packets: 1559,
                ns: 1569,
            }],
            rings: Rings {
                samples: 1560,
                receive: ring(1561, 1562),
                fill: ring(1563, 1564),
                transmit: ring(1565, 1566),
            },
        }],
    }
}

fn ring(entries: u64, room: u64) -> Ring {
    Ring { entries, room }
}

fn sa(direction: Direction, state: &str, expires: u64) -> Sa {
    Sa {
        spi: 4097,
        direction,
        peering: "vpc-2".to_owned(),
        state: state.to_owned(),
        packets: 5,
        bytes: 6,
        since: 7,
        expires: Some(expires),
        sequence_numbers_remaining: (direction == Direction::Outbound).then_some(1527),
    }
}

/// The samples of a text, by name and labels.
fn samples(text: &str) -> HashMap<&str, &str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .collect()
}

#[test]
fn the_document_has_the_documented_form() {
    let json = serde_json::to_string(&sample()).unwrap();
    assert!(!json.contains('\n'));
    assert_eq!(
        json,
        r#"{"role":"gateway","cluster":null,"since":1567,"nic":{"name":"eth0","xdp_mode":"driver","mtu":1501,"tx_dropped":1502},"transient_errors":1571,"ready":true,"not_ready":[{"reason":"link-down","detail":"eth0 is down"}],"drained":false,"steering":{"received":1503,"to_worker":1504,"to_gateway":1505,"drops":{"no-worker":1506},"punts":{"arp":1507},"gateways":[{"name":"gateway-1","packets":1508,"bytes":1509}]},"tables":[{"peering":"vpc-2","epoch":1536,"digest":"00000000075bcd15","changing_to":1537,"at_start":"resumed","peer":"behind","pairs":[{"gateway":"gateway-1","pair":0,"weight":64,"buckets":1538,"state":"fenced","round_trip_ns":1539}],"changes":{"done":1540,"refused":1541,"given_up":1542},"moved":{"idle":1543,"barrier":1544},"held":{"packets":1545,"dropped":1546,"expired":1547},"differed":1548}],"workers":[{"gateway":"gateway-1","worker":3,"core":1,"copy_mode":"zero-copy","received":1510,"sent":1511,"originated":1512,"waiting":1513,"holds":{"now":1549,"waiting":1550,"packets":1551,"expired":1552},"control_packets":1553,"control_sealed":1570,"worker_stalls":1554,"sealed":{"packets":1514,"bytes":1515},"opened":{"packets":1516,"bytes":1517},"drops":{"replayed":1518},"kernel_drops":{"rx-ring-full":1519},"tunnels":[{"peering":"vpc-2","path_mtu":1535}],"sequence_numbers_remaining":1527,"sas":[{"spi":4097,"direction":"outbound","peering":"vpc-2","state":"active","packets":5,"bytes":6,"since":7,"expires":1533,"sequence_numbers_remaining":1527},{"spi":4097,"direction":"inbound","peering":"vpc-2","state":"retiring","packets":5,"bytes":6,"since":7,"expires":1532,"sequence_numbers_remaining":null}],"sa_changes":{"installed":1528,"switched":1529,"retired":1530,"due":1531,"expired":1534},"latency_ns":{"count":1520,"p50":1521,"p99":1522,"p999":1523,"max":1524},"frames":{"total":1525,"home":1526},"rounds":{"all":1555,"empty":1556,"sleeps":1557,"asleep_ns":1568},"bursts":[{"most":1,"count":1558},{"most":64,"count":2},{"most":null,"count":3}],"stages":[{"stage":"seal","packets":1559,"ns":1569}],"rings":{"samples":1560,"receive":{"entries":1561,"room":1562},"fill":{"entries":1563,"room":1564},"transmit":{"entries":1565,"room":1566}}}]}"#
    );
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), sample());
}

/// A timestamp is valid independently of the time of the read.
/// Standard: timestamps
#[test]
fn times_are_exported_as_timestamps() {
    let text = text(&sample()).unwrap();
    let labels = "{gateway=\"gateway-1\",worker=\"3\",peer=\"vpc-2\"}";
    let name = format!("causeway_worker_sa_expiry_timestamp_seconds{labels}");
    // The earliest among the SAs in use. The other SA is being retired.
    assert_eq!(samples(&text)[name.as_str()], "1533");
    for family in families() {
        let name = family.full_name();
        let words: Vec<&str> = name.split('_').collect();
        let relative = ["age", "since", "uptime", "ago", "until"];
        assert!(!words.iter().any(|word| relative.contains(word)), "{name}");
    }
}

#[test]
fn every_number_of_the_document_is_a_metric() {
    let text = text(&sample()).unwrap();
    let values: Vec<&str> = samples(&text).into_values().collect();
    for number in (1501..=1520)
        .chain(1525..=1531)
        .chain(1533..=1538)
        .chain(1540..=1567)
    {
        assert!(values.contains(&number.to_string().as_str()), "{number}");
    }
    for nanoseconds in (1521..=1524).chain([1539, 1568, 1569]) {
        let seconds = nanoseconds as f64 / 1e9;
        assert!(
            values.contains(&format!("{seconds}").as_str())
                || values.iter().any(|v| v.parse() == Ok(seconds)),
            "{seconds}"
        );
    }
}

/// Standard: labels, no-secrets
#[test]
fn labels_are_a_closed_list() {
    let known = [
        "version",
        "role",
        "nic",
        "xdp_mode",
        "gateway",
        "worker",
        "peer",
        "core",
        "copy_mode",
        "reason",
        "quantile",
        "digest",
        "state",
        "result",
        "method",
        "stage",
        "ring",
    ];
    for family in families() {
        for label in family.labels {
            assert!(known.contains(label), "{label} of {}", family.full_name());
        }
    }
}

/// Standard: labels
#[test]
fn the_name_of_a_cluster_is_a_label_of_every_metric() {
    let named = Status {
        cluster: Some("east".to_owned()),
        ..sample()
    };
    let text = text(&named).unwrap();
    for name in samples(&text).keys() {
        assert!(name.contains("cluster=\"east\""), "{name}");
    }
    let peer = "{cluster=\"east\",gateway=\"gateway-1\",worker=\"3\",peer=\"vpc-2\"}";
    let mtu = format!("causeway_worker_path_mtu_bytes{peer}");
    assert_eq!(samples(&text)[mtu.as_str()], "1535");
}

#[test]
fn tables_are_equal_or_one_change_apart_or_different() {
    let id = |epoch, digest, before| TableId {
        epoch,
        digest,
        before,
    };
    let own = id(4, 40, 30);
    for (peer, expected) in [
        (None, PeerTable::Unknown),
        (Some(own), PeerTable::Same),
        (Some(id(5, 50, 40)), PeerTable::Ahead),
        (Some(id(3, 30, 20)), PeerTable::Behind),
        (Some(id(5, 50, 41)), PeerTable::Differs),
        (Some(id(3, 31, 20)), PeerTable::Differs),
        (Some(id(4, 41, 30)), PeerTable::Differs),
        (Some(id(6, 50, 40)), PeerTable::Differs),
        (Some(id(u64::MAX, 50, 40)), PeerTable::Differs),
    ] {
        assert_eq!(PeerTable::of(peer, own), expected, "{peer:?}");
    }
}

/// Standard: units, labels, no-secrets
#[test]
fn metrics_have_their_names_labels_and_units() {
    let text = text(&sample()).unwrap();
    let samples = samples(&text);
    for (sample, value) in [
        (format!("causeway_info{{version=\"{}\",role=\"gateway\",nic=\"eth0\",xdp_mode=\"driver\"}}", env!("CARGO_PKG_VERSION")), "1"),
        ("causeway_ready".to_owned(), "1"),
        ("causeway_not_ready_reasons{reason=\"link-down\"}".to_owned(), "1"),
        ("causeway_not_ready_reasons{reason=\"no-route\"}".to_owned(), "0"),
        ("causeway_steering_dropped_packets_total{reason=\"no-worker\"}".to_owned(), "1506"),
        ("causeway_gateway_steered_bytes_total{gateway=\"gateway-1\"}".to_owned(), "1509"),
        ("causeway_table_info{peer=\"vpc-2\",digest=\"00000000075bcd15\"}".to_owned(), "1"),
        ("causeway_table_differs{peer=\"vpc-2\"}".to_owned(), "0"),
        ("causeway_pair_state{peer=\"vpc-2\",gateway=\"gateway-1\",state=\"fenced\"}".to_owned(), "1"),
        ("causeway_pair_state{peer=\"vpc-2\",gateway=\"gateway-1\",state=\"up\"}".to_owned(), "0"),
        ("causeway_table_buckets_moved_total{peer=\"vpc-2\",method=\"barrier\"}".to_owned(), "1544"),
        ("causeway_worker_info{gateway=\"gateway-1\",worker=\"3\",core=\"1\",copy_mode=\"zero-copy\"}".to_owned(), "1"),
        ("causeway_worker_sealed_bytes_total{gateway=\"gateway-1\",worker=\"3\"}".to_owned(), "1515"),
        ("causeway_worker_dropped_packets_total{gateway=\"gateway-1\",worker=\"3\",reason=\"replayed\"}".to_owned(), "1518"),
        ("causeway_worker_stage_packets_total{gateway=\"gateway-1\",worker=\"3\",stage=\"seal\"}".to_owned(), "1559"),
        ("causeway_worker_ring_occupancy_entries_total{gateway=\"gateway-1\",worker=\"3\",ring=\"fill\"}".to_owned(), "1563"),
        ("causeway_worker_burst_packets_bucket{le=\"1.0\",gateway=\"gateway-1\",worker=\"3\"}".to_owned(), "1558"),
        ("causeway_worker_burst_packets_bucket{le=\"64.0\",gateway=\"gateway-1\",worker=\"3\"}".to_owned(), "1560"),
        ("causeway_worker_burst_packets_bucket{le=\"+Inf\",gateway=\"gateway-1\",worker=\"3\"}".to_owned(), "1563"),
        ("causeway_worker_burst_packets_count{gateway=\"gateway-1\",worker=\"3\"}".to_owned(), "1563"),
        ("causeway_worker_burst_packets_sum{gateway=\"gateway-1\",worker=\"3\"}".to_owned(), "1510.0"),
    ] {
        assert_eq!(samples.get(sample.as_str()), Some(&value), "{sample}\n{text}");
    }
    assert!(text.contains("# TYPE causeway_worker_latency_seconds gauge\n# UNIT causeway_worker_latency_seconds seconds\n"));
    assert!(text.ends_with("# EOF\n"));
}

/// Standard: drop-counters
#[test]
fn reasons_that_never_occurred_are_exported_at_zero() {
    let text = text(&sample()).unwrap();
    let samples = samples(&text);
    let value = |name: &str, labels: String| {
        let sample = format!("{name}{{{labels}}}");
        *samples
            .get(sample.as_str())
            .unwrap_or_else(|| panic!("{sample}"))
    };
    let worker = "gateway=\"gateway-1\",worker=\"3\"";
    let mut dropped = 0;
    for reason in DropReason::ALL {
        let reason = format!("reason=\"{}\"", reason.name());
        dropped += value("causeway_steering_dropped_packets_total", reason.clone())
            .parse::<u64>()
            .unwrap();
        value(
            "causeway_worker_dropped_packets_total",
            format!("{worker},{reason}"),
        );
    }
    assert_eq!(dropped, 1506);
    for reason in PuntReason::ALL {
        value(
            "causeway_steering_punted_packets_total",
            format!("reason=\"{}\"", reason.name()),
        );
    }
    for (reason, _) in KERNEL_DROPS {
        value(
            "causeway_worker_kernel_dropped_packets_total",
            format!("{worker},reason=\"{reason}\""),
        );
    }
}

#[test]
fn each_family_is_listed_once() {
    let mut names: Vec<_> = families().map(|family| family.full_name()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// The tables between the markers in `docs/metrics.md` match the lists in the code.
#[test]
fn the_documentation_has_the_lists_of_the_code() {
    let document = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/metrics.md"
    ))
    .expect("docs/metrics.md");
    let mut metrics = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for family in families() {
        let labels: Vec<_> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        metrics += &format!(
            "| `{}` | {} | {} | {} |\n",
            family.full_name(),
            family.kind(),
            labels.join(", "),
            family.help
        );
    }
    let reasons = |list: &mut dyn Iterator<Item = (&'static str, &'static str)>| {
        let mut table = "| reason | meaning |\n|---|---|\n".to_owned();
        for (name, help) in list {
            table += &format!("| `{name}` | {help} |\n");
        }
        table
    };
    let drops = reasons(
        &mut DropReason::ALL
            .iter()
            .map(|reason| (reason.name(), reason.help())),
    );
    let punts = reasons(
        &mut PuntReason::ALL
            .iter()
            .map(|reason| (reason.name(), reason.help())),
    );
    let kernel = reasons(&mut KERNEL_DROPS.into_iter());
    let mut stages = "| stage | work |\n|---|---|\n".to_owned();
    for stage in causeway_gateway::Stage::ALL {
        stages += &format!("| `{}` | {} |\n", stage.name(), stage.help());
    }
    let mut missing = String::new();
    for (name, table) in [
        ("metrics", metrics),
        ("stages", stages),
        ("drop reasons", drops),
        ("punt reasons", punts),
        ("kernel drop reasons", kernel),
    ] {
        let expected = format!("<!-- list: {name} -->\n{table}<!-- end -->\n");
        if !document.contains(&expected) {
            missing += &expected;
        }
    }
    assert!(
        missing.is_empty(),
        "docs/metrics.md does not match the code; insert this:\n{missing}"
    );
}

async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut answer = String::new();
        // A server without a place for the connection closes it: the answer is empty.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

#[tokio::test]
async fn the_endpoints_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ready = Arc::new(AtomicBool::new(false));
    let source = ready.clone();
    let status = move || Status {
        ready: source.load(SeqCst),
        ..sample()
    };
    let server = tokio::spawn(http::serve(listener, status, Transient::default()));
    let refused = get(address, "/healthz").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(
        refused.ends_with("not ready\nlink-down: eth0 is down\n"),
        "{refused}"
    );
    ready.store(true, SeqCst);
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));

    let status = get(address, "/status").await;
    let (head, body) = status.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("application/json"));
    assert_eq!(serde_json::from_str::<Status>(body).unwrap(), sample());

    let answer = get(address, "/metrics").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(metrics::CONTENT_TYPE), "{head}");
    assert_eq!(body, text(&sample()).unwrap());

    assert!(get(address, "/").await.starts_with("HTTP/1.1 404 "));
    server.abort();
}

/// Connections that send nothing, from one address after the other, until no place is left. Other addresses are served
/// until then, and this one again when its connections have ended.
#[tokio::test]
async fn idle_connections_are_bounded_for_each_source_and_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(http::serve(listener, sample, Transient::default()));
    let mut idle = Vec::new();
    let mut connect = async |source: u8| {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::from(([127, 0, 0, source], 0)))
            .unwrap();
        idle.push(socket.connect(address).await.unwrap());
    };
    for _ in 0..200 {
        connect(2).await;
    }
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    for source in 3..=5 {
        for _ in 0..16 {
            connect(source).await;
        }
    }
    // All places are taken for a while; then the connections end, though their clients keep them.
    let started = std::time::Instant::now();
    while !get(address, "/healthz").await.starts_with("HTTP/1.1 200 ") {
        assert!(started.elapsed() < std::time::Duration::from_secs(60));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    server.abort();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = http::bind(address).await.unwrap_err();
    let shown = format!("{error:#}");
    assert!(
        shown.starts_with(&format!("cannot listen on {address} (http.listen)")),
        "{shown}"
    );
}
