//! What the figures are of, which goals they hold, and what they do not say.

use maud::{Markup, html};

use crate::curve::document::{Document, Goal, Plan, Series};

use super::words::{figure, mark, number};

/// Beyond this load before the start somebody else worked beside it.
const OTHERS_LOAD: f64 = 0.5;

/// The top of the page.
pub fn head(document: &Document) -> Markup {
    html! {
        header {
            h1 { "Throughput against gateway count" }
            p { "Two VPCs, joined by 1 to 10 gateway pairs that encrypt, with real packets through the whole path." }
        }
        (goals(&document.goals))
        (limits(document))
        (circumstances(document))
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
                            @if goal.held { strong .held { "held" } } @else { strong .missed { "missed" } }
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
    let others = document.load[0].filter(|load| *load > OTHERS_LOAD);
    html! {
        section aria-labelledby="limits" {
            h2 id="limits" { "What these figures do not say" }
            ul {
                li {
                    "One machine carried both VPCs: all gateways, the demuxes, and the programs that send and receive the load. \
                     So an uncapped curve shows where that machine ends, not what as many machines would carry."
                }
                @if let Some(caps) = capped {
                    li {
                        "The capped curve shows what the system itself takes away from limits which the kernel holds: "
                        (figure(caps.gateway_mbit)) " Mbit/s a gateway and " (figure(caps.vpc_mbit)) " Mbit/s a VPC"
                        @if caps.scale != 1.0 {
                            ", the reference's " (figure(caps.reference_gateway_mbit)) " and " (figure(caps.reference_vpc_mbit))
                            " divided by " (mark(caps.scale)) ", since this machine cannot carry their sum"
                        }
                        ". It does not say that a gateway reaches the reference's own figures."
                    }
                    li {
                        "The reference was measured by others, on other machines and another network. Its ideal is made of its own figures \
                         (with one gateway, and where more gave no more), so it may be exceeded."
                    }
                }
                @if let Some(load) = others {
                    li { strong { "Others used this machine at the same time" } ": the load average was " (number(load, 1)) " before the start." }
                }
            }
        }
    }
}

fn circumstances(document: &Document) -> Markup {
    let load = document
        .load
        .map(|load| load.map_or("unknown".to_owned(), |load| number(load, 1)));
    html! {
        section aria-labelledby="circumstances" {
            h2 id="circumstances" { "Machine and plan" }
            dl {
                dt { "machine" } dd { (document.machine) }
                dt { "load average" } dd { (load[0]) " before, " (load[1]) " after (of one minute)" }
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
        dt { "gateways of each VPC" } dd { (gateways.join(", ")) ", " (plan.placement) }
        dt { "path" } dd { (plan.path) ", " (plan.cipher) }
        dt { "load" }
        dd {
            "TCP " (plan.direction) ", " (plan.streams) " connections of each direction, "
            (plan.repeat) " × " (plan.duration) " s after " (plan.warm_up) " s of warm-up; UDP "
            (plan.udp_size) ", " (plan.udp_rate) " packets/s of each direction"
        }
        dt { "distance" } dd { (mark(plan.delay_ms)) " ms each way" }
    }
}

fn caps(series: &Series) -> Markup {
    html! {
        @if let Some(caps) = &series.caps {
            dt { "limits, " (series.mode) }
            dd {
                (figure(caps.gateway_mbit)) " Mbit/s a gateway, " (figure(caps.vpc_mbit)) " Mbit/s a VPC, loaded directions together"
                " (1/" (mark(caps.scale)) " of the reference's)"
            }
        }
    }
}
