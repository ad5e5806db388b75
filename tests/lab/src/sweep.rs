//! Removes a lab: processes, namespaces and files. A normal end, Ctrl-C and the removal of leftovers use the same code.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{netns, owner, tool, topology::PREFIX};

/// Time limit for the end of killed processes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Removes every lab whose owner has ended, and returns the ids.
pub fn remove_leftovers() -> Result<Vec<String>> {
    let _lock = owner::lock()?;
    let orphans = owner::orphans()?;
    for id in &orphans {
        remove(id).with_context(|| format!("cannot remove lab {id}, left by a killed run"))?;
    }
    Ok(orphans)
}

/// Removes one lab, or the rest of a partly removed one.
pub fn remove(id: &str) -> Result<()> {
    let namespaces = namespaces(id)?;
    end_processes(&namespaces)?;
    if !namespaces.is_empty() {
        let lines: Vec<_> = namespaces
            .iter()
            .map(|name| format!("netns delete {name}"))
            .collect();
        tool::batch("ip", None, &lines)?;
    }
    owner::release(id)
}

/// The existing namespaces of a lab.
pub fn namespaces(id: &str) -> Result<Vec<String>> {
    let prefix = format!("{PREFIX}-{id}-");
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && name.starts_with(&prefix)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Kills the processes in these namespaces and waits for their end, because an open socket keeps a namespace alive.
fn end_processes(namespaces: &[String]) -> Result<()> {
    let inodes: HashSet<_> = namespaces
        .iter()
        .filter_map(|name| inode(&netns::path(name)))
        .collect();
    let deadline = Instant::now() + TIMEOUT;
    while !inodes.is_empty() && kill_inside(&inodes)? > 0 {
        ensure!(
            Instant::now() < deadline,
            "processes in {} did not end within {TIMEOUT:?} after SIGKILL",
            namespaces.join(", ")
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn kill_inside(inodes: &HashSet<(u64, u64)>) -> Result<usize> {
    let own = std::process::id().cast_signed();
    let mut killed = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Some(pid) = Pid::from_raw(number).filter(|_| number != own) else {
            continue;
        };
        // The handle is opened before the check, so that a reused process id is not killed.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        let inside = inode(&Path::new("/proc").join(&name).join("ns/net"));
        if inside.is_some_and(|inode| inodes.contains(&inode))
            && pidfd_send_signal(&handle, Signal::KILL).is_ok()
        {
            killed += 1;
        }
    }
    Ok(killed)
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}
