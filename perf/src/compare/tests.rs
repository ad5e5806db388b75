//! Comparisons of documents of every kind.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::kind;
use super::measured::Measured;
use super::report::Comparison;

/// Changes every value of a document that the path of keys leads to.
fn map(value: &mut Value, keys: &[&str], change: &mut impl FnMut(&mut Value)) {
    match (keys, value) {
        ([], value) => change(value),
        (_, Value::Array(values)) => values.iter_mut().for_each(|value| map(value, keys, change)),
        ([key, rest @ ..], value) => {
            if let Some(value) = value.get_mut(*key) {
                map(value, rest, change);
            }
        }
    }
}

fn scale(value: &mut Value, factor: f64) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| scale(value, factor)),
        value => *value = json!(value.as_f64().unwrap() * factor),
    }
}

/// Whether a cell does not run Causeway.
fn is_control(cell: &Value) -> bool {
    ["aead", "forward"].contains(&cell["what"].as_str().unwrap_or_default())
}

/// The document with all figures of a known noise, and all controls, multiplied by a factor each.
fn scaled(document: &Value, figures: f64, controls: f64) -> Value {
    const CELLS: [&[&str]; 6] = [
        &["ns"],
        &["ns_min"],
        &["ns_max"],
        &["mpps", "median"],
        &["mpps", "runs"],
        &["over_forwarder", "runs"],
    ];
    const OTHERS: [&[&str]; 3] = [
        &["curves", "points", "tcp_mbit", "runs"],
        &["packets", "ns"],
        &["packets", "spread"],
    ];
    let mut document = document.clone();
    map(&mut document, &["figures"], &mut |cells| {
        for cell in cells.as_array_mut().unwrap() {
            let factor = if is_control(cell) { controls } else { figures };
            for keys in CELLS {
                map(cell, keys, &mut |value| scale(value, factor));
            }
            map(cell, &["aead_ns"], &mut |value| scale(value, controls));
        }
    });
    for keys in OTHERS {
        map(&mut document, keys, &mut |value| scale(value, figures));
    }
    document
}

fn head(kind: &str) -> Value {
    json!({
        "kind": kind,
        "version": 1,
        "machine": { "cpu": "a CPU", "cores": 2, "kernel": "6.18" },
        "load": [0.1, 1.5],
        "rounds": 9,
    })
}

fn with(kind: &str, rest: Value) -> Value {
    let mut document = head(kind);
    let rest = rest.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(rest);
    document
}

