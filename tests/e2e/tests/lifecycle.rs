//! Crashes, restarts and failed starts.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{
    build_lab, has_xdp, must_cross, must_not_cross, run_probe, start_lab, stop_cleanly, wait_until,
    with_gateways,
};
use causeway_lab::status::NotReadyReason;
use causeway_lab::{Family, Inner, Lab, Options, Placement, Site};

/// Runs `ip` inside a machine of the lab and returns its output.
fn ip(lab: &Lab, site: Site, line: &str) -> Result<String> {
    let output = Command::new("ip")
        .args(["-n", &lab.namespace(site)])
        .args(line.split(' '))
        .output()?;
    ensure!(output.status.success(), "ip {line}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_killed_process_leaves_no_program_attached_and_starts_again() -> Result<()> {
    let mut lab = start_lab(with_gateways(2)?)?;
    for role in [Site::demux(1), Site::gateway(1, 1), Site::gateway(2, 2)] {
        ensure!(has_xdp(&lab, role)?, "{role} runs without an XDP program");
        lab.kill_role(role)?;
        ensure!(
            !has_xdp(&lab, role)?,
            "{role} has left its XDP program attached"
        );
    }
    lab.start_roles()?;
    // Both gateways of each VPC carry packets again: the sequence numbers continue after the reserved ones on disk, so
    // that the replay windows accept them.
    must_cross(&lab)
}

/// `causeway check` says the same as a start: the port and the NIC are taken. For the role that has them nothing is wrong.
#[test]
fn what_a_running_role_uses_is_refused_to_another_one() -> Result<()> {
    let lab = start_lab(with_gateways(1)?)?;
    let site = Site::gateway(1, 1);
    let file = lab.config_file(site);
    let other = file.with_file_name("other.toml");
    let text = fs::read_to_string(&file)?;
    let socket = "socket = \"";
    ensure!(text.contains(socket), "{text}");
    fs::write(&other, text.replacen(socket, "socket = \"other-", 1))?;
    let run = |arguments: &[&str], file: &Path| {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &lab.namespace(site)])
            .arg(&lab.options().causeway)
            .args(arguments)
            .arg(file)
            .env("CAUSEWAY_XDP_OBJECT", &lab.options().xdp_object);
        let output = command.output()?;
        let printed = [output.stdout, output.stderr].concat();
        Ok::<_, anyhow::Error>((output.status.success(), String::from_utf8(printed)?))
    };
    let check = ["check", "--role", "gateway", "--config"];
    let (good, printed) = run(&check, &file)?;
    ensure!(good, "{printed}");
    for arguments in [&check[..], &["gateway", "--config"]] {
        let (good, printed) = run(arguments, &other)?;
        for reason in [
            "another XDP program is attached to cwlab0",
            "Address already in use",
        ] {
            ensure!(
                !good && printed.contains(reason),
                "{arguments:?}: {printed}"
            );
        }
    }
    must_cross(&lab)
}

/// A NIC that goes down loses its neighbours and routes, but keeps sockets and XDP program.
#[test]
fn packets_cross_again_after_a_nic_was_down() -> Result<()> {
    for outer in [Family::Ipv4, Family::Ipv6] {
        take_nics_down(outer).with_context(|| format!("tunnels over {outer}"))?;
    }
    Ok(())
}

fn take_nics_down(outer: Family) -> Result<()> {
    let mut lab = start_lab(Options {
        outer,
        ..with_gateways(1)?
    })?;
    must_cross(&lab)?;
    for site in [Site::demux(1), Site::gateway(1, 1)] {
        let mut routes = ip(&lab, site, "route show dev cwlab0 scope global")?;
        routes += &ip(&lab, site, "-6 route show dev cwlab0 proto boot")?;
        ip(&lab, site, "link set cwlab0 down")?;
        must_not_cross(&lab, &format!("the NIC of {site} is down"))?;
        wait_until("the role tells that its link is down", || {
            let status = lab.status(site)?;
            let mut reasons = status.not_ready.iter().map(|each| each.reason);
            Ok(!status.ready && reasons.any(|reason| reason == NotReadyReason::LinkDown))
        })?;
        ip(&lab, site, "link set cwlab0 up")?;
        // The kernel does not restore these routes.
        for route in routes.lines() {
            ip(
                &lab,
                site,
                &format!("route add {} dev cwlab0", route.trim()),
            )?;
        }
        wait_until("the role is ready again", || Ok(lab.status(site)?.ready))?;
        std::thread::sleep(Duration::from_secs(1));
        must_cross(&lab).with_context(|| format!("after {site}"))?;
    }
    stop_cleanly(&mut lab)
}

