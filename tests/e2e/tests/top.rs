//! `causeway top` on a complete peering under load.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{start_lab, with_gateways};
use causeway_lab::measure::probe;
use causeway_lab::{Lab, Site};

/// Runs `causeway top` once for these roles, over their control sockets.
fn top(lab: &Lab, roles: &[Site]) -> Result<Output> {
    let mut command = Command::new(&lab.options().causeway);
    command.args(["top", "--once", "--interval", "1"]);
    for role in roles {
        let socket = lab.folder().join(role.to_string()).join("control.sock");
        command.arg("--endpoint").arg(socket);
    }
    Ok(command.output()?)
}

/// The cells of a table's rows by column name. `title` is the start of the table's title. Cells must not contain two spaces
/// in a row.
fn rows<'a>(text: &'a str, title: &str) -> Result<Vec<Vec<(&'a str, &'a str)>>> {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.starts_with(title))
        .skip(1);
    let cells = |line: &'a str| {
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
    };
    let header = lines
        .next()
        .with_context(|| format!("no {title} in:\n{text}"))?;
    let rows = lines.take_while(|line| !line.is_empty());
    Ok(rows
        .map(|row| cells(header).zip(cells(row)).collect())
        .collect())
}

fn cell<'a>(row: &[(&str, &'a str)], column: &str) -> Result<&'a str> {
    let cell = row.iter().find(|(name, _)| *name == column);
    Ok(cell.with_context(|| format!("no {column} in {row:?}"))?.1)
}

#[test]
fn all_roles_are_shown_and_a_missing_one_is_reported() -> Result<()> {
    let mut lab = start_lab(with_gateways(2)?)?;
    let roles = lab.role_sites();
    let done = AtomicBool::new(false);
    let plan = probe::Plan {
        packets_per_flow: 50,
        rate: 5_000,
        ..probe::Plan::default()
    };
    let output = thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            while !done.load(Relaxed) {
                probe::run(&lab, Site::host(1, 1), Site::host(2, 1), &plan)?;
            }
            Ok::<_, anyhow::Error>(())
        });
        let output = top(&lab, &roles);
        done.store(true, Relaxed);
        let traffic = traffic.join();
        traffic.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        output
    })?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{text}");

    let roles_shown = rows(&text, "ROLES")?;
    ensure!(roles_shown.len() == roles.len(), "{text}");
    for row in &roles_shown {
        ensure!(cell(row, "STATE")? == "ready", "{text}");
    }
    // Both demuxes follow the four gateways, in the order of the start.
    for demux in [5, 6] {
        let pairs = rows(&text, &format!("GATEWAYS of {demux}"))?;
        ensure!(pairs.len() == 2, "{text}");
        for pair in &pairs {
            ensure!(
                cell(pair, "STATE")? == "up" && cell(pair, "BUCKETS")? == "2048",
                "{text}"
            );
        }
    }
    let workers = rows(&text, "WORKERS")?;
    ensure!(workers.len() == 4, "{text}");
    for worker in &workers {
        for figure in ["IN pkt/s", "p99"] {
            let figure = cell(worker, figure)?;
            ensure!(!["0", "-"].contains(&figure), "{worker:?}\n{text}");
        }
    }
    let stages = rows(&text, "STAGES")?;
    ensure!(stages.len() == 4, "{text}");
    for worker in &stages {
        for figure in ["ALL", "receive", "classify", "transmit", "BURST"] {
            let figure = cell(worker, figure)?;
            ensure!(!["0", "-"].contains(&figure), "{worker:?}\n{text}");
        }
    }

    let stopped = roles[0];
    lab.stop_role(stopped)?;
    let output = top(&lab, &roles)?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(1), "{text}");
    ensure!(
        cell(&rows(&text, "ROLES")?[0], "STATE")? == "no answer",
        "{text}"
    );
    ensure!(rows(&text, "NO ANSWER")?.len() == 1, "{text}");
    Ok(())
}
