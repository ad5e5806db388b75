//! TCP throughput by iperf3, its own figures.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::IPERF_PORT;
use crate::{Fact, Lab, Site};

const START_WITHIN: Duration = Duration::from_secs(5);
/// Connecting, the end of slow streams and the exchange of results.
const SLACK: Duration = Duration::from_secs(20);

/// One run of iperf3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// TCP connections.
    pub streams: u16,
    /// Seconds, as the receiver measured.
    pub seconds: f64,
    /// Payload that arrived, in Gbit/s.
    pub gbit_per_s: f64,
    /// Segments sent again.
    pub retransmits: u64,
}

impl Throughput {
    /// Data arrived.
    pub fn fact(&self, key: &str) -> Fact {
        Fact::new(
            key,
            self.gbit_per_s > 0.0,
            format!(
                "{:.3} Gbit/s over {} streams in {:.1} s, {} retransmits",
                self.gbit_per_s, self.streams, self.seconds, self.retransmits
            ),
        )
    }
}

/// Runs a client on `from` against a server on `to`. With `reverse` the server sends.
pub fn run(
    lab: &Lab,
    from: Site,
    to: Site,
    streams: u16,
    duration: u32,
    reverse: bool,
) -> Result<Throughput> {
    let mut server = Command::new("iperf3");
    server.args(["-s", "-1", "-B", &to.address().to_string()]);
    let mut server = lab.spawn(to, "iperf3-server", &server)?;
    // Asking it would use up its one client.
    server.wait_until(START_WITHIN, |_| lab.inside(to, || listens(IPERF_PORT)))?;

    let mut client = Command::new("iperf3");
    client
        .args(["-J", "--connect-timeout", "5000"])
        .args(["-c", &to.address().to_string()])
        .args(["-P", &streams.to_string()])
        .args(["-t", &duration.to_string()]);
    if reverse {
        client.arg("-R");
    }
    let limit = Duration::from_secs(duration.into()) + SLACK;
    let report = lab.spawn(from, "iperf3", &client)?.finish(limit)?;
    parse(&report, streams)
}

/// Whether something listens on a TCP port in the thread's namespace.
fn listens(port: u16) -> Result<bool> {
    let table = fs::read_to_string("/proc/thread-self/net/tcp")?;
    let port = format!(":{port:04X}");
    Ok(table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().is_some_and(|local| local.ends_with(&port));
        // 0A is TCP_LISTEN.
        local && words.nth(1) == Some("0A")
    }))
}

fn parse(report: &str, streams: u16) -> Result<Throughput> {
    let report: Value = serde_json::from_str(report).context("iperf3 gave no JSON")?;
    if let Some(error) = report["error"].as_str() {
        bail!("iperf3 failed: {error}");
    }
    let figure = |path: &str| {
        report
            .pointer(path)
            .and_then(Value::as_f64)
            .with_context(|| format!("iperf3's report has no {path}"))
    };
    Ok(Throughput {
        streams,
        seconds: figure("/end/sum_received/seconds")?,
        gbit_per_s: figure("/end/sum_received/bits_per_second")? / 1e9,
        retransmits: figure("/end/sum_sent/retransmits")? as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_from_the_receiver() {
        let report = r#"{"end":{"sum_sent":{"bits_per_second":3e9,"retransmits":7},
            "sum_received":{"bits_per_second":2.5e9,"seconds":5.02}}}"#;
        let throughput = parse(report, 4).unwrap();
        assert_eq!(throughput.gbit_per_s, 2.5);
        assert_eq!((throughput.retransmits, throughput.streams), (7, 4));
    }

    #[test]
    fn a_failed_run_is_an_error_in_its_own_words() {
        let error = parse(r#"{"error":"unable to connect"}"#, 4).unwrap_err();
        assert!(error.to_string().contains("unable to connect"));
        assert!(parse(r#"{"end":{}}"#, 4).is_err());
        let none = Throughput {
            streams: 1,
            seconds: 5.0,
            gbit_per_s: 0.0,
            retransmits: 0,
        };
        assert!(!none.fact("tcp").holds);
    }
}
