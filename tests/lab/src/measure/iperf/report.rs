//! What iperf3 says in its JSON.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{Load, Throughput};

/// The sums of an interval: of the way there, and of the way back where both send.
const SUMS: [&str; 2] = ["sum", "sum_bidir_reverse"];

/// The figures of a client that came to its end.
pub fn whole(report: &str, streams: u16) -> Result<Throughput> {
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
        cut_off: false,
    })
}

/// The figures of a run whose ends were ended: each way as its receiver told it, second by second.
pub fn cut_off(client: &str, server: &str, load: Load) -> Result<Throughput> {
    let (client, server) = (read(client)?, read(server)?);
    let still = still(&client);
    let mut figures = Throughput {
        stalled: still.last().copied().unwrap_or_default(),
        still_seconds: still.into_iter().map(u64::from).sum(),
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
    let said = |report: &Value| report["error"].as_str().unwrap_or("nothing").to_owned();
    ensure!(
        figures.seconds > 0.0,
        "iperf3 did not end in time, and no receiver had measured anything; client: {}; server: {}",
        said(&client),
        said(&server)
    );
    Ok(figures)
}

fn read(report: &str) -> Result<Value> {
    serde_json::from_str(report).context("iperf3 gave no JSON")
}

/// One sum of each interval after the warm-up. A server that is interrupted tells its last one
/// twice, and one that heard of no end goes on after it.
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

    const LOAD: Load = Load {
        streams: 4,
        duration: 2,
        warm_up: 1,
        congestion: None,
        window: None,
    };

    #[test]
    fn figures_come_from_the_receiver() {
        let report = r#"{"end":{"sum_sent":{"bits_per_second":3e9,"retransmits":7},
            "sum_received":{"bits_per_second":2.5e9,"seconds":5.02}}}"#;
        let throughput = whole(report, 4).unwrap();
        assert_eq!(throughput.gbit_per_s, 2.5);
        assert_eq!((throughput.retransmits, throughput.streams), (7, 4));

        let both = r#"{"end":{"sum_sent":{"retransmits":7},"sum_sent_bidir_reverse":{"retransmits":2},
            "sum_received":{"bits_per_second":2.5e9,"seconds":5.02},
            "sum_received_bidir_reverse":{"bits_per_second":0.5e9}},
            "intervals":[{"sum":{"seconds":1.0},"streams":[{"bytes":0},{"bytes":0}]},
            {"sum":{"seconds":1.0},"streams":[{"bytes":5},{"bytes":0}]},
            {"sum":{"seconds":0.01},"streams":[{"bytes":0},{"bytes":0}]}]}"#;
        let throughput = whole(both, 4).unwrap();
        assert_eq!(throughput.gbit_per_s, 3.0);
        assert_eq!((throughput.retransmits, throughput.streams), (9, 8));
        assert_eq!((throughput.stalled, throughput.still_seconds), (1, 3));
    }

    #[test]
    fn a_failed_run_is_an_error_in_its_own_words() {
        let error = whole(r#"{"error":"unable to connect"}"#, 4).unwrap_err();
        assert!(error.to_string().contains("unable to connect"));
        assert!(whole(r#"{"end":{}}"#, 4).is_err());
    }

    fn interval(there: &str, back: &str) -> String {
        format!(r#"{{"sum":{{{there}}},"sum_bidir_reverse":{{{back}}},"streams":[]}}"#)
    }

    #[test]
    fn a_run_that_was_cut_off_has_what_its_receivers_told() {
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
        // The second interval comes twice, the last one after the time.
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
