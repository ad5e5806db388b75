//! A change that another one meets, and that a crash cuts short before anything has moved.

use std::thread;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{laid_out, local, options, until};
use causeway_lab::{Change, Options, Site};
use rustix::process::Signal;

#[test]
fn a_second_change_is_refused_and_a_crash_rolls_the_first_back() -> Result<()> {
    let mut lab = laid_out(Options {
        gateways: 3,
        standby: 1,
        ..options()?
    })?;
    // Without its peer the third gateway's joining stays under way.
    let missing = Site::gateway(2, 3);
    for role in lab.role_sites() {
        if role != missing {
            lab.start_role(role)?;
        }
    }
    for vpc in [1, 2] {
        until("the demux has heard the peer's", || {
            Ok(lab.table(vpc)?.peer == "same")
        })?;
    }
    let demux = Site::demux(1);
    let (answer, second) = thread::scope(|scope| {
        let first = scope.spawn(|| lab.change(1, Change::Add(3)));
        let second = until("the change is under way", || {
            Ok(lab.table(1)?.changing_to == Some(1))
        })
        .and_then(|()| {
            let words = [
                "gateway",
                "weight",
                "--gateway",
                "gateway-1",
                "--weight",
                "2",
            ];
            local(&lab, 1, &words)
        });
        lab.signal_role(demux, Signal::KILL)?;
        let first = first.join().ok().context("the asking thread panicked")?;
        Ok::<_, anyhow::Error>((first, second?))
    })?;
    let (done, said) = second;
    let told = said.contains("a change to epoch 1 is under way");
    ensure!(!done && told, "{said}");
    ensure!(answer.is_err(), "it was made: {answer:?}");

    lab.kill_role(demux)?;
    lab.start_role(demux)?;
    let log = lab.folder().join("v1-demux.err");
    until("the log says what became of the change", || {
        Ok(std::fs::read_to_string(&log)?.contains("rolled back"))
    })?;
    let table = lab.table(1)?;
    ensure!(table.epoch == 0 && table.buckets(3) == 0, "{table:?}");

    // Nothing is in the way of the next one.
    lab.start_role(missing)?;
    until("the demux has heard the peer's again", || {
        Ok(lab.table(1)?.peer == "same")
    })?;
    lab.change_both(Change::Add(3))?;
    Ok(())
}
