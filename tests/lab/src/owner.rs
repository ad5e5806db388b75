//! The owning process of each lab. `/run/causeway-lab/<id>.json` records the process, and the folder
//! `/run/causeway-lab/<id>` has the lab's files.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::tool;

const HOME: &str = "/run/causeway-lab";

/// A process. The start time distinguishes it from a later process with the same id.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pid: u32,
    /// Clock ticks after boot, field 22 of `/proc/<pid>/stat`.
    start_time: u64,
    /// The boot to which both belong.
    boot_id: String,
}

impl Owner {
    fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let start_time =
            start_time(&stat).with_context(|| format!("/proc/{pid}/stat has no start time"))?;
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned();
        Ok(Self {
            pid,
            start_time,
            boot_id,
        })
    }

    fn is_alive(&self) -> bool {
        Self::of(self.pid).is_ok_and(|now| now == *self)
    }
}

/// Field 22. The command name before it, in parentheses, may contain spaces and parentheses.
fn start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// The folder of a lab's configuration, keys and logs.
pub fn folder(id: &str) -> PathBuf {
    Path::new(HOME).join(id)
}

fn record(id: &str) -> PathBuf {
    Path::new(HOME).join(format!("{id}.json"))
}

/// Claims a new id for this process. The record is written before anything else, so that leftovers can be found.
pub fn claim() -> Result<String> {
    fs::create_dir_all(HOME).with_context(|| format!("cannot make {HOME}"))?;
    let id = tool::hex(&tool::random::<3>()?);
    let owner = serde_json::to_string(&Owner::of(std::process::id())?)?;
    let draft = Path::new(HOME).join(format!("{id}.draft"));
    fs::write(&draft, owner)?;
    // A link to an existing name fails; a rename would replace another lab's record.
    let claimed = fs::hard_link(&draft, record(&id));
    fs::remove_file(&draft)?;
    claimed.with_context(|| format!("lab id {id} is already in use; start again"))?;
    fs::DirBuilder::new()
        .mode(0o700)
        .create(folder(&id))
        .with_context(|| format!("cannot make {}", folder(&id).display()))?;
    Ok(id)
}

/// Removes the folder and the record of a lab, after its namespaces.
pub fn release(id: &str) -> Result<()> {
    let ignore_missing = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    ignore_missing(fs::remove_dir_all(folder(id)))
        .with_context(|| format!("cannot remove {}", folder(id).display()))?;
    ignore_missing(fs::remove_file(record(id)))
        .with_context(|| format!("cannot remove {}", record(id).display()))
}

/// The ids of labs whose owner has ended.
pub fn orphans() -> Result<Vec<String>> {
    let mut orphans = Vec::new();
    let Ok(entries) = fs::read_dir(HOME) else {
        return Ok(orphans);
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        // The owner may have removed its record meanwhile.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        if !serde_json::from_str::<Owner>(&text).is_ok_and(|owner| owner.is_alive()) {
            orphans.push(id.to_owned());
        }
    }
    Ok(orphans)
}

/// Locks the removal of leftovers, for as long as the file is open.
pub fn lock() -> Result<fs::File> {
    fs::create_dir_all(HOME).with_context(|| format!("cannot make {HOME}"))?;
    let file = fs::File::create(Path::new(HOME).join("lock"))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_after_a_command_name_with_parentheses() {
        let mut stat = "7 (a) b (c) S".to_owned();
        for field in 4..=52 {
            stat += &format!(" {field}");
        }
        assert_eq!(start_time(&stat), Some(22));
        assert_eq!(start_time("7 (short) S 1 2"), None);
    }

    #[test]
    fn a_reused_pid_is_not_the_owner() {
        let me = Owner::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let earlier = Owner {
            start_time: me.start_time - 1,
            ..Owner::of(std::process::id()).unwrap()
        };
        assert!(!earlier.is_alive());
    }
}
