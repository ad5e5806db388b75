//! `causeway tune` on a gateway's NIC in the lab.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{laid_out, options};
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

/// `causeway tune` for the role of a machine. What is this machine's own is out of its sight: its
/// cores and huge pages behind empty directories, and the one of its sysctls that a namespace shows behind a file.
fn tune(lab: &Lab, site: Site, what: &str) -> Result<(bool, Value)> {
    let zero = lab.folder().join("zero");
    std::fs::write(&zero, "0\n")?;
    let line = format!(
        "mount -t tmpfs none /sys/devices/system && mount -t tmpfs none /sys/kernel/mm && \
         mount --bind {} /proc/sys/kernel/bpf_stats_enabled && \
         exec {} tune {what} --json --config {}",
        zero.display(),
        lab.options().causeway.display(),
        lab.config_file(site).display()
    );
    let output = inside(lab, site, &["sh", "-c", &line])?;
    let said = serde_json::from_slice(&output.stdout);
    let said = said.with_context(|| format!("{what}: {output:?}"))?;
    Ok((output.status.success(), said))
}

/// Of the findings with something to change, the names of those that `--apply` may change.
fn safe(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings
        .filter(|finding| finding["status"] == "change" && finding["apply"] == true)
        .filter_map(|finding| finding["name"].as_str())
        .collect()
}

#[test]
fn what_is_wrong_with_a_nic_is_mended_once_and_can_be_taken_back() -> Result<()> {
    let mut lab = laid_out(options()?)?;
    lab.configure()?;
    let gateway = Site::gateway(1, 1);
    shell(
        &lab,
        gateway,
        &format!("echo 2 > {DEFER}; echo 20000 > {FLUSH}"),
    )?;

    let (good, report) = tune(&lab, gateway, "--check")?;
    let wrong = ["napi-defer-hard-irqs", "gro-flush-timeout"];
    ensure!(!good && safe(&report) == wrong, "{report:#}");

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
            change["undo"].as_str().context("no way back")?,
        )?;
    }
    ensure!(shell(&lab, gateway, &format!("cat {DEFER} {FLUSH}"))? == "2\n20000\n");
    Ok(())
}
