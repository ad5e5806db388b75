//! Law 5: the kernel's verdict (BPF_PROG_TEST_RUN) equals the host's on every packet of the corpus.

use anyhow::{Context, ensure};
use aya::programs::{TestRun, TestRunOptions};
use causeway_demux::{Counters, Program, Steering};
use causeway_kernel_tests::corpus::{End, corpus};
use causeway_kernel_tests::load;
use causeway_kernel_tests::packet::{
    Ipv4, Ipv6, OWN_MAC, destination_options, esp, fragment, hop_by_hop, icmp, routing, tagged,
    tcp, udp,
};
use causeway_kernel_tests::world::{
    ELSEWHERE, FAR, FAR_LOCAL, FAR_UNRESOLVED, FAR_WITHOUT_SOCKET, GATEWAY_MACS, HOST, SPI,
    WORKERS_WITH_SOCKETS, ipv6, steering,
};
use causeway_steering::{DropReason, PuntReason, Verdict, decide};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketType};

const XDP_ABORTED: u32 = 0;
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;
/// Loopback's index in every network namespace. Test runs redirect nothing.
const LOOPBACK: u32 = 1;

struct Kernel {
    program: Program,
    _sockets: Vec<OwnedFd>,
}

/// The outcome of one run of the kernel's program.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    action: u32,
    end: Option<End>,
    /// The index of the gateway whose counter grew.
    gateway: Option<usize>,
    frame: Vec<u8>,
}

impl Kernel {
    fn new(steering: &Steering) -> anyhow::Result<Self> {
        let mut program = load()?;
        program.fill(LOOPBACK, steering)?;
        let mut sockets = Vec::new();
        for worker in WORKERS_WITH_SOCKETS {
            let socket = rustix::net::socket(AddressFamily::XDP, SocketType::RAW, None)?;
            program.bind(0, worker, &socket)?;
            sockets.push(socket);
        }
        Ok(Self {
            program,
            _sockets: sockets,
        })
    }

    fn run(&mut self, frame: &[u8]) -> anyhow::Result<Ended> {
        let before = self.program.counters()?;
        let mut output = vec![0; frame.len()];
        let result = self.program.xdp()?.test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut output),
            ..TestRunOptions::default()
        })?;
        let after = self.program.counters()?;
        ensure!(
            after.received() == before.received() + 1,
            "the packet was not counted as received once"
        );
        Ok(Ended {
            action: result.return_value,
            end: ended(&before, &after)?,
            gateway: after
                .gateways
                .iter()
                .zip(&before.gateways)
                .position(|(after, before)| after.packets == before.packets + 1),
            frame: output,
        })
    }
}

/// The outcome whose counter grew; an error if several did.
fn ended(before: &Counters, after: &Counters) -> anyhow::Result<Option<End>> {
    let mut ends = Vec::new();
    for reason in DropReason::ALL {
        let grown = after.dropped(*reason) - before.dropped(*reason);
        ends.extend((0..grown).map(|_| End::Drop(*reason)));
    }
    for reason in PuntReason::ALL {
        let grown = after.punted(*reason) - before.punted(*reason);
        ends.extend((0..grown).map(|_| End::Punt(*reason)));
    }
    ends.extend((before.to_worker()..after.to_worker()).map(|_| End::AnyWorker));
    ends.extend((before.to_gateway()..after.to_gateway()).map(|_| End::AnyGateway));
    ensure!(
        ends.len() <= 1,
        "one packet was counted more than once: {ends:?}"
    );
    Ok(ends.pop())
}

/// The program's action, counter and frame that follow from the host's verdict.
fn expected(frame: &[u8], verdict: Verdict) -> Ended {
    let unchanged = |action, end| Ended {
        action,
        end: Some(end),
        gateway: None,
        frame: frame.to_vec(),
    };
    match verdict {
        Verdict::Punt(reason) => unchanged(XDP_PASS, End::Punt(reason)),
        Verdict::Drop(reason) => unchanged(XDP_DROP, End::Drop(reason)),
        Verdict::Open { worker } | Verdict::Local { worker, .. }
            if !WORKERS_WITH_SOCKETS.contains(&worker) =>
        {
            unchanged(XDP_DROP, End::Drop(DropReason::NoWorker))
        }
        Verdict::Open { .. } => unchanged(XDP_REDIRECT, End::AnyWorker),
        Verdict::Local { gateway, .. } => Ended {
            gateway: Some(gateway as usize),
            ..unchanged(XDP_REDIRECT, End::AnyWorker)
        },
        Verdict::Remote { gateway, .. } => {
            let mut ended = unchanged(XDP_REDIRECT, End::AnyGateway);
            ended.gateway = Some(gateway as usize);
            ended.frame[..6].copy_from_slice(&GATEWAY_MACS[gateway as usize]);
            ended.frame[6..12].copy_from_slice(&OWN_MAC);
            ended
        }
    }
}