/// One document of every kind, each with two subjects, and with a control if the kind has any.
fn documents() -> [Value; 5] {
    let ns = json!({ "ns": 70.0, "ns_min": 69.0, "ns_max": 71.5 });
    let cell = |more: Value| {
        let mut cell = ns.clone();
        cell.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        cell
    };
    let engine = |what, size| json!({ "cipher": "c", "size": size, "direction": "seal", "what": what, "backend": "b" });
    let path = |batch| {
        json!({
            "axis": "batch", "cipher": "c", "size": "64", "direction": "seal", "frames": "l2",
            "batch": batch, "aead_ns": 20.0, "sas": 1, "order": "bursts", "flows": 1,
        })
    };
    let spread =
        json!({ "median": 1.2, "min": 1.19, "max": 1.21, "runs": [1.2, 1.19, 1.21, 1.205, 1.195] });
    let core_time = json!({ "median": 1100.0, "min": 1095.0, "max": 1105.0, "runs": [1100.0, 1095.0, 1105.0, 1102.0, 1098.0] });
    let gateway = |what, size| json!({ "size": size, "what": what, "mpps": spread, "over_forwarder": spread, "cpu_ns": core_time });
    let timed = |what| json!({ "what": what, "ns": 58.0, "spread": [57.0, 59.5] });
    let point = |gateways| {
        json!({
            "gateways": gateways, "tcp_mbit": spread, "ideal_mbit": null, "efficiency": null,
            "reference_mbit": null, "reference_efficiency": null, "retransmits": 3,
            "udp": {
                "size": "imix", "sent": 9, "lost": 0, "reordered": 0, "duplicated": 0,
                "p50_us": 1.0, "p90_us": 1.0, "p99_us": 1.0, "p999_us": 1.0, "max_us": 1.0,
            },
            "shares": [1.0], "drops": {}, "time": {},
        })
    };
    [
        with(
            "curve",
            json!({
                "commit": "abc", "began": "now", "goals": [],
                "plan": {
                    "gateways": [1, 2], "direction": "both", "path": "peering", "placement": "remote",
                    "cipher": "c", "udp_size": "imix", "udp_rate": 100, "delay_ms": 0.0, "duration": 5,
                    "warm_up": 1, "repeat": 5, "streams": 8,
                },
                "curves": [{ "mode": "uncapped", "caps": null, "failures": [], "points": [point(1), point(2)] }],
            }),
        ),
        with(
            "engine",
            json!({
                "frames": 64, "frame_bytes": 4096, "figures": [cell(engine("esp", "64")), cell(engine("esp", "512")), cell(engine("aead", "64"))],
            }),
        ),
        with(
            "path",
            json!({ "figures": [cell(path(1)), cell(path(64))] }),
        ),
        with(
            "gateway",
            json!({
                "cipher": "c", "window_ms": 1000, "batch": 64, "figures": [gateway("encrypt", "64"), gateway("encrypt", "512"), gateway("forward", "64")],
                "calls": [{ "size": "64", "what": "encrypt", "per_packet": 0.05 }], "idle": { "core_percent": 0.4 },
            }),
        ),
        with(
            "steering",
            json!({
                "verified_instructions": 100, "translated_bytes": 10, "compiled_bytes": 20, "harness": timed("h"),
                "packets": [timed("a"), timed("b")], "gateways": [], "prefixes": [],
            }),
        ),
    ]
}

fn read(document: &Value) -> Measured {
    kind::read(&document.to_string()).unwrap()
}

fn compared(before: &Value, after: &Value) -> (usize, usize) {
    let comparison = Comparison::of(&read(before), &read(after)).unwrap();
    (comparison.better(), comparison.worse())
}

/// The error of reading or comparing.
fn refused(before: &Value, after: &Value) -> String {
    let read = |document: &Value| kind::read(&document.to_string());
    let error = match (read(before), read(after)) {
        (Ok(before), Ok(after)) => Comparison::of(&before, &after).unwrap_err(),
        (before, after) => before.and(after).unwrap_err(),
    };
    format!("{error:#}")
}

/// Whether the figures of a document improve as they grow.
fn rates(document: &Value) -> bool {
    ["curve", "gateway"].contains(&document["kind"].as_str().unwrap())
}

proptest! {
    /// A document equals itself; scaled beyond the noise every figure differs, and the verdicts swap with the order.
    #[test]
    fn changes_beyond_the_noise_are_reported(factor in prop_oneof![0.1..0.94f64, 1.07..10.0f64]) {
        for document in documents() {
            prop_assert_eq!(compared(&document, &document), (0, 0));
            let changed = scaled(&document, factor, 1.0);
            let (better, worse) = compared(&document, &changed);
            let all = if document["kind"] == "gateway" { 4 } else { 2 };
            let good = (factor > 1.0) == rates(&document);
            prop_assert_eq!((better, worse), if good { (all, 0) } else { (0, all) });
            prop_assert_eq!(compared(&changed, &document), (worse, better));
        }
    }

    #[test]
    fn changes_within_the_noise_are_not_reported(factor in 0.975..1.025f64) {
        for document in documents() {
            prop_assert_eq!(compared(&document, &scaled(&document, factor, 1.0)), (0, 0));
        }
    }
}

/// A machine that drifts moves the controls as well.
#[test]
fn changes_smaller_than_the_drift_of_the_controls_are_not_reported() {
    let [_, engine, path, gateway, _] = documents();
    for document in [engine, path, gateway] {
        let (better, worse) = compared(&document, &scaled(&document, 1.1, 1.0));
        assert!(better + worse >= 2);
        assert_eq!(compared(&document, &scaled(&document, 1.1, 1.12)), (0, 0));
    }
}

