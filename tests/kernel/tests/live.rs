//! `causeway explain` reads the kernel's tables: the verdict on them is the host's, and reading moves no
//! bucket.

use anyhow::{Context, ensure};
use causeway_demux::{Live, Steering};
use causeway_kernel_tests::corpus::corpus;
use causeway_kernel_tests::load;
use causeway_kernel_tests::world::steering;
use causeway_steering::{BUCKETS, Tables, decide};

/// Loopback's index in every network namespace.
const LOOPBACK: u32 = 1;

fn compare_verdicts(live: Live<'_>, steering: &Steering) -> anyhow::Result<()> {
    for case in corpus() {
        let (host, kernel) = (
            decide(&case.frame[..], steering),
            decide(&case.frame[..], &live),
        );
        ensure!(
            host == kernel,
            "{}: {host:?} on the host's tables, {kernel:?} on the kernel's",
            case.name
        );
    }
    Ok(live.finish()?)
}

#[test]
fn the_kernels_tables_are_read_as_they_were_written() -> anyhow::Result<()> {
    let steering = steering();
    let mut program = load()?;
    ensure!(
        program.live(0)?.host().is_none(),
        "the tables are filled before `fill`"
    );
    program.fill(LOOPBACK, &steering)?;
    compare_verdicts(program.live(0)?, &steering)?;
    let (spi, worker) = (0x7777, 1);
    program.steer_spi(spi, worker)?;
    ensure!(program.live(0)?.worker_of(spi) == Some(worker));
    program.remove_spi(spi)?;
    ensure!(program.live(0)?.worker_of(spi).is_none());
    // An index beyond a table reads as absent, without an error.
    let live = program.live(3)?;
    let host = live.host().context("the tables are filled")?;
    ensure!(live.gateway(1 << 20).is_none() && live.queue() == 3);
    ensure!(live.gateway_of(u32::MAX, 0, &host).is_none());
    live.finish()?;
    Ok(())
}

/// An idle bucket changes its gateway at its next packet, not at a lookup.
#[test]
fn a_lookup_moves_no_bucket() -> anyhow::Result<()> {
    let steering = steering();
    let mut program = load()?;
    program.fill(LOOPBACK, &steering)?;
    program.assign_when_idle(0, 0..BUCKETS, 1)?;
    let before = program.buckets(0)?;
    ensure!(before.iter().any(|bucket| bucket.is_moving()));
    for case in corpus() {
        decide(&case.frame[..], &program.live(0)?);
    }
    ensure!(program.buckets(0)? == before, "a lookup has moved a bucket");
    Ok(())
}
