//! New keys while packets flow, by the commands that a person types.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{crosses, must_cross, options, running};
use causeway_lab::measure::survey::Plan;
use causeway_lab::measure::{laws, probe, rekey};
use causeway_lab::{Options, Placement, Site};

fn holds_under_load(options: Options) -> Result<()> {
    let mut lab = running(options)?;
    let (one, two) = (Site::host(1, 1), Site::host(2, 1));
    // Neighbours are resolved before what must not be lost is sent.
    probe::run(&lab, one, two, &probe::Plan::default())?;
    probe::run(&lab, two, one, &probe::Plan::default())?;
    let plan = Plan {
        duration: 3,
        ..Plan::default()
    };
    let seen = rekey::run(&lab, &plan, 1)?;
    let mut facts = seen.facts(lab.options());
    let finals = lab.stop_roles();
    facts.extend([
        seen.accounted(&finals),
        laws::clean_end(&finals),
        laws::counters(&finals),
        laws::frames_home(&finals),
    ]);
    let broken: Vec<_> = facts.iter().filter(|fact| !fact.holds).collect();
    ensure!(broken.is_empty(), "{broken:#?}");
    Ok(())
}

#[test]
fn keys_change_under_load_on_remote_gateways() -> Result<()> {
    holds_under_load(Options {
        gateways: 2,
        ..options()?
    })
}

#[test]
fn keys_change_under_load_on_local_gateways() -> Result<()> {
    holds_under_load(Options {
        gateways: 2,
        placement: Placement::Local,
        ..options()?
    })
}

#[test]
fn an_sa_is_seen_from_install_to_retirement_and_by_nobody_else() -> Result<()> {
    let lab = running(Options {
        gateways: 1,
        ..options()?
    })?;
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
    ensure!(line_of(old)?.context("gone at once")?.contains("retiring"));
    let start = std::time::Instant::now();
    while line_of(old)?.is_some() {
        ensure!(start.elapsed() < Duration::from_secs(30), "it stays");
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure!(start.elapsed() > Duration::from_millis(1500), "no grace");
    // The key is not in the list, the status, the metrics or the log.
    let key = std::fs::read_to_string(lab.folder().join("v2-gateway-1/gateway-1-inbound-1.key"))?;
    let digits = key.split('"').nth(3).context("a key")?;
    let status = serde_json::to_string(&lab.status(far)?)?;
    let log = std::fs::read_to_string(lab.folder().join("v2-gateway-1.err"))?;
    for text in [lab.list_sas(far)?, status, lab.metrics(far)?, log] {
        ensure!(!text.contains(&digits[..16]), "a key is shown: {text}");
    }

    let socket = lab.folder().join("v2-gateway-1/control.sock");
    let ask = |command: &mut Command| -> Result<String> {
        let output = command
            .args(["local", "--socket"])
            .arg(&socket)
            .args(["sa", "retire", "--spi", new])
            .output()?;
        ensure!(output.status.code() == Some(1), "{output:?}");
        Ok(String::from_utf8(output.stderr)?)
    };
    let causeway = &lab.options().causeway;
    let last = ask(&mut Command::new(causeway))?;
    ensure!(last.contains("Install its successor first"), "{last}");
    // Another user, who reaches the binary but not the socket.
    let copy = std::env::temp_dir().join(format!("causeway-{}", std::process::id()));
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
    let refused = ask(&mut nobody);
    std::fs::remove_file(&copy)?;
    let refused = refused?;
    ensure!(refused.contains("not authorised"), "{refused}");
    Ok(())
}

/// Law 3 with SAs that come at run time: a process that is killed under a key takes it up again where
/// its numbers on disk stand, so that the peer's window takes them, and none that it has seen.
#[test]
fn a_killed_sender_goes_on_behind_its_numbers() -> Result<()> {
    let mut lab = running(Options {
        gateways: 1,
        ..options()?
    })?;
    let near = Site::gateway(1, 1);
    crosses(&lab)?;
    lab.rekey(1, 1, 1, Duration::ZERO)?;
    for _ in 0..3 {
        must_cross(&lab).context("before it is killed")?;
        lab.kill_role(near)?;
        // A socket that a killed process left is no obstacle.
        lab.start_role(near)?;
        lab.switch_sa(1, 1, 1)?;
    }
    must_cross(&lab)?;
    let status = lab.status(Site::gateway(2, 1))?;
    let drops = &status.workers[0].drops;
    for reason in ["replayed", "left-of-window"] {
        ensure!(!drops.contains_key(reason), "{drops:?}");
    }
    Ok(())
}
