//! One gateway with a NIC in memory. The test holds the other end of the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_device::{Memory, memory};
use causeway_esp::{
    Cipher, DontFragment, Dscp, Encapsulation, Ends, InboundConfig, InboundSa, Key, Lifetime,
    OutboundConfig, OutboundSa, Outer, Sequence, Spi, Tfc,
};
use causeway_gateway::{
    Command, Control, Demuxes, Finished, Refused, Reply, Totals, Tunnel, Worker, WorkerConfig,
};
use causeway_routes::{Route, Snapshot};
use crossbeam::channel::Receiver;
use ipnet::IpNet;

pub const MTU: usize = 1500;
/// The longest inner packet in UDP over IPv4 at an MTU of 1500.
pub const MAX_INNER: usize = 1438;

/// The longest inner packet for an outer header of this family.
pub fn max_inner(outer_v6: bool) -> usize {
    if outer_v6 { MAX_INNER - 20 } else { MAX_INNER }
}
/// The lifetime of a learned path MTU, as in RFC 1191 section 6.3.
pub const PATH_MTU_AGE: Duration = Duration::from_secs(600);

/// The settings that differ between tests.
#[derive(Clone)]
pub struct Setup {
    /// Whether the outer packets are IPv6. Inner packets are of both families.
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
    pub demuxes: Option<Demuxes>,
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
            demuxes: None,
            reserved: u64::MAX,
            spin: false,
            hold_packets: 64,
        }
    }
}

/// A gateway of VPC 1 (10.1.0.0/24 and fd00:1::/64) or VPC 2 (10.2.0.0/24 and fd00:2::/64). The gateway's addresses end
/// in .101 and ::65, those of its router in .1 and ::1.
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

/// The address of a host of a VPC.
pub fn host(v6: bool, vpc: u8, host: u8) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0xfd00, vpc.into(), 0, 0, 0, 0, 0, host.into()).into()
    } else {
        Ipv4Addr::new(10, vpc, 0, host).into()
    }
}

/// The prefix of a VPC, with this length.
fn prefix(v6: bool, vpc: u8, length: u8) -> IpNet {
    IpNet::new_assert(host(v6, vpc, 0), length).trunc()
}

/// IPv4 and IPv6, as values of `v6` parameters.
pub const FAMILIES: [bool; 2] = [false, true];
const ROUTER: u8 = 1;
const GATEWAY: u8 = 101;

/// The bytes of the IP header in a frame.
pub fn header(frame: &[u8]) -> usize {
    if frame[14] >> 4 == 6 { 40 } else { 20 }
}

/// The routes of a VPC, with the MAC addresses of `hosts`. The router is host 1.
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

/// The SPI of VPC `from`'s outbound SA of a key epoch. A worker starts with epoch 0.
pub fn spi(from: u8, epoch: u8) -> Spi {
    Spi::new(0x1000 * u32::from(from) + u32::from(epoch)).expect("an SPI above 255")
}

fn key(from: u8, epoch: u8) -> Key {
    let mut material = [from; 20];
    material[1] ^= epoch;
    Key::new(Cipher::Aes128Gcm, &material).expect("16 bytes of key and 4 bytes of salt")
}

/// The address of a VPC's gateway.
pub fn address(v6: bool, vpc: u8) -> IpAddr {
    host(v6, vpc, GATEWAY)
}

/// The outbound SA with which VPC `from` starts to send to VPC `to`.
pub fn outbound(from: u8, to: u8, setup: &Setup) -> OutboundSa {
    outbound_of(from, to, 0, setup)
}

/// The outbound SA of a key epoch from VPC `from` to VPC `to`.
pub fn outbound_of(from: u8, to: u8, epoch: u8, setup: &Setup) -> OutboundSa {
    outbound_lasting(from, to, epoch, setup, Lifetime::default())
}

/// The outbound SA of a key epoch, with lifetime limits.
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

/// The peer's inbound SA for a key epoch of VPC `from`.
pub fn inbound_of(from: u8, epoch: u8) -> InboundSa {
    inbound_lasting(from, epoch, Lifetime::default())
}

/// The peer's inbound SA for a key epoch, with lifetime limits.
pub fn inbound_lasting(from: u8, epoch: u8, lifetime: Lifetime) -> InboundSa {
    let config = InboundConfig::new(spi(from, epoch), key(from, epoch), 1024);
    InboundSa::new(InboundConfig { lifetime, ..config }).expect("a window")
}

/// The tunnel from VPC `from` to VPC `to` for these peer prefixes.
pub fn tunnel(from: u8, to: u8, prefixes: Vec<IpNet>, setup: &Setup) -> Tunnel {
    Tunnel {
        peer: address(setup.outer_v6, to),
        peer_prefixes: prefixes,
        clamp_mss: setup.clamp_mss,
        outbound: outbound(from, to, setup).into(),
        inbound: inbound_of(to, 0).into(),
        path_mtu_age: PATH_MTU_AGE,
        dummy_interval: setup.dummy_interval,
        demuxes: setup.demuxes,
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
            // Ahead of the system clock, so that time advances only by `pass`.
            now: Instant::now() + Duration::from_secs(3600),
        }
    }

    /// Injects frames, runs the worker until it is idle, and returns the frames that it sent.
    pub fn exchange(&mut self, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        for frame in frames {
            assert!(
                self.wire.inject(frame),
                "the test's end of the wire is full"
            );
        }
        self.work()
    }

    /// Runs the worker until it is idle, and returns the frames that it sent. Checks after each round that the counters
    /// balance.
    pub fn work(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            assert_eq!(
                self.worker.process_commands(),
                None,
                "no drain was requested"
            );
            let moved = self.worker.round(self.now);
            assert!(self.totals().balanced(), "{:?}", self.totals());
            out.extend(std::iter::from_fn(|| self.wire.take()));
            if moved == 0 {
                return out;
            }
        }
    }

    /// Advances the gateway's clock.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub fn totals(&self) -> Totals {
        self.control.counters.totals()
    }

    /// Sends the worker a command, and returns the channel for its answer.
    pub fn request<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Receiver<Result<T, Refused>> {
        let (reply, answer) = Reply::channel();
        self.control.send(command(reply)).expect("a worker");
        answer
    }

    /// Drains the worker without delay. Checks that all frames are home and that the counters balance.
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
            "the final counters are published"
        );
        totals
    }
}

/// The gateways of both VPCs.
pub fn both(setup: &Setup) -> (Side, Side) {
    (Side::new(1, setup), Side::new(2, setup))
}

/// The frame as VPC `from`'s router forwards it to the other gateway.
pub fn carried(mut frame: Vec<u8>, from: u8) -> Vec<u8> {
    assert_eq!(frame[..6], host_mac(from, 1), "addressed to the router");
    assert_eq!(frame[6..12], gateway_mac(from), "sent by the gateway");
    frame[..6].copy_from_slice(&gateway_mac(3 - from));
    frame
}

/// The frames as VPC `from`'s router forwards them to the other gateway.
pub fn carry(frames: Vec<Vec<u8>>, from: u8) -> Vec<Vec<u8>> {
    frames
        .into_iter()
        .map(|frame| carried(frame, from))
        .collect()
}
