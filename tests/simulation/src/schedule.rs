//! The schedule of a seed: cluster, flows, changes and faults.

use crate::link::{Delay, MS, Time, US};
use crate::random::Random;

/// Gateways in each VPC, in the cluster or not.
pub const GATEWAYS: usize = 6;

/// The class of faults in a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only planned changes. Links lose no packets.
    Calm,
    /// Links lose packets, and workers pause.
    Lossy,
    /// In addition gateways stop or die, links break, and demuxes restart.
    Rough,
}

/// A change of the cluster. The first number identifies the gateway.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// The next gateway joins with this weight.
    Add(u8),
    Drain(u16),
    Remove(u16),
    Weight(u16, u8),
}

/// A fault: the VPC, the gateway if there is one, and the duration.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A gateway's process is killed, and started again after the duration.
    Kill(usize, usize, Time),
    /// A gateway's process is stopped (SIGSTOP), and continued after the duration.
    Stop(usize, usize, Time),
    /// The link of a pair from this VPC to the other loses every packet.
    Cut(usize, usize, Time),
    /// A demux dies, and starts again after the duration.
    Restart(usize, Time),
    /// A demux's process is stopped. The XDP program continues.
    Freeze(usize, Time),
}

/// A flow and its pattern of bursts.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub bucket: u32,
    /// The mean pause between bursts.
    pub pause: Time,
    /// Packets of a burst.
    pub burst: u64,
}

#[derive(Clone, Debug)]
pub struct Schedule {
    /// Determines the schedule and every random choice during its run.
    pub seed: u64,
    pub kind: Kind,
    /// Pairs of the cluster at the start.
    pub members: usize,
    /// Workers of each gateway.
    pub workers: usize,
    /// The flows, in each direction.
    pub flows: Vec<Flow>,
    /// The delay of links within a VPC.
    pub near: Delay,
    /// The delay through each pair, per direction.
    pub far: Vec<[Delay; 2]>,
    /// Lost packets in a million.
    pub loss: u64,
    /// Pauses of a worker in a million rounds.
    pub pauses: u64,
    /// The operators' changes, in order.
    pub ops: Vec<Op>,
    /// The faults with their start times.
    pub faults: Vec<(Time, Fault)>,
    /// How long a change waits for buckets to become idle.
    pub idle_ms: u64,
    /// The most buckets of a barrier.
    pub batch: usize,
    /// When the last packets are sent and the last faults start.
    pub end: Time,
}

impl Schedule {
    /// Whether every packet must arrive.
    pub fn is_lossless(&self) -> bool {
        self.kind == Kind::Calm
    }

    /// The schedule of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let kind = match random.below(10) {
            0..3 => Kind::Calm,
            3..5 => Kind::Lossy,
            _ => Kind::Rough,
        };
        let members = random.within(1, 4) as usize;
        let end = random.within(1_000, 3_500) * MS;
        let near = Delay {
            base: random.within(20, 50) * US,
            jitter: random.within(0, 100) * US,
        };
        let flows = (0..random.within(3, 10))
            .map(|_| flow(&mut random))
            .collect();
        let far = (0..GATEWAYS)
            .map(|_| [far(&mut random), far(&mut random)])
            .collect();
        let ops = (0..random.within(1, 5)).map(|_| op(&mut random)).collect();
        let mut faults: Vec<_> = match kind {
            Kind::Rough => (0..random.within(1, 4))
                .map(|_| (random.within(300 * MS, end), fault(&mut random)))
                .collect(),
            Kind::Calm | Kind::Lossy => Vec::new(),
        };
        if seed % 8 == 5 && kind == Kind::Rough {
            let mut random = Random::new(!seed);
            let freeze = Fault::Freeze(random.below(2) as usize, random.within(1, 2_000) * MS);
            faults.push((random.within(300 * MS, end), freeze));
        }
        Self {
            seed,
            kind,
            members,
            workers: random.within(1, 3) as usize,
            flows,
            near,
            far,
            loss: match kind {
                Kind::Calm => 0,
                Kind::Lossy | Kind::Rough => [0, 1_000, 20_000][random.below(3) as usize],
            },
            pauses: match kind {
                Kind::Calm => 0,
                Kind::Lossy | Kind::Rough => [0, 500, 5_000, 20_000][random.below(4) as usize],
            },
            ops,
            faults,
            idle_ms: [0, 20, 100][random.below(3) as usize],
            batch: [300, 700, 1024][random.below(3) as usize],
            end,
        }
    }
}

fn flow(random: &mut Random) -> Flow {
    Flow {
        // Few different buckets, so that several flows share one.
        bucket: (random.below(16) * 256 + random.below(2)) as u32,
        pause: [2 * MS, 8 * MS, 40 * MS, 300 * MS][random.below(4) as usize],
        burst: random.within(1, 5),
    }
}

fn far(random: &mut Random) -> Delay {
    let base = [150 * US, MS, 5 * MS, 25 * MS][random.below(4) as usize];
    Delay {
        base,
        jitter: random.below(base / 2 + 1),
    }
}

fn op(random: &mut Random) -> Op {
    let pair = random.below(5) as u16;
    match random.below(7) {
        0..3 => Op::Add(random.within(1, 4) as u8),
        3 => Op::Drain(pair),
        4 => Op::Remove(pair),
        _ => Op::Weight(pair, random.within(1, 4) as u8),
    }
}

fn fault(random: &mut Random) -> Fault {
    let (site, gateway) = (random.below(2) as usize, random.below(4) as usize);
    match random.below(10) {
        0..3 => Fault::Kill(site, gateway, random.within(300, 3_000) * MS),
        3..5 => Fault::Stop(site, gateway, random.within(5, 2_500) * MS),
        5..8 => Fault::Cut(site, gateway, random.within(20, 2_500) * MS),
        _ => Fault::Restart(site, random.within(300, 1_500) * MS),
    }
}
