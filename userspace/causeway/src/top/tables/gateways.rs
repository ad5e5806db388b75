//! A table for each peering of each demux: its gateway pairs.

use super::number_of;
use crate::status::{Pair, PairState, PeerTable, Status};
use crate::top::figures::{or_unknown, percent, short, sum, time};
use crate::top::model::{Pace, Role};
use crate::top::table::{Cell, Table, Tone, number, words};

pub fn tables(roles: &[Role]) -> Vec<Table> {
    let mut tables = Vec::new();
    for (place, role) in roles.iter().enumerate() {
        let Some(status) = role.status() else {
            continue;
        };
        for table in &status.tables {
            tables.push(Table {
                title: title(place, table),
                columns: vec![
                    words("GATEWAY", 0),
                    words("STATE", 0),
                    number("WEIGHT", 3),
                    number("BUCKETS", 1),
                    number("SHARE", 4),
                    number("STEERED/s", 1),
                    number("bit/s", 1),
                    number("ROUND TRIP", 2),
                ],
                rows: table
                    .pairs
                    .iter()
                    .map(|pair| row(pair, status, &table.pairs, role.pace()))
                    .collect(),
            });
        }
    }
    tables
}

fn title(place: usize, table: &crate::status::Table) -> String {
    let change = table
        .changing_to
        .map_or_else(String::new, |to| format!(", changing to {to}"));
    let peer = match table.peer {
        PeerTable::Unheard => "the peer is not heard",
        PeerTable::Same => "the peer has the same table",
        PeerTable::Ahead => "the peer is one change ahead",
        PeerTable::Behind => "the peer is one change behind",
        PeerTable::Differs => "the peer has ANOTHER table",
    };
    format!(
        "GATEWAYS of {} to {}: epoch {}{change}, {peer}",
        number_of(place),
        table.peering,
        table.epoch
    )
}

fn row(pair: &Pair, status: &Status, all: &[Pair], pace: Option<Pace<'_>>) -> Vec<Cell> {
    let buckets = sum(all.iter().map(|pair| pair.buckets));
    let share = (buckets > 0).then(|| pair.buckets as f64 / buckets as f64);
    // The program counts by gateway, not by peering.
    let only = status.tables.len() == 1;
    let pace = pace.filter(|_| only);
    let steered = pace.map(|pace| pace.of_gateway(&pair.gateway, |gateway| gateway.packets));
    let bytes = pace.map(|pace| pace.of_gateway(&pair.gateway, |gateway| gateway.bytes));
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
