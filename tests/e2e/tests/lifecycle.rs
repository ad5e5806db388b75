//! What a crash, a restart and a wrong start leave behind.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{
    crosses, ends_in_order, has_xdp, laid_out, must_cross, must_not_cross, options, running,
};
use causeway_lab::{Family, Inner, Lab, Options, Placement, Site};

/// What `ip` says inside a machine of the lab.
fn ip(lab: &Lab, site: Site, line: &str) -> Result<String> {
    let output = Command::new("ip")
        .args(["-n", &lab.namespace(site)])
        .args(line.split(' '))
        .output()?;
    ensure!(output.status.success(), "ip {line}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_killed_process_leaves_nothing_attached_and_starts_again() -> Result<()> {
    let mut lab = running(Options {
        gateways: 2,
        ..options()?
    })?;
    for role in [Site::demux(1), Site::gateway(1, 1), Site::gateway(2, 2)] {
        ensure!(has_xdp(&lab, role)?, "{role} runs without its program");
        lab.kill_role(role)?;
        ensure!(!has_xdp(&lab, role)?, "{role} left its program behind");
    }
    lab.start_roles()?;
    // Both gateways of each side carry again: the senders' numbers went on from the disk, so
    // that the peers' windows took them.
    must_cross(&lab)
}

/// The kernel forgets neighbours and routes of a NIC that goes down; sockets and program stay.
#[test]
fn a_nic_that_was_down_carries_again() -> Result<()> {
    for outer in [Family::Ipv4, Family::Ipv6] {
        carries_again(outer).with_context(|| format!("tunnels over {outer}"))?;
    }
    Ok(())
}

fn carries_again(outer: Family) -> Result<()> {
    let mut lab = running(Options {
        gateways: 1,
        outer,
        ..options()?
    })?;
    must_cross(&lab)?;
    for site in [Site::demux(1), Site::gateway(1, 1)] {
        let mut routes = ip(&lab, site, "route show dev cwlab0 scope global")?;
        routes += &ip(&lab, site, "-6 route show dev cwlab0 proto boot")?;
        ip(&lab, site, "link set cwlab0 down")?;
        must_not_cross(&lab, &format!("the NIC of {site} is down"))?;
        ip(&lab, site, "link set cwlab0 up")?;
        // What the kernel does not bring back itself.
        for route in routes.lines() {
            ip(
                &lab,
                site,
                &format!("route add {} dev cwlab0", route.trim()),
            )?;
        }
        std::thread::sleep(Duration::from_secs(1));
        must_cross(&lab).with_context(|| format!("after {site}"))?;
    }
    ends_in_order(&mut lab)
}

/// A host was replaced while its gateway was away: the kernel still has the old MAC address, and
/// nothing but a question will tell it.
#[test]
fn a_host_that_was_replaced_is_found_again() -> Result<()> {
    for (inner, family) in [(Inner::Ipv4, Family::Ipv4), (Inner::Ipv6, Family::Ipv6)] {
        replaced(inner, family).with_context(|| format!("over {family}"))?;
    }
    Ok(())
}

fn replaced(inner: Inner, family: Family) -> Result<()> {
    let mut lab = laid_out(Options {
        gateways: 1,
        inner,
        ..options()?
    })?;
    let (demux_address, host_address) = (
        Site::demux(2).address(family),
        Site::host(2, 1).address(family),
    );
    // A host that asks for its demux would give itself away to the whole subnet.
    let link = ip(&lab, Site::demux(2), "-br link show cwlab0")?;
    let demux = link.split_whitespace().nth(2).context("no MAC address")?;
    let silent = format!("neigh replace {demux_address} lladdr {demux} dev cwlab0 nud permanent");
    ip(&lab, Site::host(2, 1), &silent)?;
    let entry =
        format!("neigh replace {host_address} lladdr 02:00:00:00:09:09 dev cwlab0 nud stale");
    ip(&lab, Site::gateway(2, 1), &entry)?;
    lab.start_roles()?;
    must_not_cross(&lab, "the host's old address leads nowhere")?;
    // The kernel doubts an entry for 5 s and then asks three times, a second apart.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !crosses(&lab)?.fact("probe").holds {
        ensure!(Instant::now() < deadline, "the host is not found again");
    }
    Ok(())
}

#[test]
fn nothing_crosses_without_the_demux() -> Result<()> {
    let mut lab = running(Options {
        gateways: 1,
        ..options()?
    })?;
    must_cross(&lab)?;
    lab.kill_role(Site::demux(1))?;
    must_not_cross(&lab, "there is no demux")
}

#[test]
fn a_role_says_what_keeps_it_from_starting() -> Result<()> {
    let mut lab = laid_out(Options {
        gateways: 1,
        placement: Placement::Local,
        ..options()?
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
            .wait(Duration::from_secs(10))?
            .context("it started")?;
        ensure!(!status.success(), "it ended without an error");
        process.stderr()
    };
    let object = lab.options().xdp_object.display().to_string();

    let absent = start(&text, "/nowhere/causeway-xdp.o")?;
    ensure!(absent.contains("cargo xtask build"), "{absent}");
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
