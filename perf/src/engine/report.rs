//! The report on the terminal.

use std::fmt::Write;

use causeway_esp::Backend;

use super::document::Document;
use super::figures::{Cell, Direction, Operation};

/// The whole report.
pub fn text(document: &Document) -> String {
    let mut text = head(document);
    for cells in document.figures.chunk_by(|a, b| a.cipher == b.cipher) {
        for direction in Direction::BOTH {
            table(&mut text, cells, direction);
        }
    }
    goals(&mut text, document);
    text
}

fn head(document: &Document) -> String {
    format!(
        "{}; core {}\n\
         median of {} rounds over {} frames of {} bytes; ns of thread CPU time per packet, fastest and slowest round in brackets\n",
        document.machine.under(document.load),
        document.core,
        document.rounds,
        document.frames,
        document.frame_bytes,
    )
}

fn table(text: &mut String, cells: &[Cell], direction: Direction) {
    // Backends in their own order, the default choice last.
    let mut columns: Vec<_> = cells
        .iter()
        .filter(|cell| (cell.direction, &cell.size) == (direction, &cells[0].size))
        .map(|cell| (cell.what, cell.backend))
        .collect();
    columns.sort_by_key(|&(what, backend)| {
        let place = Backend::ALL
            .iter()
            .position(|known| known.name() == backend);
        (place.unwrap_or(usize::MAX), what == Operation::Esp)
    });
    let (cipher, direction_name) = (cells[0].cipher, format!("{direction:?}").to_lowercase());
    let _ = write!(text, "\n{:<24}", format!("{cipher}, {direction_name}"));
    for &(what, backend) in &columns {
        let what = if what == Operation::Esp {
            "ESP"
        } else {
            "AEAD"
        };
        let _ = write!(text, "{:>22}", format!("{what} {backend}"));
    }
    let _ = writeln!(text, "{:>10}", "Gbit/s");
    for row in cells.chunk_by(|a, b| a.size == b.size) {
        let _ = write!(text, "{:>24}", row[0].size);
        let find = |what, backend| {
            row.iter().find(|cell| {
                (cell.direction, cell.what, cell.backend) == (direction, what, backend)
            })
        };
        for &(what, backend) in &columns {
            let shown = find(what, backend).map_or_else(String::new, |cell| {
                format!("{:.0} [{:.0}-{:.0}]", cell.ns, cell.ns_min, cell.ns_max)
            });
            let _ = write!(text, "{shown:>22}");
        }
        let gbit = find(Operation::Esp, "auto").map_or(f64::NAN, |cell| cell.gbit_per_s);
        let _ = writeln!(text, "{gbit:>10.1}");
    }
}

fn goals(text: &mut String, document: &Document) {
    let _ = writeln!(text, "\ngoals");
    for group in document
        .goals
        .iter()
        .map(|goal| (goal.name, goal.unit, goal.limit))
        .fold(Vec::new(), |mut seen, group| {
            if !seen.contains(&group) {
                seen.push(group);
            }
            seen
        })
    {
        let (name, unit, limit) = group;
        let of_group = || {
            document
                .goals
                .iter()
                .filter(move |goal| (goal.name, goal.unit) == (name, unit))
        };
        let held = of_group().filter(|goal| goal.holds).count();
        let _ = writeln!(
            text,
            "{name} at most {limit} {unit}: met by {held} of {}",
            of_group().count()
        );
        for goal in of_group() {
            if name == "default-behind-best" && goal.holds {
                continue;
            }
            let verdict = if goal.holds { "met   " } else { "missed" };
            let _ = writeln!(
                text,
                "  {verdict}  {} {} {} bytes: {:.1} {unit}",
                goal.cipher,
                format!("{:?}", goal.direction).to_lowercase(),
                goal.size,
                goal.measured,
            );
        }
    }
}
