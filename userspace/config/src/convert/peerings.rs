//! Peerings: their gateways, the peer's demux and the age of path MTUs.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::address::{host_address, is_reserved};
use super::names::Names;
use super::number::within;
use crate::file::File;
use crate::plan::Peering;
use crate::report::{Report, list};

/// The default, in seconds (RFC 1191 section 6.3).
const PATH_MTU_AGE: u64 = 600;
/// A day, in seconds: a wrong or forged MTU must expire.
const LONGEST_PATH_MTU_AGE: i64 = 86_400;

/// Converts the peerings. `prefixes` and `clusters` are by peering, in the order of the file.
pub(crate) fn convert(
    file: &File,
    prefixes: Vec<Vec<IpNet>>,
    clusters: Vec<Vec<usize>>,
    report: &mut Report<'_>,
) -> Vec<Peering> {
    let demuxes = demuxes(file, &prefixes, report);
    let ages = path_mtu_ages(file, report);
    file.peering
        .iter()
        .zip(prefixes)
        .zip(clusters)
        .zip(demuxes)
        .zip(ages)
        .zip(0..)
        .map(
            |(((((peering, prefixes), gateways), demux), path_mtu_age), id)| Peering {
                id,
                name: peering.get_ref().name.get_ref().clone(),
                prefixes,
                gateways,
                demux,
                clamp_mss: peering.get_ref().clamp_mss,
                path_mtu_age,
            },
        )
        .collect()
}

/// The gateways of each peering as indices into the file's list of gateways, both in the order of
/// the file.
pub(crate) fn clusters(file: &File, names: &Names, report: &mut Report<'_>) -> Vec<Vec<usize>> {
    let known: Vec<_> = file
        .gateway
        .iter()
        .map(|gateway| gateway.get_ref().name.get_ref())
        .collect();
    let mut clusters = Vec::new();
    for (index, peering) in file.peering.iter().enumerate() {
        let written = &peering.get_ref().gateways;
        let field = format!("peering[{index}].gateways");
        if written.get_ref().is_empty() {
            report.error(
                written.span(),
                &field,
                "is empty; name the gateways that carry this peering",
            );
        }
        let mut cluster = Vec::new();
        for (position, name) in written.get_ref().iter().enumerate() {
            let field = format!("{field}[{position}]");
            let text = name.get_ref();
            match names.gateways.get(text) {
                None => report.error(
                    name.span(),
                    field,
                    format_args!("there is no gateway {text:?}; there are: {}", list(&known)),
                ),
                Some(gateway) if cluster.contains(gateway) => report.error(
                    name.span(),
                    field,
                    format_args!("{text:?} is listed twice; list each gateway once"),
                ),
                Some(&gateway) => cluster.push(gateway),
            }
        }
        clusters.push(cluster);
    }
    clusters
}

/// The address of each peer's demux, within the prefixes of the peering.
fn demuxes(file: &File, prefixes: &[Vec<IpNet>], report: &mut Report<'_>) -> Vec<Option<IpAddr>> {
    let mut demuxes = Vec::with_capacity(file.peering.len());
    for (index, (peering, prefixes)) in file.peering.iter().zip(prefixes).enumerate() {
        let Some(text) = &peering.get_ref().demux else {
            demuxes.push(None);
            continue;
        };
        let field = format!("peering[{index}].demux");
        let address = host_address(text, &field, report);
        if let Some(address) = address {
            match prefixes.iter().find(|prefix| prefix.contains(&address)) {
                None => report.error(
                    text.span(),
                    field,
                    format_args!(
                        "{address} is in none of this peering's prefixes; packets to the peer's demux go \
                         through the tunnels, so the prefixes must contain its address"
                    ),
                ),
                Some(prefix) if is_reserved(prefix, address) => report.error(
                    text.span(),
                    field,
                    format_args!(
                        "{address} is the network or broadcast address of {prefix}; write the address of the \
                         peer's demux"
                    ),
                ),
                Some(_) => {}
            }
        }
        demuxes.push(address);
    }
    demuxes
}

fn path_mtu_ages(file: &File, report: &mut Report<'_>) -> Vec<Duration> {
    let mut ages = Vec::with_capacity(file.peering.len());
    for (index, peering) in file.peering.iter().enumerate() {
        let field = format_args!("peering[{index}].path-mtu-age");
        let hint = "; with 0, ICMP errors from the path are ignored";
        let range = 0..=LONGEST_PATH_MTU_AGE;
        let written = peering.get_ref().path_mtu_age.as_ref();
        let seconds = written.map_or(PATH_MTU_AGE, |age| {
            within(age, range, "seconds", hint, field, report)
        });
        ages.push(Duration::from_secs(seconds));
    }
    ages
}
