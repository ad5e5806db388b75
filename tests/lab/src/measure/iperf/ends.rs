//! Client and server of one run of iperf3.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::super::IPERF_PORT;
use super::super::direction::Directions;
use super::load::Load;
use super::report::{self, Throughput};
use crate::process::Process;
use crate::{Family, Lab, Site};

const START_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for connecting, for the end of slow streams and for the exchange of results. A few lost segments cost seconds,
/// because TCP doubles its timeout for each.
const GRACE: Duration = Duration::from_secs(10);
/// Time for the report after SIGTERM.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs a client on `from` and a server on `to`. The window of `load` is here that of each connection.
pub fn run(
    lab: &Lab,
    (from, to): (Site, Site),
    family: Family,
    load: Load,
    directions: Directions,
) -> Result<Throughput> {
    let address = to.address(family).to_string();
    let mut server = Command::new("iperf3");
    server.args(["-s", "-1", "-J", "-B", &address]);
    let mut server = lab.spawn(to, &format!("iperf3-server-{family}"), &server)?;
    // A test connection would count as the one client of the server.
    server.wait_until(START_TIMEOUT, |_| {
        lab.inside(to, || listens(family, IPERF_PORT))
    })?;
    let client = client(&address, load, directions);
    let mut client = lab.spawn(from, &format!("iperf3-{family}"), &client)?;

    let limit = Duration::from_secs((load.warm_up + load.duration).into()) + GRACE;
    let Some(status) = client.wait(limit)? else {
        // The client ends first, because it notifies the server if the path still works.
        terminate(&mut client)?;
        terminate(&mut server)?;
        return report::cut_off(&client.stdout()?, &server.stdout()?, load);
    };
    ensure!(
        status.success(),
        "iperf3 ended with {status}{}",
        client.output_tail()
    );
    report::complete(&client.stdout()?, load.streams)
}

fn client(address: &str, load: Load, directions: Directions) -> Command {
    let mut client = Command::new("iperf3");
    client
        .args(["-J", "--connect-timeout", "5000"])
        .args(["-c", address])
        .args(["-P", &load.streams.to_string()])
        .args(["-t", &load.duration.to_string()])
        .args(["-O", &load.warm_up.to_string()]);
    if let Some(congestion) = load.congestion {
        client.args(["-C", congestion]);
    }
    if let Some(window) = load.window {
        client.args(["-w", &window.to_string()]);
    }
    match directions {
        Directions::There => {}
        Directions::Back => {
            client.arg("-R");
        }
        Directions::Both => {
            client.arg("--bidir");
        }
    }
    client
}

/// Whether a TCP port is in use by a listener, in the namespace of this thread.
fn listens(family: Family, port: u16) -> Result<bool> {
    let table = fs::read_to_string(match family {
        Family::Ipv4 => "/proc/thread-self/net/tcp",
        Family::Ipv6 => "/proc/thread-self/net/tcp6",
    })?;
    let port = format!(":{port:04X}");
    Ok(table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().is_some_and(|local| local.ends_with(&port));
        // 0A is TCP_LISTEN.
        local && fields.nth(1) == Some("0A")
    }))
}

/// Ends a process of iperf3, which writes its report first.
fn terminate(process: &mut Process) -> Result<()> {
    if process.exit_status()?.is_none() {
        process.signal(Signal::TERM)?;
        if process.wait(REPORT_TIMEOUT)?.is_none() {
            process.kill()?;
        }
    }
    Ok(())
}
