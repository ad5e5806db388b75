//! The report on the terminal.

use std::fmt::Write;

use causeway_gateway::Stage;

use super::document::Document;
use super::figures::Cell;
use super::goals::{Goal, on};

/// A goal with more points than this lists only the points that miss it.
const MANY: usize = 40;

/// The whole report.
pub fn text(document: &Document) -> String {
    let mut text = head(document);
    for cells in document.figures.chunk_by(alike) {
        table(&mut text, cells);
        stages(&mut text, cells);
    }
    peer(&mut text, document);
    goals(&mut text, document);
    text
}

/// Whether two figures belong to one table.
fn alike(one: &Cell, other: &Cell) -> bool {
    (one.axis, one.frames, one.cipher, one.order)
        == (other.axis, other.frames, other.cipher, other.order)
}

fn head(document: &Document) -> String {
    format!(
        "{}; core {}\n\
         median of {} rounds; ns of thread CPU time per packet, fastest and slowest round in brackets\n",
        document.machine.under(document.load),
        document.core,
        document.rounds,
    )
}

fn table(text: &mut String, cells: &[Cell]) {
    let place = match cells[0].frames {
        super::points::Place::L2 => "frames in L2",
        super::points::Place::Beyond => "frames beyond L2",
    };
    let _ = writeln!(
        text,
        "\n{place:<52}{:>24}{:>8}{:>8}{:>8}{:>8}",
        "ns", "Mpps", "Gbit/s", "AEAD", "other"
    );
    for cell in cells {
        let ns = format!("{:.1} [{:.1}-{:.1}]", cell.ns, cell.ns_min, cell.ns_max);
        let _ = writeln!(
            text,
            "{:<52}{ns:>24}{:>8.2}{:>8.1}{:>8.1}{:>8.1}",
            on(cell),
            cell.mpps,
            cell.gbit_per_s,
            cell.aead_ns,
            cell.other_ns
        );
    }
}

fn stages(text: &mut String, cells: &[Cell]) {
    let _ = write!(text, "\n{:<52}", "ns by stage");
    for stage in Stage::ALL {
        let _ = write!(text, "{:>10}", stage.name());
    }
    let _ = writeln!(text);
    for cell in cells {
        let _ = write!(text, "{:<52}", on(cell));
        for stage in Stage::ALL {
            let ns = cell.stages.get(stage.name());
            let ns = ns.map_or_else(String::new, |ns| format!("{ns:.1}"));
            let _ = write!(text, "{ns:>10}");
        }
        let _ = writeln!(text);
    }
}

fn peer(text: &mut String, document: &Document) {
    if document.peer.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\ncompared with DPDK's ipsec-secgw with intel-ipsec-mb over memory rings, Mpps\n{:<40}{:>8}{:>10}{:>8}",
        "", "peer", "Causeway", "ratio"
    );
    for row in &document.peer {
        let on = format!("{} {} {:?}", row.cipher, row.size, row.direction).to_lowercase();
        let _ = writeln!(
            text,
            "{on:<40}{:>8.1}{:>10.2}{:>8.2}",
            row.peer_mpps, row.mpps, row.ratio
        );
    }
}

fn goals(text: &mut String, document: &Document) {
    let _ = writeln!(text, "\ngoals");
    for goals in document.goals.chunk_by(|a, b| a.name == b.name) {
        let held = goals.iter().filter(|goal| goal.holds).count();
        let _ = writeln!(text, "{}: met by {held} of {}", goals[0].name, goals.len());
        let listed = |goal: &&Goal| goals.len() <= MANY || !goal.holds;
        for goal in goals.iter().filter(listed) {
            let verdict = if goal.holds { "met   " } else { "missed" };
            let bound = if goal.at_least { "at least" } else { "at most" };
            let _ = writeln!(
                text,
                "  {verdict}  {}: {:.2} {}, {bound} {:.2}",
                goal.on, goal.measured, goal.unit, goal.limit
            );
        }
    }
}
