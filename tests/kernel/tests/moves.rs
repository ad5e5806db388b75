//! Moves of buckets while the program runs: at once, or once the bucket is idle.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::programs::{TestRun, TestRunOptions};
use causeway_demux::steering::Peering;
use causeway_demux::{Program, Steering, skew};
use causeway_kernel_tests::load;
use causeway_kernel_tests::packet::{Ipv4, Ipv6, tcp};
use causeway_kernel_tests::world::{FAR, HOST, ipv6, steering};
use causeway_steering::bucket::clock;
use causeway_steering::headers::ETHERNET;
use causeway_steering::{BUCKETS, Bucket, FlowKey, Headers, Verdict, decide};

/// Loopback's index in every network namespace. Test runs redirect nothing.
const LOOPBACK: u32 = 1;
/// A pause longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

struct Kernel {
    program: Program,
    steering: Steering,
}

impl Kernel {
    fn new() -> Result<Self> {
        Self::with(steering())
    }

    fn with(steering: Steering) -> Result<Self> {
        let mut program = load()?;
        program.fill(LOOPBACK, &steering)?;
        Ok(Self { program, steering })
    }

    /// The gateway to which the program sends a packet. It must be the host's verdict on the same
    /// tables.
    fn gateway(&mut self, frame: &[u8]) -> Result<u32> {
        for (index, peering) in (0..).zip(&mut self.steering.peerings) {
            peering.buckets = self.program.buckets(index)?;
        }
        self.steering.now = skew::now();
        let verdict = decide(frame, &self.steering);
        let before = self.program.counters()?;
        self.program.xdp()?.test_run(TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::default()
        })?;
        let after = self.program.counters()?;
        let counts = before.gateways.iter().zip(&after.gateways);
        let sent = counts.map(|(before, after)| after.packets - before.packets);
        let gateway = sent.clone().position(|sent| sent == 1);
        let gateway = gateway.context("the packet went to no gateway")? as u32;
        ensure!(
            sent.sum::<u64>() == 1,
            "one packet went to several gateways"
        );
        ensure!(
            matches!(verdict, Verdict::Remote { gateway: host, .. } if host == gateway),
            "the host's verdict is {verdict:?}, the kernel's is gateway {gateway}"
        );
        Ok(gateway)
    }

    fn set_skew(&mut self, skew: Duration) -> Result<()> {
        self.steering.skew = skew;
        Ok(self.program.set_skew(skew)?)
    }

    fn entry(&mut self, bucket: u32) -> Result<Bucket> {
        Ok(self.program.buckets(0)?[bucket as usize])
    }
}

/// The bucket of the flow to which a packet belongs.
fn bucket(steering: &Steering, frame: &[u8]) -> u32 {
    let headers = Headers::parse(frame, ETHERNET).expect("a valid frame");
    steering.hash.bucket(&FlowKey::of(frame, &headers))
}

/// One flow of each family: a packet, the bucket, and the gateway that does not carry the bucket yet.
fn flows(steering: &Steering) -> impl Iterator<Item = (Vec<u8>, u32, u32)> {
    let frames = [
        Ipv4::new(HOST, FAR, 6).frame(&tcp(1234, 443)),
        Ipv6::new(ipv6::HOST, ipv6::FAR, 6).frame(&tcp(1234, 443)),
    ];
    frames
        .map(|frame| {
            let bucket = bucket(steering, &frame);
            let carried_by = steering.peerings[0].buckets[bucket as usize].gateway;
            (frame, bucket, u32::from(carried_by ^ 1))
        })
        .into_iter()
}

/// Waits until a bucket has had no packet for longer than `skew`.
fn pause(entry: Bucket, skew: Duration) {
    while !entry.is_idle(skew::now(), clock(skew.as_nanos() as u64)) {
        std::thread::yield_now();
    }
}

#[test]
fn an_assigned_bucket_moves_at_once_and_no_other_does() -> Result<()> {
    let mut kernel = Kernel::new()?;
    let before = kernel.program.buckets(0)?;
    for (frame, bucket, other) in flows(&kernel.steering.clone()) {
        ensure!(kernel.gateway(&frame)? == other ^ 1);
        kernel.program.assign(0, [bucket], other)?;
        ensure!(kernel.gateway(&frame)? == other);
        let moved: Vec<u32> = (0..BUCKETS)
            .zip(kernel.program.buckets(0)?.iter().zip(&before))
            .filter_map(|(bucket, (now, before))| (now != before).then_some(bucket))
            .collect();
        ensure!(moved == [bucket], "{moved:?} moved instead of {bucket}");
        kernel.program.assign(0, [bucket], other ^ 1)?;
        ensure!(kernel.gateway(&frame)? == other ^ 1);
    }
    Ok(())
}

