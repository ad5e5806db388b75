//! TCP throughput by iperf3, its own figures.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::IPERF_PORT;
use crate::{Fact, Family, Lab, Site};

const START_WITHIN: Duration = Duration::from_secs(5);
/// Connecting, the end of slow streams and the exchange of results.
const SLACK: Duration = Duration::from_secs(20);

/// One run of iperf3.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// TCP connections.
    pub streams: u16,
    /// Seconds, as the receiver measured.
    pub seconds: f64,
    /// Payload that arrived, in Gbit/s.
    pub gbit_per_s: f64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Connections over which nothing arrived in the last whole second.
    pub stalled: u16,
    /// Whole seconds of single connections in which nothing arrived, summed up.
    pub still_seconds: u64,
}

/// One run in each inner family, at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tcp {
    /// All together; the seconds are those of the longest.
    #[serde(flatten)]
    pub total: Throughput,
    /// Each by the name of its family.
    pub by_family: BTreeMap<String, Throughput>,
}

impl Tcp {
    fn of(by_family: BTreeMap<String, Throughput>) -> Self {
        let mut total = Throughput::default();
        for each in by_family.values() {
            total.streams += each.streams;
            total.seconds = total.seconds.max(each.seconds);
            total.gbit_per_s += each.gbit_per_s;
            total.retransmits += each.retransmits;
            total.stalled += each.stalled;
            total.still_seconds += each.still_seconds;
        }
        Self { total, by_family }
    }

    /// Data arrived, in each family.
    pub fn fact(&self, key: &str) -> Fact {
        let total = &self.total;
        let mut figure = format!(
            "{:.3} Gbit/s over {} streams in {:.1} s, {} retransmits",
            total.gbit_per_s, total.streams, total.seconds, total.retransmits
        );
        if self.by_family.len() > 1 {
            for (family, each) in &self.by_family {
                figure += &format!("; {family} {:.3} over {}", each.gbit_per_s, each.streams);
            }
        }
        let mut each = self.by_family.values();
        let holds = each.len() > 0 && each.all(|each| each.gbit_per_s > 0.0);
        Fact::new(key, holds, figure)
    }
}

/// What the clients send.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// TCP connections.
    pub streams: u16,
    /// Seconds, without the warm-up.
    pub duration: u32,
    /// Seconds at first that do not count.
    pub warm_up: u32,
    /// TCP's congestion control; absent: the machine's own.
    pub congestion: Option<&'static str>,
    /// Octets that all connections together have on their way at most; absent: as
    /// many as TCP finds good, which is as many as the queues take and more.
    pub window: Option<u32>,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The clients.
    There,
    /// The servers.
    Back,
    /// Both at the same time; the figures are of both together.
    Both,
}

/// Runs clients on `from` against servers on `to`, one of each for every inner family, and deals
/// the streams out to them, at least one each.
pub fn run(lab: &Lab, from: Site, to: Site, load: Load, way: Way) -> Result<Tcp> {
    let families = lab.options().inner.families();
    let by_family = thread::scope(|scope| {
        let window = load
            .window
            .map(|window| window / u32::from(load.streams.max(1)));
        let shares = deal(load.streams, families.len() as u16);
        let runs: Vec<_> = families
            .iter()
            .zip(shares)
            .map(|(&family, share)| {
                let share = Load {
                    streams: share,
                    window,
                    ..load
                };
                let run = move || one(lab, (from, to), family, share, way);
                (family, scope.spawn(run))
            })
            .collect();
        let joined = runs.into_iter().map(|(family, run)| {
            let measured = run
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            measured.map(|throughput| (family.to_string(), throughput))
        });
        joined.collect::<Result<_>>()
    })?;
    Ok(Tcp::of(by_family))
}

/// The earlier of `hands` get what does not divide.
fn deal(streams: u16, hands: u16) -> impl Iterator<Item = u16> {
    (0..hands).map(move |hand| ((streams + hands - 1 - hand) / hands).max(1))
}

