//! A small curve through the whole lab, and its documents. Needs root and the output of
//! `cargo xtask build`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const DOCUMENTATION: &str = include_str!("../../docs/curve-report.md");
/// Maps with variable keys.
const MAPS: [&str; 2] = ["drops", "time"];

fn perf(arguments: &[&str]) -> Output {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let perf = Command::new(env!("CARGO_BIN_EXE_causeway-perf"))
        .args(arguments)
        .env("CAUSEWAY_BINARY", target.join("release/causeway"))
        .env("CAUSEWAY_XDP_OBJECT", target.join("causeway-xdp.o"))
        .output();
    perf.unwrap()
}

/// The standard output of a successful command.
fn stdout_of(arguments: &[&str]) -> String {
    let output = perf(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A section of the documentation.
fn documented(title: &str) -> &'static str {
    let (_, rest) = DOCUMENTATION
        .split_once(&format!("\n## {title}\n"))
        .unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The names in backticks.
fn names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// All keys of a document.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                found.insert(key.clone());
                if !MAPS.contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        Value::Array(array) => array.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn a_small_curve_writes_the_documented_files() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let file = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let table = stdout_of(&[
        "curve",
        "--gateways=1..=2",
        "--direction=both",
        "--path=internet",
        "--cap-gateway=12",
        "--cap-vpc=18",
        "--duration=1",
        "--warm-up=1",
        "--repeat=1",
        "--streams=4",
        "--udp-rate=200",
        "--out",
        folder.to_str().unwrap(),
    ]);
    assert!(
        table.contains("met: every point is measured: 0 of 4 failed"),
        "{table}"
    );

    let document: Value = serde_json::from_str(&file("curve.json")).unwrap();
    let documented_keys: BTreeSet<_> = names(documented("JSON"))
        .into_iter()
        .flat_map(|name| name.split(['.', '[']))
        .collect();
    let mut found = BTreeSet::new();
    keys(&document, &mut found);
    let unknown: Vec<_> = found
        .iter()
        .filter(|key| !documented_keys.contains(key.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "not in docs/curve-report.md: {unknown:?}"
    );
    points_are_complete(&document);
    rows_match(&document, &file("curve.csv"));
    page_is_complete(&file("curve.html"));

    let json = folder.join("curve.json");
    let json = json.to_str().unwrap();
    let alike = stdout_of(&["compare", json, json]);
    assert!(alike.contains("0 better, 0 worse"), "{alike}");
}

fn points_are_complete(document: &Value) {
    for (mode, series) in ["capped", "uncapped"]
        .iter()
        .zip(document["curves"].as_array().unwrap())
    {
        assert_eq!(series["mode"], *mode);
        let points = series["points"].as_array().unwrap();
        let gateways: Vec<_> = points
            .iter()
            .map(|point| point["gateways"].as_u64())
            .collect();
        assert_eq!(gateways, [Some(1), Some(2)]);
        for point in points {
            assert!(point["tcp_mbit"]["median"].as_f64() > Some(0.1), "{point}");
            assert!(point["udp"]["sent"].as_u64() > Some(0), "{point}");
            assert!(
                point["reference_efficiency"].as_f64() > Some(0.5),
                "{point}"
            );
            assert_eq!(point["efficiency"].is_f64(), *mode == "capped", "{point}");
            let sum = |of: &Value| -> f64 {
                let object = of.as_object().map(|map| map.values().collect());
                let parts: Vec<&Value> =
                    object.unwrap_or_else(|| of.as_array().unwrap().iter().collect());
                parts.iter().filter_map(|part| part.as_f64()).sum()
            };
            for of in ["shares", "time"] {
                assert!((sum(&point[of]) - 1.0).abs() < 1e-6, "{of}: {point}");
            }
        }
    }
}

fn rows_match(document: &Value, csv: &str) {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let section = documented("CSV");
    let (columns, _) = section.split_once("A field is empty").unwrap();
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        &names(columns)[1..],
        "the columns that docs/curve-report.md names"
    );
    let rows: Vec<std::collections::HashMap<String, String>> =
        reader.deserialize().map(Result::unwrap).collect();
    let curves = document["curves"].as_array().unwrap();
    let points: Vec<(&Value, &Value)> = curves
        .iter()
        .flat_map(|series| {
            series["points"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |point| (series, point))
        })
        .collect();
    assert_eq!(rows.len(), points.len());
    for (row, (series, point)) in rows.iter().zip(points) {
        assert_eq!(series["mode"], row["mode"].as_str());
        for (column, at) in [
            ("gateways", "/gateways"),
            ("tcp_mbit", "/tcp_mbit/median"),
            ("tcp_mbit_min", "/tcp_mbit/min"),
            ("ideal_mbit", "/ideal_mbit"),
            ("efficiency", "/efficiency"),
            ("reference_efficiency", "/reference_efficiency"),
            ("retransmits", "/retransmits"),
            ("udp_sent", "/udp/sent"),
            ("udp_p99_us", "/udp/p99_us"),
            ("cut_off", "/cut_off"),
        ] {
            let cell = row[column].parse::<f64>().ok();
            let value = point.pointer(at).unwrap().as_f64();
            let alike = match (cell, value) {
                // Parsing JSON may lose a number's last digit.
                (Some(cell), Some(value)) => (cell - value).abs() <= value.abs() * 1e-12,
                _ => cell.is_none() && value.is_none(),
            };
            assert!(alike, "{column} {cell:?} {value:?} of {point}");
        }
    }
}

fn page_is_complete(page: &str) {
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for outside in [
        "http", "//", "<script", "<link", "@import", "url(", "src=", "href=",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    let count = |words: &str| page.matches(words).count();
    for (curve, charts) in [("capped", 6), ("uncapped", 5)] {
        assert_eq!(count(&format!("<h3 id=\"{curve}-")), charts, "{curve}");
        for chart in ["throughput", "latency", "shares", "time"] {
            let drawn = format!("aria-labelledby=\"{curve}-{chart}-title\"");
            assert_eq!(count(&drawn), 1, "{curve} {chart}");
        }
    }
    assert_eq!(count("aria-labelledby=\"capped-efficiency-title\""), 1);
}

#[test]
fn limits_without_capacity_for_tcp_are_refused() {
    let output = perf(&["curve", "--gateways=1", "--cap-gateway=2", "--mode=capped"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        stderr.contains("at least 3.3 Mbit/s") && stderr.contains("--cap-gateway"),
        "{stderr}"
    );
}