#[test]
fn a_busy_bucket_stays_and_an_idle_one_moves_for_good() -> Result<()> {
    let mut kernel = Kernel::new()?;
    for (frame, bucket, other) in flows(&kernel.steering.clone()) {
        kernel.set_skew(NEVER)?;
        kernel.program.assign_when_idle(0, [bucket], other)?;
        let seeded = kernel.entry(bucket)?;
        for _ in 0..3 {
            ensure!(kernel.gateway(&frame)? == other ^ 1, "a busy bucket moved");
        }
        let entry = kernel.entry(bucket)?;
        ensure!(entry.is_moving() && entry.last.wrapping_sub(seeded.last) as i32 > 0);
        ensure!(kernel.program.settle(0, [bucket])?.is_empty());

        kernel.set_skew(Duration::ZERO)?;
        pause(entry, skew::LEAST_SKEW);
        ensure!(
            kernel.gateway(&frame)? == other,
            "an idle bucket did not move"
        );
        ensure!(kernel.entry(bucket)? == Bucket::direct(other as u16));
        ensure!(kernel.gateway(&frame)? == other);
        ensure!(kernel.program.settle(0, [bucket])? == [bucket]);
    }
    Ok(())
}

#[test]
fn the_host_settles_idle_buckets_only() -> Result<()> {
    let mut kernel = Kernel::new()?;
    let flows: Vec<_> = flows(&kernel.steering.clone()).collect();
    let (frame, bucket, other) = &flows[0];
    kernel.set_skew(NEVER)?;
    kernel.program.assign_when_idle(0, [*bucket], *other)?;
    ensure!(kernel.program.settle(0, 0..BUCKETS)?.len() == BUCKETS as usize - 1);
    kernel.set_skew(Duration::ZERO)?;
    pause(kernel.entry(*bucket)?, skew::LEAST_SKEW);
    ensure!(kernel.program.settle(0, [*bucket])? == [*bucket]);
    ensure!(kernel.entry(*bucket)? == Bucket::direct(*other as u16));
    ensure!(kernel.gateway(frame)? == *other);
    Ok(())
}

/// Two peerings share two remote gateways, and the second's prefix is within the first's. The table of
/// the longest prefix steers a flow, and a bucket that moves in one table stays in the other.
#[test]
fn gateways_of_several_clusters_are_steered_by_separate_tables() -> Result<()> {
    let mut steering = steering();
    let [outer, inner] = ["10.2.0.0/16", "10.2.128.0/17"].map(|prefix| prefix.parse());
    steering.peerings = vec![
        Peering::over(vec![outer?], &[0, 1]),
        Peering::over(vec![inner?], &[1, 0]),
    ];
    let mut kernel = Kernel::with(steering)?;
    for n in 0..6u16 {
        let frames = [10, 200].map(|third| {
            let to = [10, 2, third, 7];
            Ipv4::new(HOST, to, 6).frame(&tcp(1024 + n, 443))
        });
        let buckets = [0, 1].map(|at| bucket(&kernel.steering, &frames[at]));
        let before = [kernel.gateway(&frames[0])?, kernel.gateway(&frames[1])?];
        ensure!(before == [buckets[0] & 1, buckets[1] & 1 ^ 1]);

        kernel.program.assign(1, [buckets[1]], before[1] ^ 1)?;
        ensure!(kernel.gateway(&frames[0])? == before[0]);
        ensure!(kernel.gateway(&frames[1])? == before[1] ^ 1);
        kernel.program.assign(0, [buckets[0]], before[0] ^ 1)?;
        ensure!(kernel.gateway(&frames[0])? == before[0] ^ 1);
        ensure!(kernel.gateway(&frames[1])? == before[1] ^ 1);
        kernel.program.assign(0, [buckets[0]], before[0])?;
        kernel.program.assign(1, [buckets[1]], before[1])?;
    }
    Ok(())
}

/// An immediate assignment ends a pending move, also if it is to another gateway or to the old one.
#[test]
fn an_assignment_ends_a_move() -> Result<()> {
    let mut kernel = Kernel::new()?;
    for (frame, bucket, other) in flows(&kernel.steering.clone()) {
        kernel.set_skew(NEVER)?;
        for gateway in [other, other ^ 1] {
            kernel.program.assign_when_idle(0, [bucket], other)?;
            kernel.program.assign(0, [bucket], gateway)?;
            ensure!(kernel.entry(bucket)? == Bucket::direct(gateway as u16));
            ensure!(kernel.gateway(&frame)? == gateway);
        }
    }
    Ok(())
}