/// The window is that of each connection here.
fn one(
    lab: &Lab,
    (from, to): (Site, Site),
    family: Family,
    load: Load,
    way: Way,
) -> Result<Throughput> {
    let address = to.address(family).to_string();
    let mut server = Command::new("iperf3");
    server.args(["-s", "-1", "-B", &address]);
    let mut server = lab.spawn(to, &format!("iperf3-server-{family}"), &server)?;
    // Asking it would use up its one client.
    server.wait_until(START_WITHIN, |_| {
        lab.inside(to, || listens(family, IPERF_PORT))
    })?;

    let mut client = Command::new("iperf3");
    client
        .args(["-J", "--connect-timeout", "5000"])
        .args(["-c", &address])
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
    let limit = Duration::from_secs((load.warm_up + load.duration).into()) + SLACK;
    let report = lab
        .spawn(from, &format!("iperf3-{family}"), &client)?
        .finish(limit)?;
    parse(&report, load.streams)
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
    // The other way's, where both send.
    let back = |name: &str| {
        let path = format!("/end/{name}_bidir_reverse");
        report.pointer(&path)
    };
    let also = |name: &str, key: &str| {
        let value = back(name).and_then(|sum| sum[key].as_f64());
        value.unwrap_or(0.0)
    };
    let ways = 1 + u16::from(back("sum_received").is_some());
    let still = still(&report);
    Ok(Throughput {
        streams: ways * streams,
        seconds: figure("/end/sum_received/seconds")?,
        gbit_per_s: (figure("/end/sum_received/bits_per_second")?
            + also("sum_received", "bits_per_second"))
            / 1e9,
        retransmits: (figure("/end/sum_sent/retransmits")? + also("sum_sent", "retransmits"))
            as u64,
        stalled: still.last().copied().unwrap_or_default(),
        still_seconds: still.into_iter().map(u64::from).sum(),
    })
}

/// In each whole second the connections that moved nothing.
fn still(report: &Value) -> Vec<u16> {
    let whole = |interval: &&Value| interval["sum"]["seconds"].as_f64() > Some(0.9);
    let intervals = report["intervals"].as_array().into_iter().flatten();
    let nothing = |stream: &&Value| stream["bytes"].as_u64() == Some(0);
    intervals
        .filter(whole)
        .map(|interval| {
            let streams = interval["streams"].as_array().into_iter().flatten();
            streams.filter(nothing).count() as u16
        })
        .collect()
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

        let both = r#"{"end":{"sum_sent":{"retransmits":7},"sum_sent_bidir_reverse":{"retransmits":2},
            "sum_received":{"bits_per_second":2.5e9,"seconds":5.02},
            "sum_received_bidir_reverse":{"bits_per_second":0.5e9}},
            "intervals":[{"sum":{"seconds":1.0},"streams":[{"bytes":0},{"bytes":0}]},
            {"sum":{"seconds":1.0},"streams":[{"bytes":5},{"bytes":0}]},
            {"sum":{"seconds":0.01},"streams":[{"bytes":0},{"bytes":0}]}]}"#;
        let throughput = parse(both, 4).unwrap();
        assert_eq!(throughput.gbit_per_s, 3.0);
        assert_eq!((throughput.retransmits, throughput.streams), (9, 8));
        assert_eq!((throughput.stalled, throughput.still_seconds), (1, 3));
    }

    #[test]
    fn a_failed_run_is_an_error_in_its_own_words() {
        let error = parse(r#"{"error":"unable to connect"}"#, 4).unwrap_err();
        assert!(error.to_string().contains("unable to connect"));
        assert!(parse(r#"{"end":{}}"#, 4).is_err());
    }

    #[test]
    fn a_family_without_data_fails_the_fact() {
        let throughput = |gbit_per_s| Throughput {
            streams: 2,
            seconds: 5.0,
            gbit_per_s,
            retransmits: 3,
            stalled: 0,
            still_seconds: 0,
        };
        let tcp = |v4, v6| {
            let each = [("ipv4", v4), ("ipv6", v6)];
            Tcp::of(
                each.map(|(name, rate)| (name.to_owned(), throughput(rate)))
                    .into(),
            )
        };
        let both = tcp(1.0, 2.0);
        assert!(both.fact("tcp").holds);
        assert_eq!((both.total.gbit_per_s, both.total.streams), (3.0, 4));
        assert_eq!((both.total.seconds, both.total.retransmits), (5.0, 6));
        assert!(!tcp(1.0, 0.0).fact("tcp").holds);
        assert!(!Tcp::of(BTreeMap::new()).fact("tcp").holds);
    }

    #[test]
    fn streams_are_dealt_out_and_nobody_goes_without() {
        let dealt = |streams, hands| deal(streams, hands).collect::<Vec<_>>();
        assert_eq!(dealt(5, 2), [3, 2]);
        assert_eq!(dealt(4, 1), [4]);
        assert_eq!(dealt(1, 2), [1, 1]);
    }
}
