//! The two ends of one run of iperf3.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::super::IPERF_PORT;
use super::report;
use super::{Load, Throughput, Way};
use crate::process::Process;
use crate::{Family, Lab, Site};

const START_WITHIN: Duration = Duration::from_secs(5);
/// Connecting, the end of slow streams and the exchange of results. A few lost segments of it
/// take seconds, since TCP waits twice as long for each.
const GRACE: Duration = Duration::from_secs(10);
/// For writing a report when told to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A client on `from` against a server on `to`. The window is that of each connection here.
pub fn run(
    lab: &Lab,
    (from, to): (Site, Site),
    family: Family,
    load: Load,
    way: Way,
) -> Result<Throughput> {
    let address = to.address(family).to_string();
    let mut server = Command::new("iperf3");
    server.args(["-s", "-1", "-J", "-B", &address]);
    let mut server = lab.spawn(to, &format!("iperf3-server-{family}"), &server)?;
    // Asking it would use up its one client.
    server.wait_until(START_WITHIN, |_| {
        lab.inside(to, || listens(family, IPERF_PORT))
    })?;
    let client = client(&address, load, way);
    let mut client = lab.spawn(from, &format!("iperf3-{family}"), &client)?;

    let limit = Duration::from_secs((load.warm_up + load.duration).into()) + GRACE;
    let Some(status) = client.wait(limit)? else {
        // The client first: it tells the server, if it still can.
        end(&mut client)?;
        end(&mut server)?;
        return report::cut_off(&client.stdout()?, &server.stdout()?, load);
    };
    ensure!(
        status.success(),
        "iperf3 ended with {status}{}",
        client.last_words()
    );
    report::whole(&client.stdout()?, load.streams)
}

fn client(address: &str, load: Load, way: Way) -> Command {
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
    match way {
        Way::There => {}
        Way::Back => {
            client.arg("-R");
        }
        Way::Both => {
            client.arg("--bidir");
        }
    }
    client
}

/// Whether something listens on a TCP port in the thread's namespace.
fn listens(family: Family, port: u16) -> Result<bool> {
    let table = fs::read_to_string(match family {
        Family::Ipv4 => "/proc/thread-self/net/tcp",
        Family::Ipv6 => "/proc/thread-self/net/tcp6",
    })?;
    let port = format!(":{port:04X}");
    Ok(table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().is_some_and(|local| local.ends_with(&port));
        // 0A is TCP_LISTEN.
        local && words.nth(1) == Some("0A")
    }))
}

/// Has it write its report and end.
fn end(process: &mut Process) -> Result<()> {
    if process.ended()?.is_none() {
        process.signal(Signal::TERM)?;
        if process.wait(LAST_WORDS)?.is_none() {
            process.kill()?;
        }
    }
    Ok(())
}