/// A host was replaced while its gateway did not run. The kernel still has the old MAC address, and only a neighbour lookup
/// can correct it.
#[test]
fn a_replaced_host_is_found_again() -> Result<()> {
    for (inner, family) in [(Inner::Ipv4, Family::Ipv4), (Inner::Ipv6, Family::Ipv6)] {
        replace_host(inner, family).with_context(|| format!("over {family}"))?;
    }
    Ok(())
}

fn replace_host(inner: Inner, family: Family) -> Result<()> {
    let mut lab = build_lab(Options {
        inner,
        ..with_gateways(1)?
    })?;
    let (demux_address, host_address) = (
        Site::demux(2).address(family),
        Site::host(2, 1).address(family),
    );
    // A neighbour lookup by the host would show its MAC address to the whole subnet.
    let link = ip(&lab, Site::demux(2), "-br link show cwlab0")?;
    let demux = link.split_whitespace().nth(2).context("no MAC address")?;
    let silent = format!("neigh replace {demux_address} lladdr {demux} dev cwlab0 nud permanent");
    ip(&lab, Site::host(2, 1), &silent)?;
    let entry =
        format!("neigh replace {host_address} lladdr 02:00:00:00:09:09 dev cwlab0 nud stale");
    ip(&lab, Site::gateway(2, 1), &entry)?;
    lab.start_roles()?;
    must_not_cross(&lab, "the host's old MAC address is not in use")?;
    // The kernel keeps a stale entry for 5 s and then sends three lookups, one per second.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !run_probe(&lab)?.fact("probe").holds {
        ensure!(Instant::now() < deadline, "the host is not found again");
    }
    Ok(())
}

#[test]
fn nothing_crosses_without_the_demux() -> Result<()> {
    let mut lab = start_lab(with_gateways(1)?)?;
    must_cross(&lab)?;
    lab.kill_role(Site::demux(1))?;
    must_not_cross(&lab, "there is no demux")
}

#[test]
fn a_role_reports_why_it_does_not_start() -> Result<()> {
    let mut lab = build_lab(Options {
        placement: Placement::Local,
        ..with_gateways(1)?
    })?;
    lab.configure()?;
    let role = Site::demux(1);
    let config = lab.config_file(role);
    let text = std::fs::read_to_string(&config)?;
    let causeway = &lab.options().causeway;
    let start = |text: &str, object: &str| -> Result<String> {
        std::fs::write(&config, text)?;
        let mut command = Command::new(causeway);
        command
            .arg("demux")
            .arg("--config")
            .arg(&config)
            .env("CAUSEWAY_XDP_OBJECT", object);
        let mut process = lab.spawn(role, "wrong", &command)?;
        let status = process
            .wait(Duration::from_secs(60))?
            .context("the role started")?;
        ensure!(!status.success(), "the role ended without an error");
        process.stderr()
    };
    let object = lab.options().xdp_object.display().to_string();

    let no_object = start(&text, "/nowhere/causeway-xdp.o")?;
    ensure!(no_object.contains("cargo xtask build"), "{no_object}");
    let nic = start(
        &text.replace("name = \"cwlab0\"\nmode", "name = \"eth9\"\nmode"),
        &object,
    )?;
    ensure!(nic.contains("eth9") && nic.contains("cwlab0"), "{nic}");
    let key = start(&text.replace("mode =", "modus ="), &object)?;
    ensure!(
        key.contains("modus") && key.contains("causeway.toml:3"),
        "{key}"
    );
    Ok(())
}
