//! A row for each worker: time per packet in each stage.

use causeway_node::Stage;

use super::worker_rows::WorkerRow;
use crate::top::figures::{bars, or_unknown, short};
use crate::top::table::{Cell, Column, Table, number_column, text_column};

pub fn table(workers: &[WorkerRow<'_>]) -> Table {
    let mut columns = vec![
        text_column("#", 0),
        text_column("GATEWAY", 0),
        number_column("W", 0),
        number_column("ALL", 0),
    ];
    columns.extend(Stage::ALL.map(column));
    columns.extend([number_column("BURST", 1), text_column("1 2 4 .. 256 >", 6)]);
    Table {
        title: "STAGES, ns per packet, and packets per burst".to_owned(),
        columns,
        rows: workers.iter().map(row).collect(),
    }
}

fn column(stage: Stage) -> Column {
    let rank = match stage {
        Stage::Seal | Stage::Open => 1,
        Stage::Receive | Stage::Transmit => 2,
        Stage::Classify | Stage::Deliver => 3,
        Stage::Reclaim => 4,
        Stage::Control | Stage::Publish => 5,
    };
    number_column(stage.name(), rank)
}

fn row(row: &WorkerRow<'_>) -> Vec<Cell> {
    let rates = row.rates;
    let nanoseconds = |time: Option<f64>| Cell::from(or_unknown(time, rounded));
    let mut cells = Vec::from(row.name());
    cells.push(nanoseconds(rates.and_then(|rates| rates.all_stages())));
    cells.extend(Stage::ALL.map(|stage| {
        let time = rates.and_then(|rates| rates.stage(stage.name()));
        nanoseconds(time)
    }));
    cells.extend([
        or_unknown(rates.and_then(|rates| rates.mean_burst()), short).into(),
        bars(&rates.map_or_else(Vec::new, |rates| rates.bursts())).into(),
    ]);
    cells
}

/// Whole nanoseconds up to four digits, then with a unit prefix.
fn rounded(nanoseconds: f64) -> String {
    if nanoseconds < 9_999.5 {
        format!("{nanoseconds:.0}")
    } else {
        short(nanoseconds)
    }
}
