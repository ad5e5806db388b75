//! Metrics of a demux: the peerings' tables and their gateway pairs.

use crate::metrics::family::Source::{Pair, Table, TableCount};
use crate::metrics::family::{Family, Sample};
use crate::metrics::family::{PACKETS, SECONDS, counter, gauge};
use crate::metrics::samples::{changes, moved, round_trip, state};
use causeway_api::status::PeerTable;

/// The labels of a metric of a table.
const TABLE: &[&str] = &["peer"];
/// The labels of a metric of a gateway pair.
const PAIR: &[&str] = &["peer", "gateway"];

/// Metrics of tables, of pairs, of changes.
pub const FAMILIES: &[Family] = &[
    gauge(
        "table_info",
        None,
        &["peer", "digest"],
        "Always 1. The digest of the peering's table. Equal in both VPCs.",
        Table(|table| vec![Sample::of([&table.digest], 1)]),
    ),
    gauge(
        "table_epoch",
        None,
        TABLE,
        "Number of changes that the peering's table has had. Equal in both VPCs.",
        TableCount(|table| table.epoch),
    ),
    gauge(
        "table_next_epoch",
        None,
        TABLE,
        "Epoch after the change in progress. Absent if there is no change in progress.",
        Table(|table| {
            let to = table.changing_to.iter();
            to.map(|&to| Sample::of([], to)).collect()
        }),
    ),
    gauge(
        "table_differs",
        None,
        TABLE,
        "1 while the peer's table is neither equal to this table nor one change before or after it, else 0.",
        TableCount(|table| (table.peer == PeerTable::Differs).into()),
    ),
    counter(
        "table_differed",
        None,
        TABLE,
        "Times that a differing table of the peer was detected.",
        TableCount(|table| table.differed),
    ),
    gauge(
        "pair_weight",
        None,
        PAIR,
        "Weight of the gateway pair: its share of the buckets relative to the other pairs. 0 if the pair is drained.",
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
        "1 for the current state of the gateway pair, 0 for the other states: unknown, up, dead, \
         fenced (dead, and the peer opens no more packets of it), drained.",
        Pair(state),
    ),
    gauge(
        "pair_round_trip",
        SECONDS,
        PAIR,
        "Time of the last marker through the gateway pair to the peer's demux and back. Absent before the first marker has returned.",
        Pair(round_trip),
    ),
    counter(
        "table_changes",
        None,
        &["peer", "result"],
        "Requested changes of the cluster: done, refused (not begun), given-up (begun and reverted).",
        Table(changes),
    ),
    counter(
        "table_buckets_moved",
        None,
        &["peer", "method"],
        "Buckets that moved from one pair to another: idle buckets, or busy buckets after a barrier. \
         For a dead pair the barrier is the fence at the peer.",
        Table(moved),
    ),
    counter(
        "table_held",
        PACKETS,
        TABLE,
        "Packets that gateways held while buckets moved.",
        TableCount(|table| table.held.packets),
    ),
    counter(
        "table_held_dropped",
        PACKETS,
        TABLE,
        "Held packets that were dropped because the hold was full or expired.",
        TableCount(|table| table.held.dropped),
    ),
    counter(
        "table_holds_expired",
        None,
        TABLE,
        "Holds that expired before earlier packets were confirmed delivered by the old gateway.",
        TableCount(|table| table.held.expired),
    ),
];
