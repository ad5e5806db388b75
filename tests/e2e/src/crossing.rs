//! Whether packets cross from VPC 1 to VPC 2; and who dropped them, where they do not.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use causeway_lab::measure::probe::{self, Probe};
use causeway_lab::{Lab, Reasons, Site};

/// Probes the way from VPC 1 to VPC 2, once neighbours are resolved.
///
/// # Errors
/// Where the probe cannot be sent.
pub fn crosses(lab: &Lab) -> Result<Probe> {
    let few = probe::Plan {
        packets_per_flow: 20,
        rate: 5_000,
        ..probe::Plan::default()
    };
    let probe = || probe::run(lab, Site::host(1, 1), Site::host(2, 1), &few);
    probe()?;
    probe()
}

/// Holds the lab to it that the probe crosses.
///
/// # Errors
/// What the probe found and every role has counted, where it does not cross.
pub fn must_cross(lab: &Lab) -> Result<()> {
    let fact = crosses(lab)?.fact("probe");
    ensure!(
        fact.holds,
        "the probe does not cross: {}{}",
        fact.figure,
        losses(lab)
    );
    Ok(())
}

/// Holds the lab to it that the probe does not cross; `why` says why it should not.
///
/// # Errors
/// What the probe found, where it crosses.
pub fn must_not_cross(lab: &Lab, why: &str) -> Result<()> {
    let fact = crosses(lab)?.fact("probe");
    ensure!(
        !fact.holds,
        "the probe crosses, although {why}: {}",
        fact.figure
    );
    Ok(())
}

/// What every role has lost since its start, a line for each counter's owner.
fn losses(lab: &Lab) -> String {
    let mut lines = String::new();
    for site in lab.role_sites() {
        match lab.status(site) {
            Ok(status) => {
                line(&mut lines, site, "dropped", &status.steering.drops);
                line(
                    &mut lines,
                    site,
                    "left to the kernel",
                    &status.steering.punts,
                );
                for worker in &status.workers {
                    line(&mut lines, site, "worker dropped", &worker.drops);
                    line(&mut lines, site, "socket dropped", &worker.kernel_drops);
                }
            }
            Err(error) => {
                let _ = write!(lines, "\n{site} does not answer: {error:#}");
            }
        }
    }
    lines
}

fn line(lines: &mut String, site: Site, what: &str, reasons: &Reasons) {
    if !reasons.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(lines, "\n{site} {what}: {reasons:?}");
    }
}
