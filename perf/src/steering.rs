//! `perf steering`: the cost of a packet in the XDP program, by BPF_PROG_TEST_RUN.
//!
//! The kernel runs the loaded program over one packet many times and reports the mean. There is no NIC,
//! the kernel carries out no redirect, and the caches are warm. The figures are the costs of the
//! program alone, to be compared within one run.

mod spread;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use aya::Ebpf;
use aya::programs::{TestRun, TestRunOptions, Xdp};
use causeway_demux::steering::{Peering, Place};
use causeway_demux::{Program, Steering};
use causeway_kernel_tests::packet::{
    Ipv4, Ipv6, OWN_MAC, destination_options, esp, ethernet, hop_by_hop, icmp, tagged, tcp, udp,
};
use causeway_kernel_tests::world::{ELSEWHERE, FAR, HOST, OWN, SPI, ipv6, steering};
use causeway_lab::output::print_line;
use causeway_steering::{MAX_GATEWAYS, Verdict, decide};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketType};
use serde::Serialize;

use crate::machine::{self, Machine};
use crate::options::Output;

/// Runs of the program for one sample.
const REPEAT: u32 = 200_000;
/// The interface index of loopback. A test run sends nothing.
const LOOPBACK: u32 = 1;
const GOAL_NS: f64 = 60.0;

/// Options of `steering`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
    /// Number of rounds; each figure is the median of its rounds
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(3..=1000))]
    rounds: u32,
    /// Object file of the XDP program
    #[arg(
        long,
        env = "CAUSEWAY_XDP_OBJECT",
        default_value = "target/causeway-xdp.o"
    )]
    object: PathBuf,
}

/// The document of `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document {
    /// 1. Incremented when a key changes its meaning or is removed.
    version: u32,
    /// The machine of the measurement.
    machine: Machine,
    /// Load average of one minute, before and after; `null` if unknown.
    load: [Option<f64>; 2],
    /// Number of rounds. Each figure is the median of its rounds.
    rounds: u32,
    /// Instructions that the verifier processed; `null` if the kernel does not report them.
    verified_instructions: Option<u32>,
    /// Size of the program after the kernel's changes, in bytes; `null` if the kernel hides its instructions.
    translated_bytes: Option<u32>,
    /// Size of the machine code, in bytes.
    compiled_bytes: u32,
    /// A program that only returns: the cost of the harness, which every other figure includes.
    harness: Figure,
    /// Each kind of packet.
    packets: Vec<Figure>,
    /// One packet with different numbers of gateways.
    gateways: Vec<Figure>,
    /// One packet with different numbers of prefixes.
    prefixes: Vec<Figure>,
    /// The spread of several sets of flows over buckets and gateways.
    spread: Vec<spread::Spread>,
}

/// The cost of a packet in one case.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Figure {
    /// The name of the case.
    what: String,
    /// Nanoseconds per packet, median of the rounds.
    ns: f64,
    /// Nanoseconds per packet in the fastest and the slowest round.
    spread: [f64; 2],
}

/// Measures, prints the report and writes the document.
pub fn run(args: &Args) -> Result<()> {
    let object = std::fs::read(&args.object).with_context(|| {
        let path = args.object.display();
        format!("cannot read {path}; build it with `cargo xtask build`")
    })?;
    let load_before = machine::load();
    let mut loaded = Loaded::new(&object, &tables(2, 1))?;
    let info = loaded.program.xdp()?.info()?;
    let mut idle = EmptyProgram::new(&object)?;
    let packets = packets();
    let mut by_idle = Vec::new();
    let mut by_packet = Vec::new();
    for _ in 0..args.rounds {
        by_idle.push(vec![idle.time(&packets[0].1)?]);
        by_packet.push(
            packets
                .iter()
                .map(|(_, frame)| loaded.time(frame))
                .collect::<Result<Vec<_>>>()?,
        );
    }
    let names = packets.iter().map(|(name, _)| (*name).to_owned());
    let document = Document {
        version: 1,
        machine: Machine::this(),
        rounds: args.rounds,
        verified_instructions: info.verified_instruction_count(),
        translated_bytes: info.size_translated(),
        compiled_bytes: info.size_jitted(),
        harness: figures(
            ["a program that only returns".to_owned()].into_iter(),
            &by_idle,
        )
        .swap_remove(0),
        packets: figures(names, &by_packet),
        gateways: sweep(
            &object,
            args.rounds,
            &[1, 4, 16, MAX_GATEWAYS],
            "gateways",
            |count| tables(count, 1),
        )?,
        prefixes: sweep(
            &object,
            args.rounds,
            &[1, 10, 100, 1000],
            "prefixes",
            |count| tables(2, count),
        )?,
        load: [load_before, machine::load()],
        spread: spread::measure(),
    };
    print(&document)?;
    args.output.write(&document)
}

