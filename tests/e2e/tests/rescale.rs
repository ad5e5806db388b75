//! Clusters that change while packets cross.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{crosses, laid_out, must_cross, options, running};
use causeway_lab::measure::flood::{self, Plan, SMALL};
use causeway_lab::measure::iperf::Way;
use causeway_lab::measure::window::Window;
use causeway_lab::{Change, Lab, Options, Outcome, Placement, Site, Table};
use rustix::process::Signal;

/// Half of the packets are of flows that pause for no longer than 8 ms, half of flows that pause for
/// a quarter of a second.
const THIN: Plan = Plan {
    flows: 200,
    busy_flows: 8,
    rate: 1_000,
    size: SMALL,
    way: Way::Both,
};

/// Floods while `work` is done; tells what became of the packets of each direction from then on.
fn flooded<T>(
    lab: &Lab,
    work: impl FnOnce(&dyn Fn() -> u64) -> Result<(T, Range<u64>)>,
) -> Result<(T, [Window; 2])> {
    crosses(lab)?;
    let begun = Instant::now();
    let now = || begun.elapsed().as_nanos() as u64;
    let ((done, window), records) = flood::around(lab, THIN, begun, || {
        settle(lab)?;
        work(&now)
    })?;
    Ok((done, records.map(|record| Window::of(&record, &window))))
}

/// Waits until both demuxes have heard each other and all their pairs.
fn settle(lab: &Lab) -> Result<()> {
    until(lab, |table| {
        let up = |pair: &causeway_lab::Pair| pair.state == "up" || pair.state == "drained";
        table.peer == "same" && table.pairs.iter().all(up)
    })
}

/// Waits until it holds of both tables.
fn until(lab: &Lab, holds: impl Fn(&Table) -> bool) -> Result<()> {
    until_in(lab, 1, &holds)?;
    until_in(lab, 2, &holds)
}

