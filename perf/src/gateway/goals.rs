//! The goals of one gateway over AF_XDP.

use super::measure::{Calls, Cell, Idle, RampStep};
use crate::goal::Goal;

/// Mpps of the reference's plain forwarder on a veth, by inner size.
const PEER_FORWARD: [(&str, f64); 2] = [("64", 1.64), ("1400", 1.20)];
/// Limit of the encrypting gateway over our plain forwarder in the same round, by inner size.
const OVER_FORWARDER: [(&str, f64); 2] = [("64", 0.93), ("1400", 0.92)];
const CALLS_PER_PACKET: f64 = 0.1;
const IDLE_PERCENT: f64 = 1.0;
/// Limit of the rate under the heaviest load over the highest rate under any load.
const OVERLOAD: f64 = 0.95;

/// Every goal.
pub fn all(figures: &[Cell], calls: &[Calls], idle: &Idle, ramp: &[RampStep]) -> Vec<Goal> {
    let of = |what, size| {
        let mut cells = figures.iter();
        cells.find(move |cell| (cell.what, cell.size.as_str()) == (what, size))
    };
    let mut goals = Vec::new();
    for (size, least) in OVER_FORWARDER {
        let ratio = of("encrypt", size).map_or(f64::NAN, |cell| cell.over_forwarder.median);
        goals.push(Goal {
            goal: format!("encrypting {size} B at least {least} of the plain forwarder"),
            held: ratio >= least,
            figure: format!("{ratio:.3}"),
        });
    }
    for (size, least) in PEER_FORWARD {
        let mpps = of("forward", size).map_or(f64::NAN, |cell| cell.mpps.median);
        goals.push(Goal {
            goal: format!("the plain forwarder at {size} B at least the reference's {least} Mpps"),
            held: mpps >= least,
            figure: format!("{mpps:.2} Mpps"),
        });
    }
    let most = calls.iter().map(|calls| calls.per_packet);
    let most = most.fold(0.0, f64::max);
    goals.push(Goal {
        goal: format!("fewer than {CALLS_PER_PACKET} system calls per packet under load"),
        held: most < CALLS_PER_PACKET,
        figure: format!("{most:.3} at most"),
    });
    goals.push(Goal {
        goal: format!("an idle gateway uses less than {IDLE_PERCENT} % of a core"),
        held: idle.core_percent < IDLE_PERCENT,
        figure: format!("{:.2} %", idle.core_percent),
    });
    for steps in ramp.chunk_by(|a, b| a.size == b.size) {
        let peak = steps.iter().map(|step| step.delivered_mpps);
        let peak = peak.fold(0.0, f64::max);
        let last = &steps[steps.len() - 1];
        let kept = last.delivered_mpps / peak;
        goals.push(Goal {
            goal: format!(
                "at {} B overload keeps at least {OVERLOAD} of the peak",
                last.size
            ),
            held: kept >= OVERLOAD,
            figure: format!(
                "{kept:.3} with {:.1} times the peak offered",
                last.offered_mpps / peak
            ),
        });
    }
    goals
}
