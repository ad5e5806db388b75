//! iperf3's report in JSON.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::load::Load;

/// iperf3 in one inner family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Throughput {
    /// TCP connections.
    pub streams: u16,
    /// Duration in seconds, as the receiver measured it; of several runs, the longest.
    pub seconds: f64,
    /// Payload that arrived, in Gbit/s.
    pub gbit_per_s: f64,
    /// Retransmitted segments.
    pub retransmits: u64,
    /// Connections without data in the last whole second.
    pub stalled: u16,
    /// Whole seconds of single connections without data, summed over the connections.
    pub still_seconds: u64,
    /// Whether iperf3 did not end within 10 s of its time and was stopped. Its two ends could then not exchange their
    /// results, and the figures cover the seconds that its receivers had reported.
    pub cut_off: bool,
}

/// The keys of the sums of an interval: for the first direction, and for the second if both ends send.
const SUMS: [&str; 2] = ["sum", "sum_bidir_reverse"];

/// The figures of a client that ended by itself.
pub fn complete(report: &str, streams: u16) -> Result<Throughput> {
    let report = read(report)?;
    if let Some(error) = report["error"].as_str() {
        bail!("iperf3 failed: {error}");
    }
    let figure = |path: &str| {
        report
            .pointer(path)
            .and_then(Value::as_f64)
            .with_context(|| format!("iperf3's report has no {path}"))
    };
    // The sums of the second direction, if both ends send.
    let back = |name: &str| {
        let path = format!("/end/{name}_bidir_reverse");
        report.pointer(&path)
    };
    let reverse = |name: &str, key: &str| {
        let value = back(name).and_then(|sum| sum[key].as_f64());
        value.unwrap_or(0.0)
    };
    let directions = 1 + u16::from(back("sum_received").is_some());
    let idle = idle_connections(&report);
    Ok(Throughput {
        streams: directions * streams,
        seconds: figure("/end/sum_received/seconds")?,
        gbit_per_s: (figure("/end/sum_received/bits_per_second")?
            + reverse("sum_received", "bits_per_second"))
            / 1e9,
        retransmits: (figure("/end/sum_sent/retransmits")? + reverse("sum_sent", "retransmits"))
            as u64,
        stalled: idle.last().copied().unwrap_or_default(),
        still_seconds: idle.into_iter().map(u64::from).sum(),
        cut_off: false,
    })
}

/// The figures of a terminated run. Each direction is summed from the seconds that its receiver reported.
pub fn cut_off(client: &str, server: &str, load: Load) -> Result<Throughput> {
    let (client, server) = (read(client)?, read(server)?);
    let idle = idle_connections(&client);
    let mut figures = Throughput {
        stalled: idle.last().copied().unwrap_or_default(),
        still_seconds: idle.into_iter().map(u64::from).sum(),
        cut_off: true,
        ..Throughput::default()
    };
    for (report, key) in [&client, &server]
        .into_iter()
        .flat_map(|report| SUMS.map(|key| (report, key)))
    {
        let sums = counted(report, key, load.duration);
        let total = |of: &str| sums.iter().filter_map(|sum| sum[of].as_f64()).sum::<f64>();
        match sums.first().map(|sum| sum["sender"] == true) {
            Some(true) => figures.retransmits += total("retransmits") as u64,
            Some(false) => {
                let seconds = total("seconds");
                figures.streams += load.streams;
                figures.seconds = figures.seconds.max(seconds);
                figures.gbit_per_s += total("bytes") * 8.0 / seconds / 1e9;
            }
            None => {}
        }
    }
    let error = |report: &Value| report["error"].as_str().unwrap_or("no error").to_owned();
    ensure!(
        figures.seconds > 0.0,
        "iperf3 did not end in time, and no receiver had reported a second; client: {}; server: {}",
        error(&client),
        error(&server)
    );
    Ok(figures)
}

fn read(report: &str) -> Result<Value> {
    serde_json::from_str(report).context("the output of iperf3 is not JSON")
}

/// The sums of the intervals after the warm-up.
///
/// An interrupted server reports its last interval twice. A server that has missed the end continues after it.
fn counted<'a>(report: &'a Value, key: &str, duration: u32) -> Vec<&'a Value> {
    let intervals = report["intervals"].as_array().into_iter().flatten();
    let mut sums: Vec<&Value> = intervals
        .map(|interval| &interval[key])
        .filter(|sum| sum["omitted"] == false)
        .filter(|sum| sum["start"].as_f64() < Some(duration.into()))
        .collect();
    sums.dedup_by_key(|sum| sum["start"].as_f64());
    sums
}