/// Waits until it holds of a VPC's table.
fn until_in(lab: &Lab, vpc: u8, holds: impl Fn(&Table) -> bool) -> Result<()> {
    let begun = Instant::now();
    loop {
        let table = lab.table(vpc)?;
        if holds(&table) {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(15), "{table:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn planned(options: Options) -> Result<()> {
    let lab = running(Options {
        gateways: 3,
        standby: 1,
        ..options
    })?;
    let (steps, windows) = flooded(&lab, |now| {
        let start = now();
        let mut steps = Vec::new();
        for change in [
            Change::Add(3),
            Change::Drain(1),
            Change::Weight(3, 2),
            Change::Remove(1),
        ] {
            steps.push((change, lab.change_both(change)?));
        }
        Ok((steps, start..now()))
    })?;
    for (change, outcomes) in steps {
        for Outcome {
            moved_idle,
            moved_by_barrier,
            minimum,
            dropped,
            ..
        } in outcomes
        {
            ensure!(moved_idle + moved_by_barrier == minimum, "{change:?}");
            // Removing a gateway that has been drained moves nothing.
            ensure!((minimum > 0) == (change != Change::Remove(1)), "{change:?}");
            ensure!(dropped == 0, "{change:?}");
        }
    }
    for window in windows {
        ensure!(window.sent > 100, "{window:?}");
        let wrong = [window.lost, window.reordered, window.duplicated];
        ensure!(wrong == [0; 3], "{window:?}");
    }
    let tables = [lab.table(1)?, lab.table(2)?];
    ensure!(tables[0].digest == tables[1].digest, "{tables:?}");
    // Two thirds of the buckets to the weight of two.
    ensure!([2731, 2730].contains(&tables[0].buckets(3)), "{tables:?}");
    Ok(())
}

#[test]
fn remote_gateways_come_and_go_unnoticed() -> Result<()> {
    planned(options()?)
}

#[test]
fn local_gateways_come_and_go_unnoticed() -> Result<()> {
    planned(Options {
        placement: Placement::Local,
        ..options()?
    })
}

/// The pair of a killed gateway gives its buckets to the other, and gets them back when it returns.
#[test]
fn a_killed_gateway_is_replaced_within_a_second() -> Result<()> {
    let lab = running(Options {
        gateways: 2,
        ..options()?
    })?;
    let dead = Site::gateway(1, 2);
    let (_, windows) = flooded(&lab, |now| {
        let start = now();
        lab.signal_role(dead, Signal::KILL)?;
        until(&lab, |table| table.buckets(2) == 0)?;
        // Long enough for a flow that is not replaced to be silent for more than a second.
        thread::sleep(Duration::from_millis(1500));
        Ok(((), start..now()))
    })?;
    for window in &windows {
        ensure!(window.reordered + window.duplicated == 0, "{window:?}");
        ensure!(window.lost > 0, "nothing was lost: nobody died? {window:?}");
        ensure!(window.silence_ms < 1000.0, "{window:?}");
    }

    let _revived = lab.revive(dead)?;
    until(&lab, |table| table.buckets(2) > 0)?;
    let (_, windows) = flooded(&lab, |now| {
        let start = now();
        thread::sleep(Duration::from_millis(300));
        Ok(((), start..now()))
    })?;
    for window in windows {
        let wrong = [window.lost, window.reordered, window.duplicated];
        ensure!(wrong == [0; 3], "after the return: {window:?}");
    }
    Ok(())
}

/// A process that stood still has packets in its rings whose flows have gone on elsewhere.
#[test]
fn a_gateway_that_stood_still_delivers_nothing_late() -> Result<()> {
    for vpc in [1, 2] {
        let lab = running(Options {
            gateways: 2,
            ..options()?
        })?;
        let zombie = Site::gateway(vpc, 2);
        let (drops, windows) = flooded(&lab, |now| {
            let start = now();
            lab.signal_role(zombie, Signal::STOP)?;
            until(&lab, |table| table.buckets(2) == 0)?;
            thread::sleep(Duration::from_secs(1));
            lab.signal_role(zombie, Signal::CONT)?;
            until(&lab, |table| table.buckets(2) > 0)?;
            let worker = lab.status(zombie)?.workers.pop().context("no worker")?;
            Ok((worker.drops, start..now()))
        })?;
        ensure!(
            drops.contains_key("stood-still"),
            "its rings were empty? {drops:?}"
        );
        for window in windows {
            ensure!(window.reordered + window.duplicated == 0, "{window:?}");
            ensure!(window.silence_ms < 1000.0, "{window:?}");
        }
    }
    Ok(())
}

#[test]
fn a_gateway_without_its_peer_does_not_join() -> Result<()> {
    let mut lab = laid_out(Options {
        gateways: 2,
        standby: 1,
        ..options()?
    })?;
    let missing = Site::gateway(2, 2);
    for role in lab.role_sites() {
        if role != missing {
            lab.start_role(role)?;
        }
    }
    settle(&lab)?;
    let refused = lab.change(1, Change::Add(2)).err().context("it joined")?;
    let refused = format!("{refused:#}");
    ensure!(refused.contains("gateway-2"), "{refused}");
    let table = lab.table(1)?;
    ensure!(table.buckets(2) == 0 && table.epoch == 0, "{table:?}");
    lab.start_role(missing)?;
    lab.change_both(Change::Add(2))?;
    ensure!(lab.table(2)?.buckets(2) == 2048, "{:?}", lab.table(2)?);
    Ok(())
}

/// Buckets had moved when the demux died, so that the change is in force when it starts again.
#[test]
fn a_demux_that_dies_within_a_change_resumes_it() -> Result<()> {
    let mut lab = laid_out(Options {
        gateways: 2,
        standby: 1,
        ..options()?
    })?;
    lab.configure()?;
    let demux = Site::demux(1);
    // 2048 barriers one after the other: nobody can miss the middle.
    let slow = "[rescale]\nidle-time = 0\nbatch = 1\n";
    edit(&lab, demux, "[rescale]\n", slow)?;
    lab.start_roles()?;
    settle(&lab)?;
    let answer = thread::scope(|scope| {
        let change = scope.spawn(|| lab.change(1, Change::Add(2)));
        until_in(&lab, 1, |table| table.buckets(1) < 4096)?;
        lab.signal_role(demux, Signal::KILL)?;
        let answer = change.join();
        Ok::<_, anyhow::Error>(answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    ensure!(answer.is_err(), "it was done at once: {answer:?}");
    lab.kill_role(demux)?;
    lab.start_role(demux)?;
    // The other VPC follows, as if nothing had been.
    until_in(&lab, 2, |table| table.peer == "ahead")?;
    let table = lab.table(1)?;
    ensure!(table.epoch == 1 && table.buckets(2) == 2048, "{table:?}");
    let log = std::fs::read_to_string(lab.folder().join("v1-demux.err"))?;
    ensure!(log.contains("resumed"), "{log}");
    lab.change(2, Change::Add(2))?;
    settle(&lab)?;
    must_cross(&lab)
}

/// Somebody gave one VPC's demux another share for a gateway, behind the other's back.
#[test]
fn tables_that_differ_are_told_and_no_change_is_made() -> Result<()> {
    let mut lab = laid_out(Options {
        gateways: 2,
        ..options()?
    })?;
    lab.configure()?;
    weigh(&lab, 2, 3)?;
    lab.start_roles()?;
    until(&lab, |table| table.peer == "differs" && table.differed > 0)?;
    let refused = lab
        .change(1, Change::Drain(1))
        .err()
        .context("it drained")?;
    ensure!(format!("{refused:#}").contains("differ"), "{refused:#}");
    let metrics = lab.metrics(Site::demux(1))?;
    ensure!(
        metrics.contains("causeway_table_differed_total"),
        "{metrics}"
    );
    Ok(())
}

#[test]
fn weights_show_in_the_shares() -> Result<()> {
    let mut lab = laid_out(Options {
        gateways: 2,
        ..options()?
    })?;
    lab.configure()?;
    for vpc in [1, 2] {
        weigh(&lab, vpc, 3)?;
    }
    lab.start_roles()?;
    settle(&lab)?;
    let table = lab.table(1)?;
    ensure!(
        (table.buckets(1), table.buckets(2)) == (3072, 1024),
        "{table:?}"
    );
    flooded(&lab, |now| {
        let start = now();
        thread::sleep(Duration::from_millis(500));
        Ok(((), start..now()))
    })?;
    let steering = lab.status(Site::demux(1))?.steering;
    let packets = |at: usize| steering.gateways[at].packets as f64;
    let share = packets(0) / (packets(0) + packets(1));
    ensure!((0.6..0.9).contains(&share), "{share}");
    Ok(())
}

/// Writes a weight for gateway 1 into the configuration of a VPC's demux.
fn weigh(lab: &Lab, vpc: u8, weight: u8) -> Result<()> {
    let name = "[[gateway]]\nname = \"gateway-1\"\n";
    let heavier = format!("{name}weight = {weight}\n");
    edit(lab, Site::demux(vpc), name, &heavier)
}

/// Puts a text in the place of another in a role's configuration.
fn edit(lab: &Lab, role: Site, old: &str, new: &str) -> Result<()> {
    let file = lab.config_file(role);
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.contains(old), "no {old:?} in {text}");
    Ok(std::fs::write(&file, text.replace(old, new))?)
}
