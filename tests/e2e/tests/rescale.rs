//! Cluster changes under load.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{build_lab, must_cross, options, run_probe, start_lab, with_gateways};
use causeway_lab::measure::direction::Directions;
use causeway_lab::measure::flood::{self, Plan, SMALL};
use causeway_lab::measure::window::Window;
use causeway_lab::status::{PairState, PeerTable, Table};
use causeway_lab::{Change, Lab, Options, Outcome, Placement, Site, buckets};
use rustix::process::Signal;

/// Half of the packets belong to flows with pauses of at most 8 ms, half to flows with pauses of a quarter of a second.
const LOAD: Plan = Plan {
    flows: 200,
    busy_flows: 8,
    rate: 1_000,
    size: SMALL,
    directions: Directions::Both,
};

/// Several times the failover of a busy host. A flow that does not move is silent for longer.
const LONG: Duration = Duration::from_secs(3);

/// A time in nanoseconds since the flood began, and a later one.
type Span = (u64, u64);

/// Floods while `work` runs. Returns the windows that `work` chooses, in both directions.
fn flooded<T, const N: usize>(
    lab: &Lab,
    work: impl FnOnce(&dyn Fn() -> u64) -> Result<(T, [Span; N])>,
) -> Result<(T, [[Window; 2]; N])> {
    run_probe(lab)?;
    let begun = Instant::now();
    let now = || begun.elapsed().as_nanos() as u64;
    let ((done, windows), records) = flood::during(lab, LOAD, begun, || {
        settle(lab)?;
        work(&now)
    })?;
    let judge = |(start, end)| {
        records.each_ref().map(|record| {
            // Shown if the test fails.
            for (packet, earlier) in record.overtaken(&(start..end)) {
                println!("overtaken, {start} to {end} ns: {packet:?} after {earlier:?}");
            }
            Window::of(record, &(start..end))
        })
    };
    Ok((done, windows.map(judge)))
}

/// Waits until both tables are known to be equal and all pairs are up.
fn settle(lab: &Lab) -> Result<()> {
    wait_until(lab, |table| {
        let mut states = table.pairs.iter().map(|pair| pair.state);
        table.peer == PeerTable::Same
            && states.all(|state| matches!(state, PairState::Up | PairState::Drained))
    })
}

/// Waits until the condition is true for both tables.
fn wait_until(lab: &Lab, holds: impl Fn(&Table) -> bool) -> Result<()> {
    wait_until_in(lab, 1, &holds)?;
    wait_until_in(lab, 2, &holds)
}