/// For each whole second, the number of connections without data.
fn idle_connections(report: &Value) -> Vec<u16> {
    let whole = |interval: &&Value| interval["sum"]["seconds"].as_f64() > Some(0.9);
    let intervals = report["intervals"].as_array().into_iter().flatten();
    let is_idle = |stream: &&Value| stream["bytes"].as_u64() == Some(0);
    intervals
        .filter(whole)
        .map(|interval| {
            let streams = interval["streams"].as_array().into_iter().flatten();
            streams.filter(is_idle).count() as u16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        streams: 4,
        duration: 2,
        warm_up: 1,
        congestion: None,
        window: None,
    };

    #[test]
    fn figures_are_from_the_receiver() {
        let report = r#"{"end":{"sum_sent":{"bits_per_second":3e9,"retransmits":7},
            "sum_received":{"bits_per_second":2.5e9,"seconds":5.02}}}"#;
        let throughput = complete(report, 4).unwrap();
        assert_eq!(throughput.gbit_per_s, 2.5);
        assert_eq!((throughput.retransmits, throughput.streams), (7, 4));

        let both = r#"{"end":{"sum_sent":{"retransmits":7},"sum_sent_bidir_reverse":{"retransmits":2},
            "sum_received":{"bits_per_second":2.5e9,"seconds":5.02},
            "sum_received_bidir_reverse":{"bits_per_second":0.5e9}},
            "intervals":[{"sum":{"seconds":1.0},"streams":[{"bytes":0},{"bytes":0}]},
            {"sum":{"seconds":1.0},"streams":[{"bytes":5},{"bytes":0}]},
            {"sum":{"seconds":0.01},"streams":[{"bytes":0},{"bytes":0}]}]}"#;
        let throughput = complete(both, 4).unwrap();
        assert_eq!(throughput.gbit_per_s, 3.0);
        assert_eq!((throughput.retransmits, throughput.streams), (9, 8));
        assert_eq!((throughput.stalled, throughput.still_seconds), (1, 3));
    }

    #[test]
    fn the_error_of_a_failed_run_is_reported() {
        let error = complete(r#"{"error":"unable to connect"}"#, 4).unwrap_err();
        assert!(error.to_string().contains("unable to connect"));
        assert!(complete(r#"{"end":{}}"#, 4).is_err());
    }

    fn interval(there: &str, back: &str) -> String {
        format!(r#"{{"sum":{{{there}}},"sum_bidir_reverse":{{{back}}},"streams":[]}}"#)
    }

    #[test]
    fn a_terminated_run_has_the_figures_of_its_receivers() {
        let sum = |start: f64, sender: bool, omitted: bool, more: &str| {
            format!(r#""start":{start},"seconds":1.0,"sender":{sender},"omitted":{omitted},{more}"#)
        };
        let sent = r#""bytes":9000,"retransmits":3"#;
        let client = [
            interval(
                &sum(0.0, true, true, sent),
                &sum(0.0, false, true, r#""bytes":7"#),
            ),
            interval(
                &sum(0.0, true, false, sent),
                &sum(0.0, false, false, r#""bytes":125000000"#),
            ),
        ];
        let arrived = r#""bytes":250000000"#;
        let one = |start| {
            interval(
                &sum(start, false, false, arrived),
                &sum(start, true, false, sent),
            )
        };
        let late = interval(
            &sum(2.0, false, false, r#""bytes":0"#),
            &sum(2.0, true, false, sent),
        );
        // The second interval is reported twice; the last one starts after the end.
        let server = [one(0.0), one(1.0), one(1.0), late];
        let report = |intervals: &[String]| {
            format!(
                r#"{{"intervals":[{}],"error":"interrupt"}}"#,
                intervals.join(",")
            )
        };
        let figures = cut_off(&report(&client), &report(&server), LOAD).unwrap();
        assert!(figures.cut_off);
        assert!((figures.gbit_per_s - 3.0).abs() < 1e-9, "{figures:?}");
        assert_eq!((figures.seconds, figures.streams), (2.0, 8));
        assert_eq!(figures.retransmits, 3 + 3 + 3);

        let error = cut_off(&report(&client[..1]), &report(&[]), LOAD).unwrap_err();
        assert!(error.to_string().contains("interrupt"), "{error}");
    }
}
