//! What a tunnel's settings make of the traffic on the wire.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{ends_in_order, laid_out, must_cross, options, output};
use causeway_lab::{Options, Site};

/// Lines of a tunnel, the same on both sides.
const SETTINGS: &str = "dscp = 46\ndont-fragment = \"set\"\nesn = false\ntfc-pad-to = 1300\n\
                        dummy-interval = 20\nlifetime.hard.seconds = 3600";
/// 1300 octets with 2 of trailer in fours, 16 of ICV, 8 each of IV, ESP and UDP, and the IP header.
const PADDED: &str = "length 1364)";

/// Standard: dscp-set, df-set, tfc-made, dummy-made, dummy-dropped
#[test]
fn settings_hold_on_the_wire() -> Result<()> {
    let mut lab = laid_out(Options {
        gateways: 1,
        ..options()?
    })?;
    lab.configure()?;
    for vpc in [1, 2] {
        let file = lab.config_file(Site::gateway(vpc, 1));
        let text = std::fs::read_to_string(&file)?;
        ensure!(text.contains("encapsulation ="), "no tunnel in {text}");
        let with = format!("{SETTINGS}\nencapsulation =");
        std::fs::write(&file, text.replacen("encapsulation =", &with, 1))?;
    }
    lab.start_roles()?;
    must_cross(&lab)?;

    // The hosts are quiet now; the tunnels are not.
    let wire = output(
        &lab,
        Site::switch(1),
        "tcpdump",
        &["-nvi", "cwlab-trunk", "-c", "20", "udp port 4500"],
    )?;
    for said in ["tos 0xb8", "flags [DF]", PADDED] {
        let count = wire.matches(said).count();
        ensure!(count == 20, "{said:?} in {count} of 20 packets: {wire}");
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let workers = lab.workers(2)?;
        let worker = workers.first().context("a worker")?;
        if worker.drops.contains_key("dummy") && worker.originated > 0 {
            break;
        }
        ensure!(Instant::now() < deadline, "no dummy arrives: {worker:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    ends_in_order(&mut lab)
}
