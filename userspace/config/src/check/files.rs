//! Checks of the files that a running role writes: the state of the cluster, and the reservations of sequence numbers.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::tunnels::tunnels;
use crate::file::File;
use crate::plan::Plan;
use crate::report::Report;

pub(crate) fn check(file: &File, plan: &Plan, report: &mut Report<'_>) {
    if let (Some(path), Some(written)) = (&plan.rescale.state, &file.rescale.state) {
        state(path, written.span(), file, plan, report);
    }
    reservations(file, plan, report);
}

fn state(path: &Path, at: Range<usize>, file: &File, plan: &Plan, report: &mut Report<'_>) {
    let fault = match fs::metadata(path) {
        Ok(found) if !found.is_file() => Some(String::from("is not a regular file")),
        Ok(found) => {
            let same = |other: &PathBuf| {
                fs::metadata(other)
                    .is_ok_and(|other| (other.dev(), other.ino()) == (found.dev(), found.ino()))
            };
            let steering_key = report.source().resolve(file.steering.key_file.get_ref());
            let keys = plan.workers().flat_map(|(_, worker)| &worker.tunnels);
            let keys = keys.flat_map(|tunnel| [&tunnel.outbound, &tunnel.inbound]);
            let mut others = keys.map(|sa| sa.key_file.clone());
            if same(&report.source().path().to_owned()) {
                Some(String::from("is this configuration file"))
            } else if same(&steering_key) || others.any(|other| same(&other)) {
                Some(String::from("is a key file"))
            } else {
                None
            }
        }
        Err(_) => None,
    };
    if let Some(fault) = fault.or_else(|| unwritable(path)) {
        report.error(
            at,
            "rescale.state",
            format_args!(
                "{} {fault}; write the path of a file of its own, in a directory that exists",
                path.display()
            ),
        );
    }
}

/// A role reserves the sequence numbers of an outbound SA in a file beside its key.
fn reservations(file: &File, plan: &Plan, report: &mut Report<'_>) {
    for (field, tunnel, written) in tunnels(file, plan) {
        let key_file = &tunnel.outbound.key_file;
        if let Some(fault) = unwritable(key_file) {
            report.error(
                written.outbound.key_file.span(),
                format_args!("{field}.outbound.key-file"),
                format_args!(
                    "{} {fault}; the sequence numbers of the SA are reserved in a file beside its key",
                    key_file.display()
                ),
            );
        }
    }
}

/// Why this process cannot make a file beside `path`.
fn unwritable(path: &Path) -> Option<String> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let error = access(directory, Access::WRITE_OK | Access::EXEC_OK).err()?;
    let error = std::io::Error::from(error);
    Some(format!(
        "is in {}, where this process cannot write: {error}",
        directory.display()
    ))
}