/// Waits until the condition is true for the table of a VPC.
fn wait_until_in(lab: &Lab, vpc: u8, holds: impl Fn(&Table) -> bool) -> Result<()> {
    let begun = Instant::now();
    loop {
        let table = lab.table(vpc)?;
        if holds(&table) {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(60), "{table:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Checks that packets were sent in both directions, and that each arrived once and in order.
fn all_arrive(windows: &[Window; 2]) -> Result<()> {
    for window in windows {
        ensure!(window.sent > 0, "{window:?}");
        let wrong = [window.lost, window.reordered, window.duplicated];
        ensure!(wrong == [0; 3], "{window:?}");
    }
    Ok(())
}

/// Checks that every flow moved to another gateway.
fn all_resume(windows: &[Window; 2]) -> Result<()> {
    for window in windows {
        ensure!(window.silence_ms < LONG.as_millis() as f64, "{window:?}");
    }
    Ok(())
}

fn planned_changes(options: Options) -> Result<()> {
    let lab = start_lab(Options {
        gateways: 3,
        standby: 1,
        ..options
    })?;
    let (steps, [windows]) = flooded(&lab, |now| {
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
        Ok((steps, [(start, now())]))
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
            // Removing a drained gateway moves no bucket.
            ensure!((minimum > 0) == (change != Change::Remove(1)), "{change:?}");
            ensure!(dropped == 0, "{change:?}");
        }
    }
    all_arrive(&windows)?;
    let tables = [lab.table(1)?, lab.table(2)?];
    ensure!(tables[0].digest == tables[1].digest, "{tables:?}");
    // The gateway with weight two of three has two thirds of the buckets.
    ensure!([2731, 2730].contains(&buckets(&tables[0], 3)), "{tables:?}");
    Ok(())
}

#[test]
fn remote_gateways_join_and_leave_without_loss() -> Result<()> {
    planned_changes(options()?)
}

#[test]
fn local_gateways_join_and_leave_without_loss() -> Result<()> {
    planned_changes(Options {
        placement: Placement::Local,
        ..options()?
    })
}

/// The buckets of a killed gateway move to the other pair, and return after its restart.
#[test]
fn a_killed_gateway_is_replaced() -> Result<()> {
    let lab = start_lab(with_gateways(2)?)?;
    let dead = Site::gateway(1, 2);
    let ((), [failover]) = flooded(&lab, |now| {
        let start = now();
        lab.signal_role(dead, Signal::KILL)?;
        wait_until(&lab, |table| buckets(table, 2) == 0)?;
        thread::sleep(LONG);
        Ok(((), [(start, now())]))
    })?;
    for window in &failover {
        ensure!(window.reordered + window.duplicated == 0, "{window:?}");
        ensure!(
            window.lost > 0,
            "nothing was lost, so no gateway was killed: {window:?}"
        );
    }
    all_resume(&failover)?;

    let _restarted = lab.restart(dead)?;
    wait_until(&lab, |table| buckets(table, 2) > 0)?;
    let ((), [windows]) = flooded(&lab, |now| {
        let start = now();
        thread::sleep(Duration::from_millis(300));
        Ok(((), [(start, now())]))
    })?;
    all_arrive(&windows).context("after the restart")
}

/// A stopped process has packets in its rings whose flows use another gateway meanwhile.
#[test]
fn a_stalled_gateway_delivers_no_late_packet() -> Result<()> {
    for vpc in [1, 2] {
        let lab = start_lab(with_gateways(2)?)?;
        let stalled = Site::gateway(vpc, 2);
        let (drops, [stall]) = flooded(&lab, |now| {
            let start = now();
            lab.signal_role(stalled, Signal::STOP)?;
            wait_until(&lab, |table| buckets(table, 2) == 0)?;
            thread::sleep(LONG);
            lab.signal_role(stalled, Signal::CONT)?;
            wait_until(&lab, |table| buckets(table, 2) > 0)?;
            let worker = lab.status(stalled)?.workers.pop().context("no worker")?;
            Ok((worker.drops, [(start, now())]))
        })?;
        ensure!(
            drops.contains_key("worker-stalled"),
            "the rings were empty: {drops:?}"
        );
        for window in &stall {
            ensure!(window.reordered + window.duplicated == 0, "{window:?}");
        }
        all_resume(&stall)?;
    }
    Ok(())
}

#[test]
fn a_gateway_without_its_peer_does_not_join() -> Result<()> {
    let mut lab = build_lab(Options {
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
    let refused = lab
        .change(1, Change::Add(2))
        .err()
        .context("the gateway joined")?;
    let refused = format!("{refused:#}");
    ensure!(refused.contains("gateway-2"), "{refused}");
    let table = lab.table(1)?;
    ensure!(buckets(&table, 2) == 0 && table.epoch == 0, "{table:?}");
    lab.start_role(missing)?;
    lab.change_both(Change::Add(2))?;
    ensure!(buckets(&lab.table(2)?, 2) == 2048, "{:?}", lab.table(2)?);
    Ok(())
}

/// Buckets had moved when the demux was killed, so the change is in force after its restart.
#[test]
fn a_demux_killed_during_a_change_resumes_it() -> Result<()> {
    let mut lab = build_lab(Options {
        gateways: 2,
        standby: 1,
        ..options()?
    })?;
    lab.configure()?;
    let demux = Site::demux(1);
    // 2048 barriers one after the other give time for the kill.
    let slow = "[rescale]\nidle-time = 0\nbatch = 1\n";
    edit(&lab, demux, "[rescale]\n", slow)?;
    lab.start_roles()?;
    settle(&lab)?;
    let answer = thread::scope(|scope| {
        let change = scope.spawn(|| lab.change(1, Change::Add(2)));
        wait_until_in(&lab, 1, |table| buckets(table, 1) < 4096)?;
        lab.signal_role(demux, Signal::KILL)?;
        let answer = change.join();
        Ok::<_, anyhow::Error>(answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    ensure!(
        answer.is_err(),
        "the change ended before the kill: {answer:?}"
    );
    lab.kill_role(demux)?;
    lab.start_role(demux)?;
    // The other VPC can make the same change.
    wait_until_in(&lab, 2, |table| table.peer == PeerTable::Ahead)?;
    let table = lab.table(1)?;
    ensure!(table.epoch == 1 && buckets(&table, 2) == 2048, "{table:?}");
    let log = std::fs::read_to_string(lab.folder().join("v1-demux.err"))?;
    ensure!(log.contains("resumed"), "{log}");
    lab.change(2, Change::Add(2))?;
    settle(&lab)?;
    must_cross(&lab)
}

/// The demux of one VPC has another weight for a gateway.
#[test]
fn different_tables_are_reported_and_changes_are_refused() -> Result<()> {
    let mut lab = build_lab(with_gateways(2)?)?;
    lab.configure()?;
    set_weight(&lab, 2, 3)?;
    lab.start_roles()?;
    wait_until(&lab, |table| {
        table.peer == PeerTable::Differs && table.differed > 0
    })?;
    let refused = lab
        .change(1, Change::Drain(1))
        .err()
        .context("the gateway drained")?;
    ensure!(format!("{refused:#}").contains("differ"), "{refused:#}");
    let metrics = lab.metrics(Site::demux(1))?;
    ensure!(
        metrics.contains("causeway_table_differed_total"),
        "{metrics}"
    );
    Ok(())
}

#[test]
fn shares_follow_the_weights() -> Result<()> {
    let mut lab = build_lab(with_gateways(2)?)?;
    lab.configure()?;
    for vpc in [1, 2] {
        set_weight(&lab, vpc, 3)?;
    }
    lab.start_roles()?;
    settle(&lab)?;
    let table = lab.table(1)?;
    ensure!(
        (buckets(&table, 1), buckets(&table, 2)) == (3072, 1024),
        "{table:?}"
    );
    // Flows that send alike: a quarter of 200 is within the bounds for all but one key in 10^5.
    let plan = Plan {
        busy_flows: LOAD.flows,
        ..LOAD
    };
    flood::during(&lab, plan, Instant::now(), || {
        thread::sleep(Duration::from_millis(500));
        Ok(())
    })?;
    let steering = lab.status(Site::demux(1))?.steering;
    let packets = |at: usize| steering.gateways[at].packets as f64;
    let share = packets(0) / (packets(0) + packets(1));
    ensure!((0.6..0.9).contains(&share), "{share}");
    Ok(())
}

/// Writes a weight for gateway 1 into the configuration of a VPC's demux.
fn set_weight(lab: &Lab, vpc: u8, weight: u8) -> Result<()> {
    let name = "[[gateway]]\nname = \"gateway-1\"\n";
    let weighted = format!("{name}weight = {weight}\n");
    edit(lab, Site::demux(vpc), name, &weighted)
}

/// Replaces a text in a role's configuration.
fn edit(lab: &Lab, role: Site, old: &str, new: &str) -> Result<()> {
    let file = lab.config_file(role);
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.contains(old), "no {old:?} in {text}");
    Ok(std::fs::write(&file, text.replace(old, new))?)
}
