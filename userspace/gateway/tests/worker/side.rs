//! One gateway with its NIC in memory; the test holds the other end of the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_device::{Memory, memory};
use causeway_esp::{
    Cipher, DontFragment, Dscp, Encapsulation, Ends, InboundConfig, InboundSa, Key, Lifetime,
    OutboundConfig, OutboundSa, Outer, Sequence, Spi, Tfc,
};
use causeway_gateway::{
    Command, Control, Finished, Refused, Reply, Totals, Tunnel, Worker, WorkerConfig,
};
use causeway_routes::{Route, Snapshot};
use crossbeam::channel::Receiver;
use ipnet::IpNet;

pub const MTU: usize = 1500;
/// The longest inner packet in UDP over IPv4 at an MTU of 1500.
pub const MAX_INNER: usize = 1438;

/// The same over either family.
pub fn max_inner(outer_v6: bool) -> usize {
    if outer_v6 { MAX_INNER - 20 } else { MAX_INNER }
}
/// How long a learned path MTU is believed: what RFC 1191 section 6.3 has.
pub const PATH_MTU_AGE: Duration = Duration::from_secs(600);

/// How one test differs from the next.
#[derive(Clone)]
pub struct Setup {
    /// Whether the gateways speak IPv6 to each other; what they carry is of both families.
    pub outer_v6: bool,
    pub tfc: Tfc,
    pub dscp: Dscp,
    pub dont_fragment: DontFragment,
    pub clamp_mss: bool,
    pub burst: usize,
    pub frames: usize,
    pub ring: usize,
    pub first: u64,
    pub dummy_interval: Option<Duration>,
    pub reserved: u64,
    pub spin: bool,
    pub hold_packets: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            outer_v6: false,
            tfc: Tfc::Off,
            dscp: Dscp::Copy,
            dont_fragment: DontFragment::Copy,
            clamp_mss: false,
            burst: 8,
            frames: 1024,
            ring: 512,
            first: 1,
            dummy_interval: None,
            reserved: u64::MAX,
            spin: false,
            hold_packets: 64,
        }
    }
}

/// A gateway of VPC 1 (10.1.0.0/24 and fd00:1::/64) or VPC 2 (10.2.0.0/24 and fd00:2::/64). Its
/// addresses end in .101 and ::65, its router's in .1 and ::1.
pub struct Side {
    pub worker: Worker<Memory>,
    pub control: Control,
    pub wire: Memory,
    pub now: Instant,
}

pub fn gateway_mac(vpc: u8) -> [u8; 6] {
    [2, 0, 0, 0, vpc, 101]
}

pub fn host_mac(vpc: u8, host: u8) -> [u8; 6] {
    [2, 0, 0, 0, vpc, host]
}

/// A host of a VPC.
pub fn host(v6: bool, vpc: u8, host: u8) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0xfd00, vpc.into(), 0, 0, 0, 0, 0, host.into()).into()
    } else {
        Ipv4Addr::new(10, vpc, 0, host).into()
    }
}

/// The prefix of a VPC, or a shorter one that holds it.
fn prefix(v6: bool, vpc: u8, length: u8) -> IpNet {
    IpNet::new_assert(host(v6, vpc, 0), length).trunc()
}

/// Not IPv6, and IPv6.
pub const FAMILIES: [bool; 2] = [false, true];
const ROUTER: u8 = 1;
const GATEWAY: u8 = 101;

/// Octets of the IP header in a frame.
pub fn header(frame: &[u8]) -> usize {
    if frame[14] >> 4 == 6 { 40 } else { 20 }
}

/// The routes of a VPC with the MAC addresses of these hosts. The router is host 1.
pub fn routes(vpc: u8, hosts: &[u8]) -> Arc<Snapshot> {
    let routes = FAMILIES.into_iter().flat_map(|v6| {
        let length = if v6 { 64 } else { 24 };
        let route = |to, gateway| Route {
            prefix: prefix(v6, to, length),
            gateway,
            metric: 0,
        };
        [
            route(vpc, None),
            route(3 - vpc, Some(host(v6, vpc, ROUTER))),
        ]
    });
    let neighbours = FAMILIES.into_iter().flat_map(|v6| {
        let neighbour = move |&at: &u8| (host(v6, vpc, at), host_mac(vpc, at));
        hosts.iter().map(neighbour)
    });
    Arc::new(Snapshot::new(routes, neighbours))
}

/// The SA of an epoch that VPC `from` sends on; a worker starts in epoch 0.
pub fn spi(from: u8, epoch: u8) -> Spi {
    Spi::new(0x1000 * u32::from(from) + u32::from(epoch)).expect("an SPI above 255")
}

fn key(from: u8, epoch: u8) -> Key {
    let mut material = [from; 20];
    material[1] ^= epoch;
    Key::new(Cipher::Aes128Gcm, &material).expect("16 octets of key and 4 of salt")
}

/// The gateway's addresses.
pub fn address(v6: bool, vpc: u8) -> IpAddr {
    host(v6, vpc, GATEWAY)
}

/// The SA on which VPC `from` sends to VPC `to` at first.
pub fn outbound(from: u8, to: u8, setup: &Setup) -> OutboundSa {
    outbound_of(from, to, 0, setup)
}

/// The SA of an epoch on which VPC `from` sends to VPC `to`.
pub fn outbound_of(from: u8, to: u8, epoch: u8, setup: &Setup) -> OutboundSa {
    outbound_lasting(from, to, epoch, setup, Lifetime::default())
}

