//! Prefixes. They must be valid and must not overlap, so that each packet belongs to one VPC.

use std::fmt;
use std::net::Ipv6Addr;
use std::ops::Range;

use causeway_steering::MAX_PREFIXES;
use ipnet::{IpNet, Ipv6Net};
use toml::Spanned;

use crate::file::File;
use crate::report::Report;

/// The prefixes of the file.
pub(crate) struct Prefixes {
    pub(crate) vpc: Vec<IpNet>,
    /// By peering, in the order of the file.
    pub(crate) peers: Vec<Vec<IpNet>>,
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

pub(crate) fn convert(file: &File, report: &mut Report<'_>) -> Prefixes {
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
        report.error(
            last.get_ref().prefixes.span(),
            "peering.prefixes",
            format_args!(
                "all peerings together have {total} prefixes; one host supports at most {MAX_PREFIXES}"
            ),
        );
    }
    check_overlaps(entries, report);
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
        report.error(
            written.span(),
            field,
            "is empty; write at least one prefix, such as \"10.1.0.0/24\"",
        );
    }
    let mut prefixes = Vec::with_capacity(written.get_ref().len());
    for (index, text) in written.get_ref().iter().enumerate() {
        let field = format!("{field}[{index}]");
        let Ok(prefix) = text.get_ref().parse::<IpNet>() else {
            report.error(
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
            report.error(
                text.span(),
                field,
                format_args!(
                    "{prefix} has host bits set; did you mean {}?",
                    prefix.trunc()
                ),
            );
            continue;
        }
        if let IpNet::V6(prefix) = prefix
            && let Some(fault) = ipv6_fault(prefix)
        {
            report.error(text.span(), field, format_args!("{prefix} {fault}"));
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

/// Why a tunnel cannot carry packets to an IPv6 prefix.
fn ipv6_fault(prefix: Ipv6Net) -> Option<&'static str> {
    let net = |first, sixth, length| {
        Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, sixth, 0, 0), length)
    };
    if net(0xfe80, 0, 10).contains(&prefix) {
        Some("is link-local; link-local packets do not leave their link")
    } else if net(0xff00, 0, 8).contains(&prefix) {
        Some("is multicast; tunnels carry only unicast packets")
    } else if net(0, 0xffff, 96).contains(&prefix) {
        Some("is IPv4-mapped; such addresses do not occur on the wire: write the IPv4 prefix")
    } else {
        None
    }
}

/// Two prefixes overlap only if one contains the other. In the order of addresses, shorter prefixes
/// first, a prefix therefore overlaps an earlier one only if it overlaps the latest outermost one.
fn check_overlaps(mut entries: Vec<Entry>, report: &mut Report<'_>) {
    entries.sort_by_key(|entry| {
        (
            entry.prefix.network(),
            entry.prefix.prefix_len(),
            entry.at.start,
        )
    });
    let mut outermost: Option<&Entry> = None;
    for entry in &entries {
        match outermost {
            Some(outer) if outer.prefix.contains(&entry.prefix) => {
                // The error is at the later place of the file.
                let (first, second) = if outer.at.start < entry.at.start {
                    (outer, entry)
                } else {
                    (entry, outer)
                };
                let line = report.line(first.at.clone());
                report.error(
                    second.at.clone(),
                    &second.field,
                    format_args!(
                        "{} overlaps {} of {} (line {line}); prefixes must not overlap",
                        second.prefix, first.prefix, first.owner
                    ),
                );
            }
            _ => outermost = Some(entry),
        }
    }
}
