//! One gateway with its NIC in memory; the test holds the other end of the wire.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_device::{Memory, memory};
use causeway_esp::{
    Cipher, Encapsulation, Ends, InboundConfig, InboundSa, Key, Lifetime, OutboundConfig,
    OutboundSa, Outer, Sequence, Spi,
};
use causeway_gateway::{Command, Control, Finished, Totals, Tunnel, Worker, WorkerConfig};
use causeway_routes::{Route, Snapshot};
use ipnet::Ipv4Net;

pub const MTU: usize = 1500;
/// The longest inner packet through UDP encapsulation at an MTU of 1500.
pub const MAX_INNER: usize = 1438;

/// How one test differs from the next.
#[derive(Clone)]
pub struct Setup {
    pub clamp_mss: bool,
    pub burst: usize,
    pub frames: usize,
    pub ring: usize,
    pub reserved: u64,
    pub spin: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clamp_mss: false,
            burst: 8,
            frames: 1024,
            ring: 512,
            reserved: u64::MAX,
            spin: false,
        }
    }
}

/// A gateway of VPC 1 (10.1.0.0/24) or VPC 2 (10.2.0.0/24). Its address ends in .101, its router's
/// in .1.
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

/// The routes of a VPC with the MAC addresses of these hosts. The router is host 1.
pub fn routes(vpc: u8, hosts: &[u8]) -> Arc<Snapshot> {
    let route = |prefix: &str, gateway| Route {
        prefix: prefix.parse().expect("a prefix"),
        gateway,
        metric: 0,
    };
    let router = IpAddr::V4(Ipv4Addr::new(10, vpc, 0, 1));
    let on_link = route(&format!("10.{vpc}.0.0/24"), None);
    let default = route(&format!("10.{}.0.0/24", 3 - vpc), Some(router));
    Arc::new(Snapshot::new(
        [on_link, default],
        hosts
            .iter()
            .map(|&host| (Ipv4Addr::new(10, vpc, 0, host).into(), host_mac(vpc, host))),
    ))
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

fn address(vpc: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, vpc, 0, 101)
}

/// The SA on which VPC `from` sends to VPC `to` at first, with numbers below `reserved`.
pub fn outbound(from: u8, to: u8, reserved: u64) -> OutboundSa {
    outbound_of(from, to, 0, reserved)
}

/// The SA of an epoch on which VPC `from` sends to VPC `to`, with numbers below `reserved`.
pub fn outbound_of(from: u8, to: u8, epoch: u8, reserved: u64) -> OutboundSa {
    outbound_lasting(from, to, epoch, reserved, Lifetime::default())
}

/// The same with limits.
pub fn outbound_lasting(
    from: u8,
    to: u8,
    epoch: u8,
    reserved: u64,
    lifetime: Lifetime,
) -> OutboundSa {
    let ends = Ends::V4 {
        source: address(from),
        destination: address(to),
    };
    let outer = Outer::new(ends, Encapsulation::Udp { source_port: 4501 }, 64);
    let mut sequence = Sequence::new(1);
    sequence.reserve_until(reserved);
    let config = OutboundConfig::new(spi(from, epoch), key(from, epoch), outer, sequence);
    OutboundSa::new(OutboundConfig { lifetime, ..config })
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
pub fn tunnel(from: u8, to: u8, prefix: &str, setup: &Setup) -> Tunnel {
    Tunnel {
        peer: address(to),
        peer_prefixes: vec![prefix.parse().expect("a prefix")],
        clamp_mss: setup.clamp_mss,
        outbound: outbound(from, to, setup.reserved).into(),
        inbound: inbound_of(to, 0).into(),
    }
}

pub fn config(vpc: u8, setup: &Setup) -> WorkerConfig {
    let other = 3 - vpc;
    let prefix = |vpc: u8| format!("10.{vpc}.0.0/16");
    WorkerConfig {
        mac: gateway_mac(vpc),
        address: address(vpc),
        mtu: MTU,
        own_prefixes: vec![prefix(vpc).parse::<Ipv4Net>().expect("a prefix")],
        tunnels: vec![tunnel(vpc, other, &prefix(other), setup)],
        routes: routes(vpc, &[1, 2, 3]),
        burst: setup.burst,
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
            now: Instant::now(),
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
