//! `[rescale]`: probes, holds and changes of a cluster.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use causeway_rescale::message::HoldTimeoutAction;
use causeway_steering::BUCKETS;
use toml::Spanned;

use super::number::within;
use crate::file;
use crate::plan::Rescale;
use crate::report::Report;

/// In milliseconds. With rarer probes, a dead gateway is not found within a second.
const PROBE_INTERVALS: RangeInclusive<i64> = 10..=500;
/// In milliseconds. [`convert`] also requires [`PROBES`] probe intervals.
const DEAD_AFTER: RangeInclusive<i64> = 40..=10_000;
/// A few lost probes do not count as a death.
const PROBES: u32 = 4;
/// On a busy host a probe is late by tens of milliseconds.
const SHORT: Duration = Duration::from_millis(100);
/// Per worker. Each packet takes a UMEM frame of 4096 bytes.
const HOLD_PACKETS: RangeInclusive<i64> = 64..=65_536;
/// In milliseconds.
const HOLD_TIMES: RangeInclusive<i64> = 10..=10_000;
/// A worker resumes after a stall of up to 250 ms without loss. Both workers of a pair may stall, and
/// then process their backlog.
const TWO_STALLS: Duration = Duration::from_millis(600);
/// In milliseconds.
const IDLE_TIMES: RangeInclusive<i64> = 0..=10_000;
const BATCHES: RangeInclusive<i64> = 1..=BUCKETS as i64;

pub(crate) fn convert(written: &file::Rescale, report: &mut Report<'_>) -> Rescale {
    let unset = Rescale::default();
    let mut time = |written: &Option<Spanned<i64>>, range, name, unset: Duration| {
        number(written, range, "milliseconds", name, report).map_or(unset, Duration::from_millis)
    };
    let probe_interval = time(
        &written.probe_interval,
        PROBE_INTERVALS,
        "probe-interval",
        unset.probe_interval,
    );
    let dead_after = time(
        &written.dead_after,
        DEAD_AFTER,
        "dead-after",
        unset.dead_after,
    );
    let hold_time = time(&written.hold_time, HOLD_TIMES, "hold-time", unset.hold_time);
    let idle_time = time(&written.idle_time, IDLE_TIMES, "idle-time", unset.idle_time);
    if dead_after < PROBES * probe_interval
        && let Some(at) = written
            .dead_after
            .as_ref()
            .or(written.probe_interval.as_ref())
    {
        report.error(
            at.span(),
            "rescale.dead-after",
            format_args!(
                "{} ms is less than {PROBES} probe intervals of {} ms; a few late probes would count as a \
                 dead gateway",
                dead_after.as_millis(),
                probe_interval.as_millis()
            ),
        );
    }
    if let Some(at) = &written.dead_after
        && dead_after < SHORT
    {
        report.warn(
            at.span(),
            "rescale.dead-after",
            format_args!(
                "{} ms is short: on a busy host live pairs are declared dead, and their packets in flight \
                 are lost. Write at least {}",
                dead_after.as_millis(),
                SHORT.as_millis()
            ),
        );
    }
    if let Some(at) = &written.hold_time
        && hold_time < TWO_STALLS
    {
        report.warn(
            at.span(),
            "rescale.hold-time",
            format_args!(
                "{} ms is less than {} ms; a stalled gateway pair may exceed it although it \
                 recovers, and held packets are then dropped or reordered",
                hold_time.as_millis(),
                TWO_STALLS.as_millis()
            ),
        );
    }
    let mut count = |written, range, unit, name, unset: usize| {
        number(written, range, unit, name, report).map_or(unset, |number| number as usize)
    };
    Rescale {
        hold_packets: count(
            &written.hold_packets,
            HOLD_PACKETS,
            "packets",
            "hold-packets",
            unset.hold_packets,
        ),
        batch: count(&written.batch, BATCHES, "buckets", "batch", unset.batch),
        state: written.state.as_ref().and_then(|path| state(path, report)),
        hold_timeout_action: match written.hold_timeout_action {
            file::HoldTimeoutAction::Drop => HoldTimeoutAction::Drop,
            file::HoldTimeoutAction::Send => HoldTimeoutAction::Send,
        },
        probe_interval,
        dead_after,
        hold_time,
        idle_time,
    }
}

fn state(written: &Spanned<String>, report: &mut Report<'_>) -> Option<PathBuf> {
    let path = written.get_ref();
    if path.is_empty() || path.ends_with('/') {
        report.error(
            written.span(),
            "rescale.state",
            format_args!("expected the path of a file, got {path:?}"),
        );
    }
    Some(report.source().resolve(path))
}

fn number(
    written: &Option<Spanned<i64>>,
    range: RangeInclusive<i64>,
    unit: &str,
    name: &str,
    report: &mut Report<'_>,
) -> Option<u64> {
    let field = format_args!("rescale.{name}");
    let written = written.as_ref()?;
    Some(within(written, range, unit, "", field, report))
}
