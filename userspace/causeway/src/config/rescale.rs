//! How a cluster may change while it carries: `[rescale]`, the peers' demuxes, weights.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use causeway_rescale::Weight;
use causeway_rescale::message::AtLimit;
use causeway_steering::BUCKETS;
use ipnet::IpNet;
use toml::Spanned;

use super::convert::host_address;
use super::error::Report;
use super::file::{self, File};
use super::plan::Rescale;

/// In milliseconds: rarer probes cannot find a dead gateway within a second.
const PROBE_INTERVALS: RangeInclusive<u64> = 10..=500;
/// In milliseconds. Below two probes every lost packet would be a death; see [`convert`].
const DEAD_AFTER: RangeInclusive<u64> = 20..=10_000;
/// Each is a frame of the UMEM, 4096 bytes, on each worker.
const HOLD_PACKETS: RangeInclusive<u64> = 64..=65_536;
/// In milliseconds.
const HOLD_TIMES: RangeInclusive<u64> = 10..=10_000;
/// A worker comes back from a standstill of up to 250 ms as if nothing had been; both of a pair may have
/// one, and work off what they find.
const TWO_STANDSTILLS: Duration = Duration::from_millis(600);
/// In milliseconds.
const IDLE_TIMES: RangeInclusive<u64> = 0..=10_000;
const BATCHES: RangeInclusive<u64> = 1..=BUCKETS as u64;

pub(super) fn convert(written: &file::Rescale, report: &mut Report<'_>) -> Rescale {
    let unset = Rescale::default();
    let mut time = |written: &Option<Spanned<u64>>, range, name, unset: Duration| {
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
    if dead_after < 2 * probe_interval
        && let Some(at) = written
            .dead_after
            .as_ref()
            .or(written.probe_interval.as_ref())
    {
        report.refuse(
            at.span(),
            "rescale.dead-after",
            format_args!(
                "{} ms is less than two probes of {} ms; one lost packet would be a gateway's death",
                dead_after.as_millis(),
                probe_interval.as_millis()
            ),
        );
    }
    if let Some(at) = &written.hold_time
        && hold_time < TWO_STANDSTILLS
    {
        report.warn(
            at.span(),
            "rescale.hold-time",
            format_args!(
                "{} ms is less than {}: a gateway pair that stands still and goes on may be given up \
                 too early, and packets reordered",
                hold_time.as_millis(),
                TWO_STANDSTILLS.as_millis()
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
        at_limit: match written.at_limit {
            file::AtLimit::Drop => AtLimit::Drop,
            file::AtLimit::Send => AtLimit::Send,
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
        report.refuse(
            written.span(),
            "rescale.state",
            format_args!("expected the path of a file, got {path:?}"),
        );
    }
    Some(report.source().resolve(path))
}

fn number(
    written: &Option<Spanned<u64>>,
    range: RangeInclusive<u64>,
    unit: &str,
    name: &str,
    report: &mut Report<'_>,
) -> Option<u64> {
    let written = written.as_ref()?;
    let got = *written.get_ref();
    if !range.contains(&got) {
        report.refuse(
            written.span(),
            format_args!("rescale.{name}"),
            format_args!(
                "expected {} to {} {unit}, got {got}",
                range.start(),
                range.end()
            ),
        );
    }
    Some(got)
}

/// For each peering the address of the peer's demux, which lies behind the peer.
pub(super) fn demuxes(
    file: &File,
    prefixes: &[Vec<IpNet>],
    report: &mut Report<'_>,
) -> Vec<Option<IpAddr>> {
    let mut demuxes = Vec::with_capacity(file.peering.len());
    for (index, (peering, prefixes)) in file.peering.iter().zip(prefixes).enumerate() {
        let Some(text) = &peering.get_ref().demux else {
            demuxes.push(None);
            continue;
        };
        let field = format!("peering[{index}].demux");
        let address = host_address(text, &field, report);
        if let Some(address) = address
            && !prefixes.iter().any(|prefix| prefix.contains(&address))
        {
            report.refuse(
                text.span(),
                field,
                format_args!(
                    "{address} is in none of this peering's prefixes; the peer's demux is reached \
                     through the tunnels, so they must carry its address"
                ),
            );
        }
        demuxes.push(address);
    }
    demuxes
}

/// A gateway's share of the buckets against the others'.
pub(super) fn weight(
    written: Option<&Spanned<u64>>,
    field: &str,
    report: &mut Report<'_>,
) -> Weight {
    let Some(written) = written else {
        return Weight::ONE;
    };
    let got = *written.get_ref();
    let weight = u8::try_from(got).ok().and_then(|got| Weight::new(got).ok());
    weight.unwrap_or_else(|| {
        report.refuse(
            written.span(),
            format_args!("{field}.weight"),
            format_args!("expected a weight from 1 to {}, got {got}", Weight::MAX),
        );
        Weight::ONE
    })
}