/// The same with limits.
pub fn outbound_lasting(
    from: u8,
    to: u8,
    epoch: u8,
    setup: &Setup,
    lifetime: Lifetime,
) -> OutboundSa {
    let end = |vpc| address(setup.outer_v6, vpc);
    let ends = Ends::new(end(from), end(to)).expect("one family");
    let outer = Outer {
        dscp: setup.dscp,
        dont_fragment: setup.dont_fragment,
        ..Outer::new(ends, Encapsulation::Udp { source_port: 4501 }, 64)
    };
    let mut sequence = Sequence::new(setup.first);
    sequence.reserve_until(setup.reserved);
    let config = OutboundConfig::new(spi(from, epoch), key(from, epoch), outer, sequence);
    OutboundSa::new(OutboundConfig {
        lifetime,
        tfc: setup.tfc,
        ..config
    })
}

/// The SA of an epoch on which VPC `from` sends, as its peer has it.
pub fn inbound_of(from: u8, epoch: u8) -> InboundSa {
    inbound_lasting(from, epoch, Lifetime::default())
}

/// The same with limits.
pub fn inbound_lasting(from: u8, epoch: u8, lifetime: Lifetime) -> InboundSa {
    let config = InboundConfig::new(spi(from, epoch), key(from, epoch), 1024);
    InboundSa::new(InboundConfig { lifetime, ..config }).expect("a window")
}

/// The tunnel of VPC `from` to VPC `to`, for these prefixes there.
pub fn tunnel(from: u8, to: u8, prefixes: Vec<IpNet>, setup: &Setup) -> Tunnel {
    Tunnel {
        peer: address(setup.outer_v6, to),
        peer_prefixes: prefixes,
        clamp_mss: setup.clamp_mss,
        outbound: outbound(from, to, setup).into(),
        inbound: inbound_of(to, 0).into(),
        path_mtu_age: PATH_MTU_AGE,
        dummy_interval: setup.dummy_interval,
    }
}

pub fn config(vpc: u8, setup: &Setup) -> WorkerConfig {
    let other = 3 - vpc;
    let prefixes = |vpc| vec![prefix(false, vpc, 16), prefix(true, vpc, 32)];
    WorkerConfig {
        mac: gateway_mac(vpc),
        address: address(setup.outer_v6, vpc),
        nic_addresses: FAMILIES.map(|v6| address(v6, vpc)).to_vec(),
        mtu: MTU,
        own_prefixes: prefixes(vpc),
        tunnels: vec![tunnel(vpc, other, prefixes(other), setup)],
        routes: routes(vpc, &[1, 2, 3]),
        burst: setup.burst,
        hold_packets: setup.hold_packets,
        spin: setup.spin,
    }
}

impl Side {
    pub fn new(vpc: u8, setup: &Setup) -> Self {
        Self::with(config(vpc, setup), setup)
    }

    pub fn with(config: WorkerConfig, setup: &Setup) -> Self {
        let (nic, wire) = memory::pair(setup.frames, 2048, setup.ring);
        let (worker, control) = Worker::new(config, nic).expect("a worker");
        Self {
            worker,
            control,
            wire,
            // Ahead of the machine's clock, so that only the test makes time pass.
            now: Instant::now() + Duration::from_secs(3600),
        }
    }

    /// Lets frames arrive, works them off and returns what went out. After each batch the counters
    /// balance.
    pub fn exchange(&mut self, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        for frame in frames {
            assert!(
                self.wire.inject(frame),
                "the test's end of the wire is full"
            );
        }
        self.work()
    }

    /// Works until there is nothing left to do, and returns what went out.
    pub fn work(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            assert_eq!(self.worker.obey(), None, "no drain was asked for");
            let moved = self.worker.round(self.now);
            assert!(self.totals().balanced(), "{:?}", self.totals());
            out.extend(std::iter::from_fn(|| self.wire.take()));
            if moved == 0 {
                return out;
            }
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub fn totals(&self) -> Totals {
        self.control.counters.totals()
    }

    /// Gives the worker a command, and returns where its answer comes.
    pub fn tell<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Receiver<Result<T, Refused>> {
        let (reply, answer) = Reply::channel();
        self.control.send(command(reply)).expect("a worker");
        answer
    }

    /// Drains at once and checks what must hold then.
    pub fn finish(self) -> Totals {
        let within = Duration::ZERO;
        self.control
            .send(Command::Drain { within })
            .expect("a worker");
        let Finished {
            totals, drained, ..
        } = self.worker.run();
        assert!(drained, "every frame is home");
        assert_eq!(totals.waiting, 0);
        assert!(totals.balanced(), "{totals:?}");
        assert_eq!(
            self.control.counters.totals(),
            totals,
            "the last word is published"
        );
        totals
    }
}

/// Both gateways.
pub fn both(setup: &Setup) -> (Side, Side) {
    (Side::new(1, setup), Side::new(2, setup))
}

/// A frame that VPC `from`'s router carried to the other gateway.
pub fn carried(mut frame: Vec<u8>, from: u8) -> Vec<u8> {
    assert_eq!(frame[..6], host_mac(from, 1), "sent to the router");
    assert_eq!(frame[6..12], gateway_mac(from), "sent by the gateway");
    frame[..6].copy_from_slice(&gateway_mac(3 - from));
    frame
}

pub fn carry(frames: Vec<Vec<u8>>, from: u8) -> Vec<Vec<u8>> {
    frames
        .into_iter()
        .map(|frame| carried(frame, from))
        .collect()
}
