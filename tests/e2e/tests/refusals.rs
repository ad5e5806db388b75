//! A change that is refused during another one or by a full disk, and a change that a crash interrupts before a bucket has moved.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{build_lab, local, must_cross, options, wait_until, with_gateways};
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

/// A small file system, until the value is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self> {
        fs::create_dir(at)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"])
            .arg(at)
            .status()?;
        ensure!(mounted.success(), "mount: {mounted}");
        Ok(Self(at.to_owned()))
    }

    /// Writes until no block is free. Returns the file.
    fn fill(&self) -> Result<PathBuf> {
        let file = self.0.join("fill");
        let written = fs::write(&file, [0; 1 << 20]);
        ensure!(written.is_err(), "the disk has room for everything");
        Ok(file)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A role that has not ended yet has a file open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_a_change_and_delays_no_failover() -> Result<()> {
    let mut lab = build_lab(with_gateways(2)?)?;
    lab.configure()?;
    let config = lab.config_file(Site::demux(1));
    let folder = config.parent().context("no folder")?.join("disk");
    let text = fs::read_to_string(&config)?;
    fs::write(
        &config,
        text.replace("\"tables.json\"", "\"disk/tables.json\""),
    )?;
    let disk = SmallDisk::mount(&folder)?;
    lab.start_roles()?;
    let equal = || {
        let tables = [lab.table(1)?, lab.table(2)?];
        Ok(tables.iter().all(|table| table.peer == PeerTable::Same))
    };
    wait_until("both tables are known to be equal", equal)?;

    let filled = disk.fill()?;
    let refused = lab.change(1, Change::Weight(1, 2)).err();
    let refused = format!("{:#}", refused.context("the change was made")?);
    ensure!(refused.contains("No space left on device"), "{refused}");
    lab.kill_role(Site::gateway(1, 2))?;
    wait_until("the buckets of the dead gateway have moved", || {
        Ok(buckets(&lab.table(1)?, 2) == 0 && buckets(&lab.table(2)?, 2) == 0)
    })?;
    must_cross(&lab)?;

    fs::remove_file(filled)?;
    lab.start_role(Site::gateway(1, 2))?;
    wait_until("the gateway has its buckets again", || {
        Ok(buckets(&lab.table(1)?, 2) == 2048 && buckets(&lab.table(2)?, 2) == 2048)
    })?;
    // The write is repeated each second.
    wait_until("the change is made", || {
        Ok(lab.change(1, Change::Weight(1, 2)).is_ok())
    })?;
    lab.change(2, Change::Weight(1, 2))?;
    must_cross(&lab)
}
