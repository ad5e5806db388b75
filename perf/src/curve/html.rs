//! The report as one self-contained page of HTML: no network, no script, no font.

mod axis;
mod chart;
mod gateways;
mod head;
mod latency;
mod layer;
mod numbers;
mod palette;
mod section;
mod shares;
mod stacks;
mod throughput;

#[cfg(test)]
mod tests;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::document::{Document, Series, gateways as gateways_text};

const STYLE: &str = include_str!("html/style.css");

/// The whole page.
pub fn page(document: &Document) -> String {
    let dark = format!(
        "@media (prefers-color-scheme: dark) {{\n{}}}\n",
        palette::dark_rules()
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Throughput against gateway count" }
                style { (PreEscaped(STYLE)) (PreEscaped(dark)) }
            }
            body {
                main {
                    (head::head(document))
                    @for series in &document.curves { (curve(series, &document.curves)) }
                }
            }
        }
    };
    page.into_string()
}

fn curve(series: &Series, curves: &[Series]) -> Markup {
    let sections = [
        Some(throughput::throughput(series)),
        throughput::efficiency(series),
        Some(latency::latency(series)),
        Some(shares::shares(series)),
        Some(stacks::drops(series, curves)),
        Some(stacks::time(series, curves)),
    ];
    let title = match series.mode.as_str() {
        "capped" => "Capped: the reference's limits, enforced by the kernel",
        "uncapped" => "Uncapped: the capacity of this machine",
        other => other,
    };
    html! {
        h2 { (title) }
        @for failure in &series.failures {
            p { strong .missed { "not measured" } " with " (gateways_text(failure.gateways)) ": " (failure.error) }
        }
        @for point in series.points.iter().filter(|point| point.cut_off > 0) {
            p {
                strong .missed { "cut off" } " with " (gateways_text(point.gateways)) ": the harness stopped iperf3 in "
                (point.cut_off) " of " (point.tcp_mbit.runs.len()) " runs"
            }
        }
        @for section in sections.iter().flatten() { (section.markup()) }
    }
}
