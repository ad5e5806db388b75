//! A row for each worker: where its time goes.

use causeway_gateway::Stage;

use super::Seat;
use crate::top::figures::{bars, or_unknown, short};
use crate::top::table::{Cell, Column, Table, number, words};

pub fn table(seats: &[Seat<'_>]) -> Table {
    let mut columns = vec![
        words("#", 0),
        words("GATEWAY", 0),
        number("W", 0),
        number("ALL", 0),
    ];
    columns.extend(Stage::ALL.map(column));
    columns.extend([number("BURST", 1), words("1 2 4 .. 256 >", 6)]);
    Table {
        title: "STAGES, ns per packet, and packets per burst".to_owned(),
        columns,
        rows: seats.iter().map(row).collect(),
    }
}

fn column(stage: Stage) -> Column {
    let rank = match stage {
        Stage::Seal | Stage::Open => 1,
        Stage::Receive | Stage::Transmit => 2,
        Stage::Forward | Stage::Deliver => 3,
        Stage::Maintain => 4,
        Stage::Control | Stage::Publish => 5,
    };
    number(stage.name(), rank)
}

fn row(seat: &Seat<'_>) -> Vec<Cell> {
    let pace = seat.pace;
    let nanoseconds = |time: Option<f64>| Cell::from(or_unknown(time, rounded));
    let mut cells = Vec::from(seat.name());
    cells.push(nanoseconds(pace.and_then(|pace| pace.all_stages())));
    cells.extend(Stage::ALL.map(|stage| {
        let time = pace.and_then(|pace| pace.stage(stage.name()));
        nanoseconds(time)
    }));
    cells.extend([
        or_unknown(pace.and_then(|pace| pace.burst()), short).into(),
        bars(&pace.map_or_else(Vec::new, |pace| pace.bursts())).into(),
    ]);
    cells
}

/// Whole nanoseconds, while there are few.
fn rounded(nanoseconds: f64) -> String {
    if nanoseconds < 9_999.5 {
        format!("{nanoseconds:.0}")
    } else {
        short(nanoseconds)
    }
}
