//! `causeway tune` on a gateway's NIC in the lab.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{build_lab, options};
use causeway_lab::{Lab, Site};
use serde_json::Value;

const DEFER: &str = "/sys/class/net/cwlab0/napi_defer_hard_irqs";
const FLUSH: &str = "/sys/class/net/cwlab0/gro_flush_timeout";

/// Runs a command in a machine's network namespace, with its own `/sys`.
fn inside(lab: &Lab, site: Site, words: &[&str]) -> Result<Output> {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &lab.namespace(site)])
        .args(words);
    command.output().context("cannot start ip")
}

fn shell(lab: &Lab, site: Site, line: &str) -> Result<String> {
    let output = inside(lab, site, &["sh", "-c", line])?;
    ensure!(output.status.success(), "{line}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs `causeway tune` for the role of a machine, and returns whether it succeeded and its report.
///
/// Mounts hide the settings of the host itself: empty directories hide cores and huge pages, a file hides a sysctl that is
/// visible in the namespace.
fn tune(lab: &Lab, site: Site, action: &str) -> Result<(bool, Value)> {
    let zero = lab.folder().join("zero");
    std::fs::write(&zero, "0\n")?;
    let line = format!(
        "mount -t tmpfs none /sys/devices/system && mount -t tmpfs none /sys/kernel/mm && \
         mount --bind {} /proc/sys/kernel/bpf_stats_enabled && \
         exec {} tune {action} --json --config {}",
        zero.display(),
        lab.options().causeway.display(),
        lab.config_file(site).display()
    );
    let output = inside(lab, site, &["sh", "-c", &line])?;
    let report = serde_json::from_slice(&output.stdout);
    let report = report.with_context(|| format!("{action}: {output:?}"))?;
    Ok((output.status.success(), report))
}

/// The names of the findings that `--apply` would change.
fn safe(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings
        .filter(|finding| finding["status"] == "change" && finding["apply"] == true)
        .filter_map(|finding| finding["name"].as_str())
        .collect()
}

#[test]
fn wrong_settings_of_a_nic_are_corrected_once_and_can_be_undone() -> Result<()> {
    let mut lab = build_lab(options()?)?;
    lab.configure()?;
    let gateway = Site::gateway(1, 1);
    shell(
        &lab,
        gateway,
        &format!("echo 2 > {DEFER}; echo 20000 > {FLUSH}"),
    )?;

    let (good, report) = tune(&lab, gateway, "--check")?;
    let expected = ["napi-defer-hard-irqs", "gro-flush-timeout"];
    ensure!(!good && safe(&report) == expected, "{report:#}");

    let (good, report) = tune(&lab, gateway, "--apply")?;
    let applied = report["applied"].as_array().context("nothing applied")?;
    ensure!(
        good && applied.len() == 2 && safe(&report).is_empty(),
        "{report:#}"
    );
    ensure!(shell(&lab, gateway, &format!("cat {DEFER} {FLUSH}"))? == "0\n0\n");

    let (good, again) = tune(&lab, gateway, "--apply")?;
    ensure!(
        good && again["applied"] == serde_json::json!([]),
        "{again:#}"
    );

    for change in applied {
        shell(
            &lab,
            gateway,
            change["undo"].as_str().context("no undo command")?,
        )?;
    }
    ensure!(shell(&lab, gateway, &format!("cat {DEFER} {FLUSH}"))? == "2\n20000\n");
    Ok(())
}
