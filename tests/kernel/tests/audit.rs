//! What the XDP program logs of ESP that it does not hand to a worker.

use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, ensure};
use aya::programs::{TestRun, TestRunOptions};
use causeway_demux::Program;
use causeway_kernel_tests::packet::{Ipv4, Ipv6, destination_options, esp, fragment, tagged, udp};
use causeway_kernel_tests::world::{FAR, OWN, SPI, ipv6, steering};

const UDP: u8 = 17;
const ESP: u8 = 50;
/// Loopback's index in every network namespace. Test runs redirect nothing.
const LOOPBACK: u32 = 1;
/// So often the program sees a packet.
const REPEAT: u32 = 1000;

/// What the program logged, in this process.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if let Ok(mut lines) = LINES.lock() {
            lines.push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// The lines that a program anew writes about a packet that comes again and again.
fn logged(object: &[u8], frame: &[u8]) -> Result<Vec<String>> {
    let mut program = Program::load(object).context("this test needs root")?;
    program.fill(LOOPBACK, &steering())?;
    let mut logger = program.logger().context("no log in the program")?;
    program.xdp()?.test_run(TestRunOptions {
        data_in: Some(frame),
        repeat: REPEAT,
        ..TestRunOptions::default()
    })?;
    logger.flush();
    let mut lines = LINES.lock().map_err(|_| anyhow!("a poisoned lock"))?;
    Ok(std::mem::take(&mut *lines))
}

/// SPI and number only where the packet tells them: the first fragment does, a later one does not.
///
/// Standard: audit-log, esp-fragment
#[test]
fn fragments_of_esp_and_unknown_spis_are_logged_with_what_they_tell() -> Result<()> {
    log::set_logger(&Lines).map_err(|error| anyhow!(error.to_string()))?;
    log::set_max_level(log::LevelFilter::Info);
    let object = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/causeway-xdp.o");
    let object = std::fs::read(object).context("build it with `cargo xtask build`")?;
    let v4 = |field, payload: &[u8]| {
        let header = Ipv4 {
            fragment: field,
            ..Ipv4::new(FAR, OWN, ESP)
        };
        header.frame(payload)
    };
    let v6 = |extensions: &[_], payload: &[u8]| {
        let header = Ipv6::new(ipv6::FAR, ipv6::OWN, ESP).behind(extensions);
        let mut frame = header.frame(payload);
        frame[15..18].copy_from_slice(&[0x0a, 0xbc, 0xde]);
        frame
    };
    let unknown = Ipv4::new(FAR, OWN, UDP).frame(&udp(4501, 4500, &esp(0xdead_beef)));
    let (dropped, punted) = (
        "auditable event: a fragment of ESP, dropped",
        "ESP with an unknown SPI, given to the kernel",
    );
    let (ends_v4, ends_v6) = (
        "source=10.2.0.10 destination=10.1.0.100 flow-label=0x0",
        "source=2001:db8:2::10 destination=2001:db8:1::100 flow-label=0xabcde",
    );
    for (frame, what, spi, sequence, ends) in [
        (v4(0x2000, &esp(SPI)), dropped, SPI, 1, ends_v4),
        (v4(0x2003, &esp(SPI)), dropped, 0, 0, ends_v4),
        (v6(&[fragment(1)], &esp(SPI)), dropped, SPI, 1, ends_v6),
        (
            v6(&[destination_options(1), fragment(0x18)], &esp(SPI)),
            dropped,
            0,
            0,
            ends_v6,
        ),
        (
            tagged(&v4(0x2000, &esp(SPI)), &[0x88a8, 0x8100]),
            dropped,
            SPI,
            1,
            ends_v4,
        ),
        (unknown, punted, 0xdead_beef, 1, ends_v4),
        (v6(&[], &esp(0x9999)), punted, 0x9999, 1, ends_v6),
    ] {
        let lines = logged(&object, &frame)?;
        let line = format!("{what}: spi={spi:#x} sequence={sequence} {ends}");
        ensure!(
            lines.iter().all(|other| *other == line),
            "{line}\n{lines:?}"
        );
        // One a second: the run takes less than a thousandth of that.
        ensure!(
            (1..10).contains(&lines.len()),
            "{} lines of {REPEAT} packets",
            lines.len()
        );
    }
    // What goes to a worker, and what is no ESP, is not logged.
    let frame = Ipv4::new(FAR, OWN, UDP).frame(&udp(1, 53, &[0; 16]));
    ensure!(logged(&object, &frame)?.is_empty());
    Ok(())
}
