//! Prefixes: each well written, none overlapping another, so that a packet belongs to one place.

use std::fmt;
use std::net::Ipv6Addr;
use std::ops::Range;

use causeway_steering::MAX_PREFIXES;
use ipnet::{IpNet, Ipv6Net};
use toml::Spanned;

use super::error::Report;
use super::file::File;

/// The prefixes of the file.
pub(super) struct Prefixes {
    pub(super) vpc: Vec<IpNet>,
    /// By peering, in the order of the file.
    pub(super) peers: Vec<Vec<IpNet>>,
}

struct Entry {
    prefix: IpNet,
    at: Range<usize>,
    field: String,
    owner: Owner,
}

#[derive(Clone)]
enum Owner {
    Vpc,
    Peering(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc => f.write_str("[vpc]"),
            Self::Peering(name) => write!(f, "peering {name:?}"),
        }
    }
}

pub(super) fn convert(file: &File, report: &mut Report<'_>) -> Prefixes {
    let mut entries = Vec::new();
    let vpc = list(
        &file.vpc.prefixes,
        "vpc.prefixes",
        &Owner::Vpc,
        &mut entries,
        report,
    );
    let mut peers = Vec::new();
    for (index, peering) in file.peering.iter().enumerate() {
        let peering = peering.get_ref();
        peers.push(list(
            &peering.prefixes,
            &format!("peering[{index}].prefixes"),
            &Owner::Peering(peering.name.get_ref().clone()),
            &mut entries,
            report,
        ));
    }
    let total: usize = peers.iter().map(Vec::len).sum();
    if total > MAX_PREFIXES as usize
        && let Some(last) = file.peering.last()
    {
        report.refuse(
            last.get_ref().prefixes.span(),
            "peering.prefixes",
            format_args!(
                "all peerings together have {total} prefixes; one host takes at most {MAX_PREFIXES}"
            ),
        );
    }
    refuse_overlaps(entries, report);
    Prefixes { vpc, peers }
}

fn list(
    written: &Spanned<Vec<Spanned<String>>>,
    field: &str,
    owner: &Owner,
    entries: &mut Vec<Entry>,
    report: &mut Report<'_>,
) -> Vec<IpNet> {
    if written.get_ref().is_empty() {
        report.refuse(
            written.span(),
            field,
            "is empty; name at least one prefix, such as \"10.1.0.0/24\"",
        );
    }
    let mut prefixes = Vec::with_capacity(written.get_ref().len());
    for (index, text) in written.get_ref().iter().enumerate() {
        let field = format!("{field}[{index}]");
        let Ok(prefix) = text.get_ref().parse::<IpNet>() else {
            report.refuse(
                text.span(),
                field,
                format_args!(
                    "{:?} is not an IP prefix; write it as \"10.1.0.0/24\" or \"fd00:1::/64\"",
                    text.get_ref()
                ),
            );
            continue;
        };
        if prefix.trunc() != prefix {
            report.refuse(
                text.span(),
                field,
                format_args!(
                    "{prefix} has bits set behind its length; did you mean {}?",
                    prefix.trunc()
                ),
            );
            continue;
        }
        if let IpNet::V6(prefix) = prefix
            && let Some(unfit) = unfit(prefix)
        {
            report.refuse(text.span(), field, format_args!("{prefix} {unfit}"));
            continue;
        }
        prefixes.push(prefix);
        entries.push(Entry {
            prefix,
            at: text.span(),
            field,
            owner: owner.clone(),
        });
    }
    prefixes
}

/// Why an IPv6 prefix is none that a tunnel could carry packets for.
fn unfit(prefix: Ipv6Net) -> Option<&'static str> {
    let net = |first, sixth, length| {
        Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, sixth, 0, 0), length)
    };
    if net(0xfe80, 0, 10).contains(&prefix) {
        Some("is link-local; no such packet leaves its link")
    } else if net(0xff00, 0, 8).contains(&prefix) {
        Some("is multicast; a tunnel joins hosts, not groups")
    } else if net(0, 0xffff, 96).contains(&prefix) {
        Some("is IPv4-mapped, which no packet on the wire is; write the IPv4 prefix itself")
    } else {
        None
    }
}

/// Two prefixes overlap only if one holds the other. So in the order of their addresses, the
/// shorter first, a prefix overlaps an earlier one exactly if it overlaps the last that was in
/// no other.
fn refuse_overlaps(mut entries: Vec<Entry>, report: &mut Report<'_>) {
    entries.sort_by_key(|entry| {
        (
            entry.prefix.network(),
            entry.prefix.prefix_len(),
            entry.at.start,
        )
    });
    let mut outer: Option<&Entry> = None;
    for entry in &entries {
        match outer {
            Some(holder) if holder.prefix.contains(&entry.prefix) => {
                // Reported where the reader meets it second.
                let (first, second) = if holder.at.start < entry.at.start {
                    (holder, entry)
                } else {
                    (entry, holder)
                };
                let line = report.line(first.at.clone());
                report.refuse(
                    second.at.clone(),
                    &second.field,
                    format_args!(
                        "{} overlaps {} of {} (line {line}); every address must belong to one place",
                        second.prefix, first.prefix, first.owner
                    ),
                );
            }
            _ => outer = Some(entry),
        }
    }
}
