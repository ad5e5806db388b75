//! Settings of a tunnel's SAs: DSCP, DF, ESN, TFC padding, dummy packets and lifetimes.

use std::time::Duration;

use causeway_esp::{DontFragment, Dscp, Lifetime, Limits, Tfc};
use toml::Spanned;

use super::number::within;
use crate::file;
use crate::mtu::MAX_MTU;
use crate::plan::Settings;
use crate::report::Report;

/// The largest DSCP: six bits (RFC 2474 section 3).
const MAX_DSCP: i64 = 63;
/// An hour, in milliseconds: rarer dummies hide nothing.
const LONGEST_DUMMY_INTERVAL: i64 = 3_600_000;

pub(crate) fn convert(tunnel: &file::Tunnel, field: &str, report: &mut Report<'_>) -> Settings {
    Settings {
        dscp: dscp(tunnel.dscp.as_ref(), field, report),
        dont_fragment: match tunnel.dont_fragment {
            file::DontFragment::Copy => DontFragment::Copy,
            file::DontFragment::Set => DontFragment::Set,
            file::DontFragment::Clear => DontFragment::Clear,
        },
        esn: tunnel.esn,
        tfc: tfc(tunnel.tfc_pad_to.as_ref(), field, report),
        lifetime: lifetime(tunnel.lifetime.as_ref(), field, report),
    }
}

pub(crate) fn dummy_interval(
    tunnel: &file::Tunnel,
    field: &str,
    report: &mut Report<'_>,
) -> Option<Duration> {
    let written = tunnel.dummy_interval.as_ref()?;
    let field = format_args!("{field}.dummy-interval");
    let hint = "; remove this key to send no dummies";
    let range = 1..=LONGEST_DUMMY_INTERVAL;
    let milliseconds = within(written, range, "milliseconds", hint, field, report);
    Some(Duration::from_millis(milliseconds))
}

fn dscp(written: Option<&Spanned<file::Dscp>>, field: &str, report: &mut Report<'_>) -> Dscp {
    let Some(written) = written else {
        return Dscp::Copy;
    };
    let got = match written.get_ref() {
        file::Dscp::Value(value @ 0..=MAX_DSCP) => return Dscp::Set(*value as u8),
        file::Dscp::Keyword(keyword) if keyword == "copy" => return Dscp::Copy,
        file::Dscp::Value(value) => value.to_string(),
        file::Dscp::Keyword(keyword) => format!("{keyword:?}"),
    };
    report.error(
        written.span(),
        format_args!("{field}.dscp"),
        format_args!("expected \"copy\" or a number from 0 to {MAX_DSCP}, got {got}"),
    );
    Dscp::Copy
}

fn tfc(written: Option<&Spanned<i64>>, field: &str, report: &mut Report<'_>) -> Tfc {
    let Some(written) = written else {
        return Tfc::Off;
    };
    let field = format_args!("{field}.tfc-pad-to");
    let hint = "; remove this key to send packets without padding";
    let range = 1..=i64::from(MAX_MTU);
    Tfc::PadTo(within(written, range, "octets", hint, field, report) as usize)
}

fn lifetime(written: Option<&file::Lifetime>, field: &str, report: &mut Report<'_>) -> Lifetime {
    let Some(file::Lifetime { soft, hard }) = written else {
        return Lifetime::default();
    };
    for (name, soft, hard) in [
        ("seconds", &soft.seconds, &hard.seconds),
        ("bytes", &soft.bytes, &hard.bytes),
        ("packets", &soft.packets, &hard.packets),
    ] {
        for (stage, limit) in [("soft", soft), ("hard", hard)] {
            if let Some(limit) = limit
                && *limit.get_ref() < 1
            {
                report.error(
                    limit.span(),
                    format_args!("{field}.lifetime.{stage}.{name}"),
                    format_args!(
                        "expected at least 1, got {}; remove this key for no limit",
                        limit.get_ref()
                    ),
                );
            }
        }
        if let (Some(soft), Some(hard)) = (soft, hard)
            && soft.get_ref() >= hard.get_ref()
        {
            report.error(
                soft.span(),
                format_args!("{field}.lifetime.soft.{name}"),
                format_args!(
                    "{} is not below {}, the hard limit (line {}); a soft limit must \
                     leave time for a rekey before the hard limit",
                    soft.get_ref(),
                    hard.get_ref(),
                    report.line(hard.span())
                ),
            );
        }
    }
    Lifetime {
        soft: limits(soft),
        hard: limits(hard),
    }
}

fn limits(written: &file::Limits) -> Limits {
    let number = |limit: &Option<Spanned<i64>>| {
        let limit = limit.as_ref()?;
        Some(limit.get_ref().unsigned_abs())
    };
    Limits {
        time: number(&written.seconds).map(Duration::from_secs),
        bytes: number(&written.bytes),
        packets: number(&written.packets),
    }
}
