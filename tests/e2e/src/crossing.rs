//! Checks that packets cross from VPC 1 to VPC 2, and reports the drop counters if they do not.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use causeway_lab::measure::probe::{self, Probe};
use causeway_lab::status::Reasons;
use causeway_lab::{Lab, Site};

/// Sends a probe from VPC 1 to VPC 2, after a first one that resolves all neighbours.
///
/// # Errors
/// The probe cannot be sent.
pub fn run_probe(lab: &Lab) -> Result<Probe> {
    let few = probe::Plan {
        packets_per_flow: 20,
        rate: 5_000,
        ..probe::Plan::default()
    };
    let probe = || probe::run(lab, Site::host(1, 1), Site::host(2, 1), &few);
    probe()?;
    probe()
}

/// Checks that the probe crosses.
///
/// # Errors
/// The probe does not cross. The error has its figures and the drop counters of every role.
pub fn must_cross(lab: &Lab) -> Result<()> {
    let fact = run_probe(lab)?.fact("probe");
    ensure!(
        fact.holds,
        "the probe does not cross: {}{}",
        fact.figure,
        losses(lab)
    );
    Ok(())
}

/// Checks that the probe does not cross, for the reason `why`.
///
/// # Errors
/// The probe crosses.
pub fn must_not_cross(lab: &Lab, why: &str) -> Result<()> {
    let fact = run_probe(lab)?.fact("probe");
    ensure!(
        !fact.holds,
        "the probe crosses, although {why}: {}",
        fact.figure
    );
    Ok(())
}

/// The drop counters of every role since its start, one line for each program, worker and socket.
fn losses(lab: &Lab) -> String {
    let mut lines = String::new();
    for site in lab.role_sites() {
        match lab.status(site) {
            Ok(status) => {
                line(&mut lines, site, "dropped", &status.steering.drops);
                line(&mut lines, site, "punted", &status.steering.punts);
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
        // Writing to a String cannot fail.
        let _ = write!(lines, "\n{site} {what}: {reasons:?}");
    }
}
