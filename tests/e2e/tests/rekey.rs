//! Key changes under load, by the commands of `causeway local sa`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{must_cross, run_probe, start_lab, with_gateways};
use causeway_lab::measure::iperf::Load;
use causeway_lab::measure::{invariants, probe, rekey};
use causeway_lab::{Options, Placement, Site};

fn holds_under_load(options: Options) -> Result<()> {
    let mut lab = start_lab(options)?;
    let (one, two) = (Site::host(1, 1), Site::host(2, 1));
    // All neighbours are resolved before the packets that must not be lost.
    probe::run(&lab, one, two, &probe::Plan::default())?;
    probe::run(&lab, two, one, &probe::Plan::default())?;
    let measured = rekey::run(&lab, Load::new(4, 3), 1)?;
    let mut facts = measured.facts(lab.options());
    let exits = lab.stop_roles();
    facts.extend([
        measured.accounted(&exits),
        invariants::clean_end(&exits),
        invariants::counters(&exits),
        invariants::frames_home(&exits),
    ]);
    let broken: Vec<_> = facts.iter().filter(|fact| !fact.holds).collect();
    ensure!(broken.is_empty(), "{broken:#?}");
    Ok(())
}

#[test]
fn keys_change_under_load_on_remote_gateways() -> Result<()> {
    holds_under_load(with_gateways(2)?)
}

#[test]
fn keys_change_under_load_on_local_gateways() -> Result<()> {
    holds_under_load(Options {
        placement: Placement::Local,
        ..with_gateways(2)?
    })
}

#[test]
fn an_sa_is_listed_until_it_retires_and_only_to_its_owner() -> Result<()> {
    let lab = start_lab(with_gateways(1)?)?;
    let far = Site::gateway(2, 1);
    let line_of = |spi: &str| -> Result<Option<String>> {
        let list = lab.list_sas(far)?;
        Ok(list
            .lines()
            .find(|line| line.starts_with(spi))
            .map(str::to_owned))
    };
    let (old, new) = ("0x00001001", "0x00011001");
    ensure!(line_of(old)?.context("no SA")?.contains("active"));
    lab.rekey(1, 1, 1, Duration::from_secs(2))?;
    ensure!(line_of(new)?.context("not installed")?.contains("active"));
    ensure!(
        line_of(old)?
            .context("removed at once")?
            .contains("retiring")
    );
    let start = std::time::Instant::now();
    while line_of(old)?.is_some() {
        ensure!(
            start.elapsed() < Duration::from_secs(30),
            "the old SA is not removed"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure!(
        start.elapsed() > Duration::from_millis(1500),
        "the old SA was removed before the grace time"
    );
    // The key is not in the list, the status, the metrics or the log.
    let key = std::fs::read_to_string(lab.folder().join("v2-gateway-1/gateway-1-inbound-1.key"))?;
    let digits = key.split('"').nth(3).context("a key")?;
    let status = serde_json::to_string(&lab.status(far)?)?;
    let log = std::fs::read_to_string(lab.folder().join("v2-gateway-1.err"))?;
    for text in [lab.list_sas(far)?, status, lab.metrics(far)?, log] {
        ensure!(!text.contains(&digits[..16]), "a key is shown: {text}");
    }

    let socket = lab.folder().join("v2-gateway-1/control.sock");
    let retire = |command: &mut Command| -> Result<String> {
        let output = command
            .args(["local", "--socket"])
            .arg(&socket)
            .args(["sa", "retire", "--spi", new])
            .output()?;
        ensure!(output.status.code() == Some(1), "{output:?}");
        Ok(String::from_utf8(output.stderr)?)
    };
    let causeway = &lab.options().causeway;
    let last = retire(&mut Command::new(causeway))?;
    ensure!(last.contains("Install its successor first"), "{last}");
    // Another user can run this copy of the binary, but cannot reach the socket.
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let copy = folder.path().join("causeway");
    std::fs::copy(causeway, &copy)?;
    let mut nobody = Command::new("setpriv");
    nobody
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ])
        .arg(&copy);
    let refused = retire(&mut nobody)?;
    ensure!(refused.contains("not authorised"), "{refused}");
    Ok(())
}

/// A killed process continues under the same key after the sequence numbers that are reserved on disk. The peer's replay
/// window accepts the new numbers, and no number is used twice.
#[test]
fn a_killed_sender_continues_after_its_reserved_numbers() -> Result<()> {
    let mut lab = start_lab(with_gateways(1)?)?;
    let near = Site::gateway(1, 1);
    run_probe(&lab)?;
    lab.rekey(1, 1, 1, Duration::ZERO)?;
    for _ in 0..3 {
        must_cross(&lab).context("before the kill")?;
        lab.kill_role(near)?;
        // The control socket of the killed process still exists.
        lab.start_role(near)?;
        lab.switch_sa(1, 1, 1)?;
    }
    must_cross(&lab)?;
    let status = lab.status(Site::gateway(2, 1))?;
    let drops = &status.workers[0].drops;
    for reason in ["replayed", "replay-too-old"] {
        ensure!(!drops.contains_key(reason), "{drops:?}");
    }
    Ok(())
}
