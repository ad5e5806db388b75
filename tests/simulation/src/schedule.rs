//! What a seed plays.

use crate::link::{Length, MS, Time, US};
use crate::random::Random;

/// Gateways that there are in each VPC, in the cluster or not.
pub const GATEWAYS: usize = 6;

/// What may go wrong in a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: planned changes, links that lose nothing.
    Calm,
    /// Links that lose packets, workers that pause.
    Lossy,
    /// Also gateways that stop or die, ways that break, demuxes that restart.
    Rough,
}

/// A change of the cluster. Gateways by number.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// The next one joins, with this weight.
    Add(u8),
    /// This one is drained.
    Drain(u16),
    /// This one leaves.
    Remove(u16),
    /// This one gets a weight.
    Weight(u16, u8),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// kill -9, and a start after that time.
    Kill(usize, usize, Time),
    /// SIGSTOP, and SIGCONT after that time.
    Stop(usize, usize, Time),
    /// A pair's way from one VPC to the other loses all.
    Cut(usize, usize, Time),
    /// A demux dies and starts again.
    Restart(usize, Time),
    /// A demux' process is stopped for that time. The program goes on.
    Freeze(usize, Time),
}

/// A flow: how its packets come.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Its bucket.
    pub bucket: u32,
    /// Mean pause between bursts.
    pub pause: Time,
    /// Packets of a burst.
    pub burst: u64,
}

/// What is played.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Draws all that follows, and all that is drawn while it is played.
    pub seed: u64,
    /// What may go wrong.
    pub kind: Kind,
    /// Pairs of the cluster at the begin.
    pub members: usize,
    /// Workers of each gateway.
    pub workers: usize,
    /// In each direction.
    pub flows: Vec<Flow>,
    /// Within a VPC.
    pub near: Length,
    /// Through each pair, per direction.
    pub far: Vec<[Length; 2]>,
    /// Losses in a million.
    pub loss: u64,
    /// How often, in a million rounds, a worker pauses.
    pub pauses: u64,
    /// What operators ask for, one after the other.
    pub ops: Vec<Op>,
    /// What goes wrong, and when.
    pub faults: Vec<(Time, Fault)>,
    /// How long a change waits for buckets to fall idle.
    pub idle_ms: u64,
    /// Buckets of a barrier.
    pub batch: usize,
    /// Until when packets are sent and things go wrong.
    pub end: Time,
}

impl Schedule {
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
        let near = Length {
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
        // Few buckets, so that flows meet in one.
        bucket: (random.below(16) * 256 + random.below(2)) as u32,
        pause: [2 * MS, 8 * MS, 40 * MS, 300 * MS][random.below(4) as usize],
        burst: random.within(1, 5),
    }
}

fn far(random: &mut Random) -> Length {
    let base = [150 * US, MS, 5 * MS, 25 * MS][random.below(4) as usize];
    Length {
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
