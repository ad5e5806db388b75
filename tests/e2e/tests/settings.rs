//! A tunnel's settings, checked in packets on the wire.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{build_lab, must_cross, output, stop_cleanly, with_gateways};
use causeway_lab::Site;

/// Settings of a tunnel, the same on both sides.
const SETTINGS: &str = "dscp = 46\ndont-fragment = \"set\"\nesn = false\ntfc-pad-to = 1300\n\
                        dummy-interval = 20\nlifetime.hard.seconds = 3600";
/// The IP header, 8 octets each of UDP, ESP and IV, 1300 of padded payload, its trailer in words of 4, and 16 of ICV.
const PADDED: &str = "length 1364)";

/// Standard: dscp-set, df-set, tfc-made, dummy-made, dummy-dropped
#[test]
fn settings_hold_on_the_wire() -> Result<()> {
    let mut lab = build_lab(with_gateways(1)?)?;
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

    // The hosts send nothing now, but the tunnels send dummy packets.
    let wire = output(
        &lab,
        Site::switch(1),
        "tcpdump",
        &["-nvi", "cwlab-trunk", "-c", "20", "udp port 4500"],
    )?;
    for text in ["tos 0xb8", "flags [DF]", PADDED] {
        let count = wire.matches(text).count();
        ensure!(count == 20, "{text:?} in {count} of 20 packets: {wire}");
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let workers = lab.workers(2)?;
        let worker = workers.first().context("a worker")?;
        if worker.drops.contains_key("dummy") && worker.originated > 0 {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "no dummy packet arrives: {worker:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    stop_cleanly(&mut lab)
}