/// A loaded program, with a socket for the worker to which the tables assign the SA.
struct Loaded {
    program: Program,
    _socket: OwnedFd,
}

impl Loaded {
    fn new(object: &[u8], steering: &Steering) -> Result<Self> {
        let mut program = Program::load(object)
            .context("cannot load the XDP program; this command needs root")?;
        program.fill(LOOPBACK, steering)?;
        let socket = rustix::net::socket(AddressFamily::XDP, SocketType::RAW, None)?;
        let worker = steering.workers[&SPI];
        program.bind(0, worker, &socket)?;
        Ok(Self {
            program,
            _socket: socket,
        })
    }

    /// The mean time of one run in nanoseconds.
    fn time(&mut self, frame: &[u8]) -> Result<f64> {
        let before = self.program.counters()?;
        let result = self.program.xdp()?.test_run(TestRunOptions {
            data_in: Some(frame),
            repeat: REPEAT,
            ..TestRunOptions::default()
        })?;
        let after = self.program.counters()?;
        // The counters prove that each run took the program's whole path.
        let ran = u64::from(REPEAT);
        ensure!(
            after.received() - before.received() == ran,
            "the program did not count {ran} runs"
        );
        Ok(result.duration.as_nanos() as f64)
    }
}

/// The program of the object file that only returns.
struct EmptyProgram(Ebpf);

impl EmptyProgram {
    fn new(object: &[u8]) -> Result<Self> {
        let mut idle = Self(Ebpf::load(object)?);
        idle.program()?.load()?;
        Ok(idle)
    }

    fn program(&mut self) -> Result<&mut Xdp> {
        let program = self.0.program_mut("idle");
        Ok(program
            .context("the object file has no program \"idle\"")?
            .try_into()?)
    }

    /// The mean time of one run in nanoseconds.
    fn time(&mut self, frame: &[u8]) -> Result<f64> {
        let result = self.program()?.test_run(TestRunOptions {
            data_in: Some(frame),
            repeat: REPEAT,
            ..TestRunOptions::default()
        })?;
        Ok(result.duration.as_nanos() as f64)
    }
}

/// Tables with `gateways` remote gateways and `prefixes` prefixes of one peer. The gateways have the
/// NIC's own MAC address, so that the program steers a rewritten packet again in the next run.
fn tables(gateways: u32, prefixes: u32) -> Steering {
    let cluster: Vec<u32> = (0..gateways).collect();
    let others = (1..prefixes).map(|n| format!("172.{}.{}.0/24", 16 + n / 256, n % 256));
    let far = ["10.2.0.0/16", "2001:db8:2::/48"].map(str::to_owned);
    let prefixes = far.into_iter().chain(others);
    let prefixes = prefixes
        .map(|text| text.parse().expect("the literals are prefixes"))
        .collect();
    Steering {
        peerings: vec![Peering::over(prefixes, &cluster)],
        gateways: cluster
            .iter()
            .map(|&index| Place::Remote {
                address: [10, 1, 1, index as u8].into(),
                mac: Some(OWN_MAC),
            })
            .collect(),
        ..steering()
    }
}

fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let far = |protocol| Ipv4::new(HOST, FAR, protocol);
    let far_v6 = |protocol| Ipv6::new(ipv6::HOST, ipv6::FAR, protocol);
    let quoted_v6 = Ipv6::new(ipv6::FAR, ipv6::HOST, 17).packet(&udp(53, 5353, &[0; 8]));
    let quoted = Ipv4::new(FAR, HOST, 17).packet(&udp(53, 5353, &[0; 8]));
    let fragment = Ipv4 {
        fragment: 0x2003,
        ..far(17)
    };
    vec![
        (
            "TCP/IPv4 to a remote gateway",
            far(6).frame(&tcp(1234, 443)),
        ),
        (
            "TCP/IPv4 behind a VLAN tag",
            tagged(&far(6).frame(&tcp(1234, 443)), &[0x8100]),
        ),
        (
            "TCP/IPv4 behind two VLAN tags",
            tagged(&far(6).frame(&tcp(1234, 443)), &[0x88a8, 0x8100]),
        ),
        (
            "UDP/IPv4 to a remote gateway",
            far(17).frame(&udp(1234, 443, &[0; 20])),
        ),
        (
            "TCP/IPv6 to a remote gateway",
            far_v6(6).frame(&tcp(1234, 443)),
        ),
        (
            "TCP/IPv6 behind two extensions",
            far_v6(6)
                .behind([hop_by_hop(0), destination_options(0)])
                .frame(&tcp(1234, 443)),
        ),
        ("a later fragment", fragment.frame(&[7; 24])),
        (
            "an ICMP error",
            far(1).frame(&icmp(3, 4, [0, 0, 5, 0xdc], &quoted)),
        ),
        (
            "an ICMPv6 error",
            far_v6(58).frame(&icmp(2, 0, [0, 0, 5, 0xdc], &quoted_v6)),
        ),
        ("ESP to a worker", Ipv4::new(FAR, OWN, 50).frame(&esp(SPI))),
        (
            "ESP/IPv6 to a worker",
            Ipv6::new(ipv6::FAR, ipv6::OWN, 50).frame(&esp(SPI)),
        ),
        (
            "ESP in UDP to a worker",
            Ipv4::new(FAR, OWN, 17).frame(&udp(4501, 4500, &esp(SPI))),
        ),
        (
            "not ours: no peer's prefix",
            Ipv4::new(HOST, ELSEWHERE, 6).frame(&tcp(1, 2)),
        ),
        (
            "not ours: the host itself",
            Ipv4::new(FAR, OWN, 6).frame(&tcp(50_000, 22)),
        ),
        ("not ours: ARP", ethernet([0xff; 6], 0x0806, &[0; 28])),
    ]
}

/// TCP/IPv4 with tables of several sizes. All programs are loaded at once and measured in turn.
fn sweep(
    object: &[u8],
    rounds: u32,
    sizes: &[u32],
    what: &str,
    tables: impl Fn(u32) -> Steering,
) -> Result<Vec<Figure>> {
    let (_, frame) = packets().swap_remove(0);
    let mut programs = Vec::new();
    for &size in sizes {
        let tables = tables(size);
        let verdict = decide(&frame[..], &tables);
        ensure!(
            matches!(verdict, Verdict::Remote { .. }),
            "the tables of a sweep steer its packet to {verdict:?}, not to a remote gateway"
        );
        programs.push(Loaded::new(object, &tables)?);
    }
    let mut measured = Vec::new();
    for _ in 0..rounds {
        measured.push(
            programs
                .iter_mut()
                .map(|loaded| loaded.time(&frame))
                .collect::<Result<Vec<_>>>()?,
        );
    }
    Ok(figures(
        sizes.iter().map(|size| format!("{size} {what}")),
        &measured,
    ))
}

/// The medians over the rounds.
fn figures(names: impl Iterator<Item = String>, rounds: &[Vec<f64>]) -> Vec<Figure> {
    names
        .enumerate()
        .map(|(at, what)| {
            let mut ns: Vec<f64> = rounds.iter().map(|round| round[at]).collect();
            ns.sort_by(f64::total_cmp);
            Figure {
                what,
                ns: ns[ns.len() / 2],
                spread: [ns[0], ns[ns.len() - 1]],
            }
        })
        .collect()
}

fn print(document: &Document) -> Result<()> {
    print_line(format_args!(
        "XDP program on {}, kernel {}: {} instructions verified, {} bytes compiled\n",
        document.machine.cpu,
        document.machine.kernel,
        document
            .verified_instructions
            .map_or("unknown".to_owned(), |count| count.to_string()),
        document.compiled_bytes
    ))?;
    print_line(format_args!(
        "{:<32} {:>6}  fastest..slowest of {} rounds",
        "ns per packet", "median", document.rounds
    ))?;
    let groups = [&document.packets, &document.gateways, &document.prefixes];
    for figure in [&document.harness]
        .into_iter()
        .chain(groups.into_iter().flatten())
    {
        print_line(format_args!(
            "{:<32} {:>6.0}  {:.0}..{:.0}",
            figure.what, figure.ns, figure.spread[0], figure.spread[1]
        ))?;
    }
    spread::print(&document.spread)?;
    let tcp = document.packets[0].ns;
    let verdict = if tcp <= GOAL_NS { "met" } else { "missed" };
    print_line(format_args!(
        "\ngoal: TCP/IPv4 to a remote gateway in at most {GOAL_NS:.0} ns: {tcp:.0} ns, {verdict}"
    ))
}