#[test]
fn a_document_without_kind_is_recognised_by_its_keys() {
    for document in documents() {
        let mut silent = document.clone();
        let mut with_keys = json!({ "load_core": 0, "peer": [] });
        silent.as_object_mut().unwrap().remove("kind");
        let key = ["load_core", "peer"][usize::from(document["kind"] == "path")];
        if ["gateway", "path"].contains(&document["kind"].as_str().unwrap()) {
            silent[key] = with_keys[key].take();
        }
        assert_eq!(read(&silent).kind, document["kind"]);
    }
}

#[test]
fn documents_that_cannot_be_compared_are_refused_with_the_reason() {
    let [curve, engine, ..] = documents();
    assert!(refused(&curve, &engine).contains("`perf curve` and the second of `perf engine`;"));
    let mut other = curve.clone();
    other["plan"]["placement"] = json!("local");
    other["plan"]["streams"] = json!(4);
    let error = refused(&curve, &other);
    assert!(
        error.contains("placement was remote and is local; streams was 8 and is 4"),
        "{error}"
    );
    let mut later = engine.clone();
    later["version"] = json!(2);
    assert!(refused(&engine, &later).contains("the document has version 2"));
    let mut unknown = engine.clone();
    unknown["kind"] = json!("astrology");
    assert!(refused(&engine, &unknown).contains("\"astrology\"; expected a document of"));
    let mut disjoint = engine.clone();
    map(&mut disjoint, &["figures", "size"], &mut |size| {
        *size = json!("9000")
    });
    assert!(
        refused(&engine, &disjoint)
            .contains("no figure in common: the first has esp seal, c by b, 64;")
    );
    let caps = |gateway: f64| {
        let mut capped = curve.clone();
        capped["curves"][0]["caps"] = json!({
            "reference_gateway_mbit": 1214.0, "reference_vpc_mbit": 5428.5, "scale": 1214.0 / gateway,
            "gateway_mbit": gateway, "vpc_mbit": 400.0,
        });
        capped
    };
    assert_eq!(compared(&caps(100.0), &caps(100.0)), (0, 0));
    let error = refused(&caps(100.0), &caps(93.4));
    assert!(
        error.contains("uncapped at 100.0 and 400.0, 1 gateway: TCP"),
        "{error}"
    );
    assert!(kind::read("<html>").is_err());
}

#[test]
fn other_differences_are_listed() {
    let [curve, ..] = documents();
    let mut other = curve.clone();
    other["machine"]["cores"] = json!(64);
    other["load"] = json!([7.0, 8.0]);
    other["curves"][0]["points"][1]["udp"]["reordered"] = json!(2);
    other["curves"][0]["points"][1]["udp"]["p99_us"] = json!(900.0);
    other["curves"][0]["points"][0]["gateways"] = json!(7);
    let text = Comparison::of(&read(&curve), &read(&other))
        .unwrap()
        .to_string();
    for words in [
        "the machines differ: a CPU, 2 cores, kernel 6.18 before, a CPU, 64 cores",
        "load average 0.1 before the first measurement, 7.0 before the second",
        "worse:\n  uncapped, 2 gateways: UDP reordered",
        "from 0",
        "with too few runs to know the noise:\n  uncapped, 2 gateways: UDP p99",
        "only before: uncapped, 1 gateway: TCP; uncapped, 1 gateway: UDP reordered;",
        "; and 3 more",
        "only after: uncapped, 7 gateways: TCP;",
        "0 better, 1 worse, 2 the same within the noise, 4 not judged",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn more_core_time_per_packet_is_worse_and_documents_without_it_are_read() {
    let before = documents()
        .into_iter()
        .find(|document| document["kind"] == "gateway")
        .unwrap();
    let mut after = before.clone();
    map(&mut after, &["figures", "cpu_ns", "runs"], &mut |runs| {
        scale(runs, 1.2)
    });
    assert_eq!(compared(&before, &after), (0, 3));
    assert_eq!(compared(&after, &before), (3, 0));
    for cell in after["figures"].as_array_mut().unwrap() {
        cell.as_object_mut().unwrap().remove("cpu_ns");
    }
    assert_eq!(compared(&before, &after), (0, 0));
}
