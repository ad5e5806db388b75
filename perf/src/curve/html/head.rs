//! The head of the page: goals, limits of the figures, machine and plan.

use maud::{Markup, html};

use crate::curve::document::{Document, Plan, Series};
use crate::goal::Goal;

use super::numbers::{figure, mark, number};

/// A higher load average before the start means that other processes ran.
const OTHERS_LOAD: f64 = 0.5;

/// The top of the page.
pub fn head(document: &Document) -> Markup {
    html! {
        header {
            h1 { "Throughput against gateway count" }
            p { "Two VPCs, connected by 1 to 10 encrypting gateway pairs, with real packets through the whole path." }
        }
        (goals(&document.goals))
        (limits(document))
        (machine_and_plan(document))
    }
}

fn goals(goals: &[Goal]) -> Markup {
    html! {
        @if !goals.is_empty() {
            section aria-labelledby="goals" {
                h2 id="goals" { "Goals" }
                ul .goals {
                    @for goal in goals {
                        li {
                            @if goal.held { strong .met { "met" } } @else { strong .missed { "missed" } }
                            " " (goal.goal) ": " (goal.figure)
                        }
                    }
                }
            }
        }
    }
}

fn limits(document: &Document) -> Markup {
    let capped = document
        .curves
        .iter()
        .find_map(|series| series.caps.as_ref());
    let other_load = document.load[0].filter(|load| *load > OTHERS_LOAD);
    html! {
        section aria-labelledby="limits" {
            h2 id="limits" { "Limits of these figures" }
            ul {
                li {
                    "One machine carried both VPCs: all gateways, the demuxes, and the programs that send and receive the load. \
                     An uncapped curve shows the capacity of that machine, not of one machine per gateway."
                }
                @if let Some(caps) = capped {
                    li {
                        "The capped curve shows the loss of the system itself under limits that the kernel enforces: "
                        (figure(caps.gateway_mbit)) " Mbit/s per gateway and " (figure(caps.vpc_mbit)) " Mbit/s per VPC"
                        @if caps.scale != 1.0 {
                            ", the reference's " (figure(caps.reference_gateway_mbit)) " and " (figure(caps.reference_vpc_mbit))
                            " divided by " (mark(caps.scale)) ", since this machine cannot carry their sum"
                        }
                        ". It does not show that a gateway reaches the reference's own figures."
                    }
                    li {
                        "The reference was measured on other machines and another network. Its ideal is computed from its own figures \
                         (with one gateway, and where more gateways added nothing), so it may be exceeded."
                    }
                }
                @if let Some(load) = other_load {
                    li { strong { "Other processes used this machine" } ": the load average was " (number(load, 1)) " before the start." }
                }
            }
        }
    }
}

fn machine_and_plan(document: &Document) -> Markup {
    let load = document
        .load
        .map(|load| load.map_or("unknown".to_owned(), |load| number(load, 1)));
    html! {
        section aria-labelledby="plan" {
            h2 id="plan" { "Machine and plan" }
            dl {
                dt { "machine" } dd { (document.machine) }
                dt { "load average" } dd { (load[0]) " before, " (load[1]) " after (one minute)" }
                dt { "commit" } dd { (document.commit.as_deref().unwrap_or("unknown")) }
                dt { "began" } dd { (document.began) }
                (plan(&document.plan))
                @for series in &document.curves { (caps(series)) }
            }
        }
    }
}

fn plan(plan: &Plan) -> Markup {
    let gateways: Vec<_> = plan.gateways.iter().map(u8::to_string).collect();
    html! {
        dt { "gateways per VPC" } dd { (gateways.join(", ")) ", " (plan.placement) }
        dt { "path" } dd { (plan.path) ", " (plan.cipher) }
        dt { "load" }
        dd {
            "TCP " (plan.direction) ", " (plan.streams) " connections per direction, "
            (plan.repeat) " × " (plan.duration) " s after " (plan.warm_up) " s of warm-up; UDP "
            (plan.udp_size) ", " (plan.udp_rate) " packets/s per direction"
        }
        dt { "delay" } dd { (mark(plan.delay_ms)) " ms per direction" }
    }
}

fn caps(series: &Series) -> Markup {
    html! {
        @if let Some(caps) = &series.caps {
            dt { "limits, " (series.mode) }
            dd {
                (figure(caps.gateway_mbit)) " Mbit/s per gateway, " (figure(caps.vpc_mbit)) " Mbit/s per VPC, over all loaded directions"
                " (1/" (mark(caps.scale)) " of the reference's)"
            }
        }
    }
}
