//! The XDP program's log of ESP packets that do not go to a worker.

use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, ensure};
use aya::programs::{TestRun, TestRunOptions};
use causeway_kernel_tests::load;
use causeway_kernel_tests::packet::{Ipv4, Ipv6, destination_options, esp, fragment, tagged, udp};
use causeway_kernel_tests::world::{FAR, OWN, SPI, ipv6, steering};

const UDP: u8 = 17;
const ESP: u8 = 50;
/// Loopback's index in every network namespace. Test runs redirect nothing.
const LOOPBACK: u32 = 1;
/// Runs of the program on each packet.
const REPEAT: u32 = 1000;

/// The lines that the program logged, in this process.
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

/// The lines that a newly loaded program logs on [`REPEAT`] runs on one packet.
fn logged(frame: &[u8]) -> Result<Vec<String>> {
    let mut program = load()?;
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

/// The log has the SPI and the sequence number of a first fragment. A later fragment does not contain
/// them.
///
/// Standard: audit-log, esp-fragment
#[test]
fn fragments_of_esp_and_unknown_spis_are_logged() -> Result<()> {
    log::set_logger(&Lines).map_err(|error| anyhow!(error.to_string()))?;
    log::set_max_level(log::LevelFilter::Info);
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
        let lines = logged(&frame)?;
        let line = format!("{what}: spi={spi:#x} sequence={sequence} {ends}");
        ensure!(
            lines.iter().all(|other| *other == line),
            "{line}\n{lines:?}"
        );
        // At most one line a second and CPU is logged, and the run takes less than a second.
        ensure!(
            (1..10).contains(&lines.len()),
            "{} lines of {REPEAT} packets",
            lines.len()
        );
    }
    // A packet that is not ESP is not logged.
    let frame = Ipv4::new(FAR, OWN, UDP).frame(&udp(1, 53, &[0; 16]));
    ensure!(logged(&frame)?.is_empty());
    Ok(())
}
