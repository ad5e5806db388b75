//! The whole page: it needs no network, shows all content, and accepts any document.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::page;
use crate::curve::document::{Caps, Document, Failure, Plan, Point, Series, Udp, VERSION};
use crate::goal::Goal;
use crate::machine::Machine;
use crate::spread::Spread;

fn point(gateways: u8, value: f64, name: &str) -> Point {
    Point {
        gateways,
        tcp_mbit: Spread::of(vec![value, value * 0.9, value * 1.1]),
        ideal_mbit: Some(value * 1.05),
        efficiency: Some(1.0 / 1.05),
        reference_mbit: Some(value * 12.0),
        reference_efficiency: Some(0.9),
        retransmits: 17,
        cut_off: 0,
        udp: Udp {
            size: name.to_owned(),
            sent: 1000,
            p50_us: value,
            p90_us: value * 2.0,
            p99_us: value * 3.0,
            p999_us: value * 4.0,
            max_us: value * 5.0,
            ..Udp::default()
        },
        shares: vec![1.0 / f64::from(gateways); gateways.into()],
        drops: BTreeMap::from([(name.to_owned(), 5), ("no-neighbour".to_owned(), 7)]),
        time: BTreeMap::from([(name.to_owned(), 0.25), ("idle".to_owned(), 0.75)]),
    }
}

fn series(mode: &str, points: Vec<Point>) -> Series {
    Series {
        mode: mode.to_owned(),
        caps: (mode != "uncapped").then_some(Caps {
            reference_gateway_mbit: 1214.0,
            reference_vpc_mbit: 5428.0,
            scale: 12.0,
            gateway_mbit: 101.2,
            vpc_mbit: 452.3,
        }),
        points,
        failures: Vec::new(),
    }
}

fn document(curves: Vec<Series>, name: &str) -> Document {
    Document {
        version: VERSION,
        machine: Machine {
            cpu: name.to_owned(),
            cores: 2,
            kernel: name.to_owned(),
        },
        commit: Some(name.to_owned()),
        began: name.to_owned(),
        load: [Some(3.0), None],
        plan: Plan {
            gateways: vec![1, 2, 3],
            direction: name.to_owned(),
            path: name.to_owned(),
            placement: name.to_owned(),
            cipher: name.to_owned(),
            udp_size: name.to_owned(),
            udp_rate: 1000,
            delay_ms: 0.5,
            duration: 5,
            warm_up: 2,
            repeat: 3,
            streams: 16,
        },
        curves,
        goals: vec![Goal {
            goal: name.to_owned(),
            held: false,
            figure: name.to_owned(),
        }],
    }
}

fn sample() -> Document {
    let points =
        |factor: f64| (1..=3).map(move |n| point(n, factor * f64::from(n), "workers user"));
    let curves = vec![
        series("capped", points(100.0).collect()),
        series("uncapped", points(1000.0).collect()),
    ];
    document(curves, "a name")
}

#[test]
fn the_page_is_self_contained() {
    let page = page(&sample()).replace("http://www.w3.org/2000/svg", "");
    for outside in [
        "http", "//", "<script", "<link", "@import", "url(", "src=", "href=",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn every_chart_has_a_description_and_a_table() {
    let page = page(&sample());
    // Efficiency shares its table with throughput, and has no line without an ideal.
    assert_eq!(page.matches("role=\"img\"").count(), 6 + 6);
    assert_eq!(page.matches("<desc ").count(), 6 + 6);
    assert_eq!(page.matches("<table>").count(), 5 + 5);
    for words in [
        "1/12 of the reference",
        "reference, on other machines, scaled to this ideal",
        "no-neighbour",
        "300",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn an_uncapped_curve_has_no_ideal() {
    let mut point = point(4, 900.0, "workers user");
    (point.ideal_mbit, point.efficiency) = (None, None);
    let page = page(&document(vec![series("uncapped", vec![point])], "a name"));
    assert!(page.contains("Uncapped: the capacity of this machine"));
    for words in ["of the ideal", "Efficiency", "reference, on"] {
        assert!(!page.contains(words), "{words}");
    }
}

#[test]
fn missing_measurements_are_shown() {
    let mut silent = point(2, 0.0, "workers user");
    silent.drops.clear();
    silent.time.clear();
    silent.cut_off = 2;
    let mut series = series("capped", vec![silent]);
    series.failures.push(Failure {
        gateways: 3,
        error: "iperf3 <died>".to_owned(),
    });
    let page = page(&document(vec![series], "a name"));
    for words in [
        "No packet was dropped",
        "No numbered packet arrived",
        "with 3 gateways: iperf3 &lt;died&gt;",
        "with 2 gateways: the harness stopped iperf3 in 2 of 3 runs",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn text_of_a_document_is_escaped() {
    let hostile = "</svg></style><i x='\"&\">";
    let mut document = document(vec![series(hostile, vec![point(2, 5.0, hostile)])], hostile);
    document.curves[0].failures.push(Failure {
        gateways: 1,
        error: hostile.to_owned(),
    });
    let page = page(&document);
    assert!(!page.contains("<i x") && !page.contains("'\"&\""));
    assert!(page.contains("&lt;i x"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_numbers_make_a_page(
        values in prop::collection::vec(any::<f64>(), 1..5),
        counts in prop::collection::vec(any::<u8>(), 5),
        many in any::<u64>(),
    ) {
        let points = values.iter().zip(&counts).map(|(value, count)| {
            let mut point = point(*count, *value, "a name");
            point.efficiency = Some(*value);
            point.shares = vec![*value; 3];
            point.time.insert("idle".to_owned(), *value);
            point.drops.insert("b".to_owned(), many);
            point
        });
        let points: Vec<_> = points.collect();
        let curves = vec![series("capped", points.clone()), series("uncapped", points)];
        prop_assert!(page(&document(curves, "a name")).ends_with("</html>"));
    }
}