/// Standard: esp-fragment, udp-ike, udp-keepalive, udp-esp
#[test]
fn the_hosts_verdict_on_the_corpus_is_as_expected() {
    let steering = steering();
    for case in corpus() {
        let verdict = decide(&case.frame[..], &steering);
        let end = expected(&case.frame, verdict).end;
        let end = match (verdict, case.end) {
            (Verdict::Open { worker }, End::Worker(_)) => Some(End::Worker(worker)),
            _ => end,
        };
        assert_eq!(end, Some(case.end), "{}: {verdict:?}", case.name);
    }
}

/// Standard: esp-fragment, udp-ike, udp-keepalive, udp-esp
#[test]
fn the_kernel_agrees_with_the_host_on_the_corpus() -> anyhow::Result<()> {
    let steering = steering();
    let mut kernel = Kernel::new(&steering)?;
    for case in corpus() {
        let verdict = decide(&case.frame[..], &steering);
        let ended = kernel.run(&case.frame).context(case.name)?;
        assert_ne!(ended.action, XDP_ABORTED, "{}", case.name);
        assert_eq!(ended, expected(&case.frame, verdict), "{}", case.name);
    }
    Ok(())
}

/// SAs come and go while the program runs: each SPI of the corpus is removed, then added again.
#[test]
fn spis_can_be_added_and_removed_while_the_program_runs() -> anyhow::Result<()> {
    let mut steering = steering();
    let mut kernel = Kernel::new(&steering)?;
    let agree = |kernel: &mut Kernel, steering: &Steering| -> anyhow::Result<()> {
        for case in corpus() {
            let verdict = decide(&case.frame[..], steering);
            let ended = kernel.run(&case.frame).context(case.name)?;
            ensure!(ended == expected(&case.frame, verdict), "{}", case.name);
        }
        Ok(())
    };
    for (spi, worker) in std::mem::take(&mut steering.workers) {
        kernel.program.remove_spi(spi)?;
        ensure!(
            kernel.program.remove_spi(spi).is_err(),
            "a removed SPI was removed again"
        );
        // The other worker that has a socket.
        steering.workers.insert(spi + 0x100, worker ^ 1);
        kernel.program.steer_spi(spi + 0x100, worker ^ 1)?;
    }
    agree(&mut kernel, &steering)?;
    let moved: Vec<_> = steering.workers.drain().collect();
    for (spi, worker) in moved {
        kernel.program.remove_spi(spi)?;
        kernel.program.steer_spi(spi - 0x100, worker)?;
        steering.workers.insert(spi - 0x100, worker);
    }
    agree(&mut kernel, &steering)
}

/// An IPv6 default route does not cover IPv4-mapped addresses, so it does not cover IPv4 packets.
#[test]
fn a_default_route_of_one_family_covers_that_family_alone() -> anyhow::Result<()> {
    for (prefix, covered) in [
        ("::/0", "6: no peer's prefix"),
        ("0.0.0.0/0", "no peer's prefix"),
    ] {
        let mut steering = steering();
        steering.peerings[0].prefixes.push(prefix.parse()?);
        let mut kernel = Kernel::new(&steering)?;
        for case in corpus() {
            let end = match case.name == covered {
                true => End::AnyGateway,
                false => case.end,
            };
            let verdict = decide(&case.frame[..], &steering);
            let ended = kernel.run(&case.frame)?;
            ensure!(ended == expected(&case.frame, verdict), "{}", case.name);
            ensure!(
                matches!(end, End::Worker(_)) || ended.end == Some(end),
                "{}: {ended:?}",
                case.name
            );
        }
    }
    Ok(())
}

