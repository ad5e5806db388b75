//! Metrics of the peerings' tables and their gateway pairs, at a demux.

use super::{PACKETS, SECONDS, counter, gauge};
use crate::metrics::Source::{Pair, Table, TableCount};
use crate::metrics::samples::{changes, moved, round_trip, state};
use crate::metrics::{Family, Sample};
use crate::status::PeerTable;

/// The labels of a table's metric.
const TABLE: &[&str] = &["peer"];
/// Those of a gateway pair's.
const PAIR: &[&str] = &["peer", "gateway"];

/// From the table to its pairs, then to what moved.
pub const FAMILIES: &[Family] = &[
    gauge(
        "table_info",
        None,
        &["peer", "digest"],
        "Always 1. What tells the peering's table from others: the same in both VPCs.",
        Table(|table| vec![Sample::of([&table.digest], 1)]),
    ),
    gauge(
        "table_epoch",
        None,
        TABLE,
        "How many changes the peering's table has seen: the same in both VPCs.",
        TableCount(|table| table.epoch),
    ),
    gauge(
        "table_next_epoch",
        None,
        TABLE,
        "The epoch to which the change under way leads; absent: there is none.",
        Table(|table| {
            let to = table.changing_to.iter();
            to.map(|&to| Sample::of([], to)).collect()
        }),
    ),
    gauge(
        "table_differs",
        None,
        TABLE,
        "1 while the peer's table has nothing in common with this one, else 0.",
        TableCount(|table| (table.peer == PeerTable::Differs).into()),
    ),
    counter(
        "table_differed",
        None,
        TABLE,
        "Times that the peer's table was found to have nothing in common with this one.",
        TableCount(|table| table.differed),
    ),
    gauge(
        "pair_weight",
        None,
        PAIR,
        "The gateway pair's share relative to the others'; 0: drained.",
        Pair(|pair| vec![Sample::of([], pair.weight.into())]),
    ),
    gauge(
        "pair_buckets",
        None,
        PAIR,
        "Buckets of the peering that the gateway pair carries.",
        Pair(|pair| vec![Sample::of([], pair.buckets)]),
    ),
    gauge(
        "pair_state",
        None,
        &["peer", "gateway", "state"],
        "1 for the state that the gateway pair is in, 0 for the others: unknown, up, dead, fenced (dead, and its peer opens nothing of it any more), drained.",
        Pair(state),
    ),
    gauge(
        "pair_round_trip",
        SECONDS,
        PAIR,
        "What a marker took of late through the gateway pair to the peer's demux and back; absent: none has come back.",
        Pair(round_trip),
    ),
    counter(
        "table_changes",
        None,
        &["peer", "result"],
        "Changes of the cluster that were asked for: done, refused (nothing was begun), given-up (begun, and taken back).",
        Table(changes),
    ),
    counter(
        "table_buckets_moved",
        None,
        &["peer", "way"],
        "Buckets that went from pair to pair: idle, or behind a barrier, which for a dead pair is its peer's fence.",
        Table(moved),
    ),
    counter(
        "table_held",
        PACKETS,
        TABLE,
        "Packets that gateways kept back while buckets moved.",
        TableCount(|table| table.held.packets),
    ),
    counter(
        "table_held_dropped",
        PACKETS,
        TABLE,
        "Packets of those that were dropped for lack of room or time.",
        TableCount(|table| table.held.dropped),
    ),
    counter(
        "table_holds_expired",
        None,
        TABLE,
        "Times that a gateway had to let packets go before it was proven that the old way was empty.",
        TableCount(|table| table.held.expired),
    ),
];
