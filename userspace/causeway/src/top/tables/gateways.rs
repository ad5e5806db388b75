//! The gateway pairs: one table for each peering of each demux.

use super::cells::role_number;
use crate::top::figures::{or_unknown, percent, short, sum, time};
use crate::top::model::{Rates, Role};
use crate::top::table::{Cell, Table, Tone, number_column, text_column};
use causeway_api::status::{Pair, PairState, PeerTable, Status};

pub fn tables(roles: &[Role]) -> Vec<Table> {
    let mut tables = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        let Some(status) = role.status() else {
            continue;
        };
        for table in &status.tables {
            tables.push(Table {
                title: title(index, table),
                columns: vec![
                    text_column("GATEWAY", 0),
                    text_column("STATE", 0),
                    number_column("WEIGHT", 3),
                    number_column("BUCKETS", 1),
                    number_column("SHARE", 4),
                    number_column("STEERED/s", 1),
                    number_column("bit/s", 1),
                    number_column("ROUND TRIP", 2),
                ],
                rows: table
                    .pairs
                    .iter()
                    .map(|pair| row(pair, status, &table.pairs, role.rates()))
                    .collect(),
            });
        }
    }
    tables
}

fn title(role: usize, table: &causeway_api::status::Table) -> String {
    let change = table
        .changing_to
        .map_or_else(String::new, |to| format!(", changing to {to}"));
    let peer = match table.peer {
        PeerTable::Unknown => "the peer's table is not known",
        PeerTable::Same => "the peer has the same table",
        PeerTable::Ahead => "the peer is one change ahead",
        PeerTable::Behind => "the peer is one change behind",
        PeerTable::Differs => "TABLES DIFFER: the peer has another table",
    };
    format!(
        "GATEWAYS of {} to {}: epoch {}{change}, {peer}",
        role_number(role),
        table.peering,
        table.epoch
    )
}

fn row(pair: &Pair, status: &Status, all: &[Pair], rates: Option<Rates<'_>>) -> Vec<Cell> {
    let buckets = sum(all.iter().map(|pair| pair.buckets));
    let share = (buckets > 0).then(|| pair.buckets as f64 / buckets as f64);
    // The XDP program counts by gateway, not by peering.
    let one_peering = status.tables.len() == 1;
    let rates = rates.filter(|_| one_peering);
    let steered = rates.map(|rates| rates.of_gateway(&pair.gateway, |gateway| gateway.packets));
    let bytes = rates.map(|rates| rates.of_gateway(&pair.gateway, |gateway| gateway.bytes));
    vec![
        (&pair.gateway).into(),
        state(pair.state),
        pair.weight.to_string().into(),
        pair.buckets.to_string().into(),
        or_unknown(share, percent).into(),
        or_unknown(steered, short).into(),
        or_unknown(bytes, |bytes| short(bytes * 8.0)).into(),
        or_unknown(pair.round_trip_ns, |time_ns| time(time_ns as f64)).into(),
    ]
}

fn state(state: PairState) -> Cell {
    let tone = match state {
        PairState::Up => Tone::Good,
        PairState::Unknown | PairState::Drained => Tone::Warn,
        PairState::Dead | PairState::Fenced => Tone::Bad,
    };
    Cell::new(state.name(), tone)
}
