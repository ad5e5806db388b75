//! The kernel's tables as `causeway explain` reads them give the verdict that the program gives, and
//! reading moves nothing.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use causeway_demux::{Live, Program, Steering};
use causeway_kernel_tests::corpus::corpus;
use causeway_kernel_tests::world::steering;
use causeway_steering::{BUCKETS, Tables, decide};

/// Loopback's index in every network namespace.
const LOOPBACK: u32 = 1;

fn loaded() -> anyhow::Result<Program> {
    let object = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/causeway-xdp.o");
    let object = std::fs::read(&object)
        .with_context(|| format!("no {}: build it with `cargo xtask build`", object.display()))?;
    Program::load(&object).context("this test needs root")
}

fn agree(live: Live<'_>, steering: &Steering) -> anyhow::Result<()> {
    for case in corpus() {
        let (here, there) = (
            decide(&case.frame[..], steering),
            decide(&case.frame[..], &live),
        );
        ensure!(
            here == there,
            "{}: {here:?}, by the maps {there:?}",
            case.name
        );
    }
    Ok(live.finish()?)
}

#[test]
fn the_kernels_tables_are_read_as_they_were_written() -> anyhow::Result<()> {
    let steering = steering();
    let mut program = loaded()?;
    ensure!(program.live(0)?.host().is_none(), "filled before it was");
    program.fill(LOOPBACK, &steering)?;
    agree(program.live(0)?, &steering)?;
    let (spi, worker) = (0x7777, 1);
    program.steer_spi(spi, worker)?;
    ensure!(program.live(0)?.worker_of(spi) == Some(worker));
    program.forget_spi(spi)?;
    ensure!(program.live(0)?.worker_of(spi).is_none());
    // Beyond the tables is nothing, and no error.
    let live = program.live(3)?;
    let host = live.host().context("it is filled")?;
    ensure!(live.gateway(1 << 20).is_none() && live.queue() == 3);
    ensure!(live.gateway_of(u32::MAX, 0, &host).is_none());
    live.finish()?;
    Ok(())
}

/// A bucket that is idle goes over with the next packet, and not because somebody asked where that
/// would go.
#[test]
fn to_ask_moves_no_bucket() -> anyhow::Result<()> {
    let steering = steering();
    let mut program = loaded()?;
    program.fill(LOOPBACK, &steering)?;
    program.assign_when_idle(0, 0..BUCKETS, 1)?;
    let before = program.buckets(0)?;
    ensure!(before.iter().any(|bucket| bucket.is_moving()));
    for case in corpus() {
        decide(&case.frame[..], &program.live(0)?);
    }
    ensure!(program.buckets(0)? == before, "asked, and it moved");
    Ok(())
}
