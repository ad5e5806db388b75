//! A change that is refused during another one, and a change that a crash interrupts before a bucket has moved.

use std::thread;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{build_lab, local, options, wait_until};
use causeway_lab::status::PeerTable;
use causeway_lab::{Change, Options, Site, buckets};
use rustix::process::Signal;

#[test]
fn a_second_change_is_refused_and_a_crash_rolls_the_first_back() -> Result<()> {
    let mut lab = build_lab(Options {
        gateways: 3,
        standby: 1,
        ..options()?
    })?;
    // Without its peer the third gateway cannot join, so the change stays pending.
    let missing = Site::gateway(2, 3);
    for role in lab.role_sites() {
        if role != missing {
            lab.start_role(role)?;
        }
    }
    for vpc in [1, 2] {
        wait_until("both tables are known to be equal", || {
            Ok(lab.table(vpc)?.peer == PeerTable::Same)
        })?;
    }
    let demux = Site::demux(1);
    let (answer, second) = thread::scope(|scope| {
        let first = scope.spawn(|| lab.change(1, Change::Add(3)));
        let second = wait_until("the change is pending", || {
            Ok(lab.table(1)?.changing_to == Some(1))
        })
        .and_then(|()| {
            let arguments = [
                "gateway",
                "weight",
                "--gateway",
                "gateway-1",
                "--weight",
                "2",
            ];
            local(&lab, 1, &arguments)
        });
        lab.signal_role(demux, Signal::KILL)?;
        let first = first
            .join()
            .ok()
            .context("the requesting thread panicked")?;
        Ok::<_, anyhow::Error>((first, second?))
    })?;
    let (done, printed) = second;
    let refused = printed.contains("a change to epoch 1 is under way");
    ensure!(!done && refused, "{printed}");
    ensure!(answer.is_err(), "the change succeeded: {answer:?}");

    lab.kill_role(demux)?;
    lab.start_role(demux)?;
    let log = lab.folder().join("v1-demux.err");
    wait_until("the log has the outcome of the change", || {
        Ok(std::fs::read_to_string(&log)?.contains("rolled back"))
    })?;
    let table = lab.table(1)?;
    ensure!(table.epoch == 0 && buckets(&table, 3) == 0, "{table:?}");

    // The next change succeeds.
    lab.start_role(missing)?;
    wait_until("both tables are known to be equal again", || {
        Ok(lab.table(1)?.peer == PeerTable::Same)
    })?;
    lab.change_both(Change::Add(3))?;
    Ok(())
}