/// The program caches 1024 destinations, each in the one slot that its address hashes to. This test uses
/// more addresses, with five different outcomes in turn, each twice in a row.
#[test]
fn destinations_that_share_a_cache_slot_are_distinguished() -> anyhow::Result<()> {
    let steering = steering();
    let mut kernel = Kernel::new(&steering)?;
    let prefixes = [
        FAR,
        FAR_LOCAL,
        FAR_UNRESOLVED,
        FAR_WITHOUT_SOCKET,
        ELSEWHERE,
    ];
    for n in 0..3000u16 {
        let [high, low] = n.to_be_bytes();
        let [a, b, c, _] = prefixes[usize::from(n) % prefixes.len()];
        // The longer prefix has its third octet fixed.
        let destination = [a, b, if c == FAR_LOCAL[2] { c } else { 100 + high }, low];
        let frame = Ipv4::new(HOST, destination, 6).frame(&tcp(1234, 443));
        let expected = expected(&frame, decide(&frame[..], &steering));
        for _ in 0..2 {
            ensure!(kernel.run(&frame)? == expected, "{destination:?}");
        }
    }
    Ok(())
}

/// A packet of the corpus with some octets changed, and perhaps truncated or extended.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let frames: Vec<_> = corpus().into_iter().map(|case| case.frame).collect();
    let tags = prop::collection::vec(prop::sample::select(vec![0x8100, 0x88a8, 0x9100]), 0..4);
    let changes = prop::collection::vec((0..80usize, any::<u8>()), 0..4);
    (
        prop::sample::select(frames),
        prop_oneof![1 => Just(Vec::new()), 1 => tags],
        changes,
        14..120usize,
        any::<bool>(),
    )
        .prop_map(|(frame, tags, changes, length, resize)| {
            let mut frame = tagged(&frame, &tags);
            for (at, value) in changes {
                if let Some(octet) = frame.get_mut(at) {
                    *octet = value;
                }
            }
            if resize {
                frame.resize(length, 0);
            }
            frame
        })
}

/// A valid or invalid chain of extension headers in front of a payload, for a peer or for the host.
fn chained() -> impl Strategy<Value = Vec<u8>> {
    let extension = prop_oneof![
        (0..4u8).prop_map(hop_by_hop),
        (0..4u8).prop_map(destination_options),
        (0..2u8).prop_map(routing),
        prop::sample::select(vec![0, 1, 8, 0x19, 6]).prop_map(fragment),
    ];
    let protocols = vec![0, 1, 6, 17, 43, 44, 50, 51, 58, 59, 60, 132];
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(esp(SPI)),
        Just(udp(4500, 4500, &esp(SPI))),
        (0..6u8, 0..=80usize).prop_map(|(kind, length)| {
            let quoted = Ipv6::new(ipv6::FAR, ipv6::HOST, 17)
                .behind([hop_by_hop(0), destination_options(1)])
                .packet(&udp(53, 5353, &[0; 8]));
            icmp(kind, 0, [0; 4], &quoted[..length])
        }),
    ];
    let payload = (payload, prop::sample::select(protocols));
    let destination = prop::sample::select(vec![ipv6::FAR, ipv6::OWN]);
    let error = prop_oneof![3 => Just(0), 1 => -9..3i32];
    (
        prop::collection::vec(extension, 0..7),
        payload,
        destination,
        error,
    )
        .prop_map(
            |(extensions, (payload, protocol), destination, length_error)| {
                let header = Ipv6 {
                    extensions,
                    length_error,
                    ..Ipv6::new(ipv6::HOST, destination, protocol)
                };
                header.frame(&payload)
            },
        )
}

#[test]
fn the_kernel_agrees_with_the_host_on_changed_packets() -> anyhow::Result<()> {
    let steering = steering();
    let kernel = std::cell::RefCell::new(Kernel::new(&steering)?);
    let mut runner = TestRunner::new(Config::with_cases(8192));
    runner.run(&prop_oneof![changed(), chained()], |frame| {
        let ended = kernel.borrow_mut().run(&frame).expect("a test run");
        prop_assert_eq!(ended, expected(&frame, decide(&frame[..], &steering)));
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_program_without_tables_punts_every_packet() -> anyhow::Result<()> {
    let mut kernel = Kernel {
        program: load()?,
        _sockets: Vec::new(),
    };
    for case in corpus() {
        let ended = kernel.run(&case.frame)?;
        assert_eq!(ended.action, XDP_PASS, "{}", case.name);
        assert_eq!(
            ended.end,
            Some(End::Punt(PuntReason::NotReady)),
            "{}",
            case.name
        );
    }
    Ok(())
}
