//! The one conversion from what people write to what the core runs.
//!
//! Every step notes what it refuses in the report and goes on, so that one run names all faults.
//! A step that returns `None` has noted why.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use causeway_esp::{Backend, BackendChoice};
use causeway_routes::is_link_local;
use causeway_steering as limits;
use toml::Spanned;

use super::error::Report;
use super::file::{self, CryptoBackend, File};
use super::plan::{Nic, Peering, Plan, SteeringKey};
use super::{Contacts, cluster, prefixes, rescale, tunnels};
use crate::control::DEFAULT_SOCKET;
use crate::key;

/// RFC 1191 section 6.3, in seconds.
const PATH_MTU_AGE: u64 = 600;
/// A day: what was learned from a mistake or a forger must end by itself.
const LONGEST_PATH_MTU_AGE: u64 = 86_400;

pub(super) fn convert(file: &File, report: &mut Report<'_>) -> Option<Plan> {
    let nic = nic(&file.nic, report);
    let contacts = contacts(file, report);
    let crypto = crypto(&file.crypto, report);
    let steering_key = steering_key(&file.steering.key_file, report);
    let prefixes = prefixes::convert(file, report);
    let names = cluster::Names::collect(file, report);
    let clusters = cluster::convert(file, &names, report);
    let gateways = tunnels::convert(file, &names, &clusters, report);
    let demuxes = rescale::demuxes(file, &prefixes.peers, report);
    let rescale = rescale::convert(&file.rescale, report);
    let ages = path_mtu_ages(file, report);
    let peerings = file
        .peering
        .iter()
        .zip(prefixes.peers)
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
        .collect();
    let Contacts { http, control } = contacts?;
    Some(Plan {
        nic: nic?,
        http,
        control,
        cluster: file.vpc.cluster.as_ref().map(|name| name.get_ref().clone()),
        vpc_prefixes: prefixes.vpc,
        steering_key: steering_key?,
        crypto: crypto?,
        rescale,
        peerings,
        gateways: gateways?,
    })
}

pub(super) fn contacts(file: &File, report: &mut Report<'_>) -> Option<Contacts> {
    let http = match &file.http {
        Some(http) => listen(&http.listen, report).map(Some),
        None => Some(None),
    };
    let control = match &file.control {
        Some(control) => socket(control, report).map(Some),
        None => Some(None),
    };
    Some(Contacts {
        http: http?,
        control: control?,
    })
}

fn path_mtu_ages(file: &File, report: &mut Report<'_>) -> Vec<Duration> {
    let mut ages = Vec::with_capacity(file.peering.len());
    for (index, peering) in file.peering.iter().enumerate() {
        let written = &peering.get_ref().path_mtu_age;
        let seconds = written.as_ref().map_or(PATH_MTU_AGE, |age| *age.get_ref());
        if let Some(age) = written
            && seconds > LONGEST_PATH_MTU_AGE
        {
            report.refuse(
                age.span(),
                format_args!("peering[{index}].path-mtu-age"),
                format_args!(
                    "expected 0 to {LONGEST_PATH_MTU_AGE} seconds, got {seconds}; 0 has ICMP from \
                     the path ignored"
                ),
            );
        }
        ages.push(Duration::from_secs(seconds));
    }
    ages
}

fn nic(nic: &file::Nic, report: &mut Report<'_>) -> Option<Nic> {
    let name = nic.name.get_ref();
    // What the kernel takes as a name: IFNAMSIZ with its closing zero, dev_valid_name().
    let valid = (1..16).contains(&name.len())
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
        && name != "."
        && name != "..";
    if !valid {
        report.refuse(
            nic.name.span(),
            "nic.name",
            format_args!("{name:?} cannot be an interface's name: expected 1 to 15 bytes without spaces and slashes"),
        );
        return None;
    }
    Some(Nic {
        name: name.clone(),
        mode: nic.mode,
    })
}

fn listen(text: &Spanned<String>, report: &mut Report<'_>) -> Option<SocketAddr> {
    let listen = text.get_ref().parse();
    if listen.is_err() {
        report.refuse(
            text.span(),
            "http.listen",
            format_args!(
                "{:?} is not an address and a port; write it as \"127.0.0.1:9464\"",
                text.get_ref()
            ),
        );
    }
    listen.ok()
}

/// The longest path of a UNIX socket: `sun_path` with its closing zero.
const MAX_SOCKET_PATH: usize = 107;

fn socket(control: &file::Control, report: &mut Report<'_>) -> Option<PathBuf> {
    let Some(written) = &control.socket else {
        return Some(DEFAULT_SOCKET.into());
    };
    let path = report.source().resolve(written.get_ref());
    let length = path.as_os_str().len();
    if written.get_ref().is_empty() || length > MAX_SOCKET_PATH {
        report.refuse(
            written.span(),
            "control.socket",
            format_args!(
                "expected a path of 1 to {MAX_SOCKET_PATH} bytes, its directory included, got {length}"
            ),
        );
        return None;
    }
    Some(path)
}

fn crypto(crypto: &file::Crypto, report: &mut Report<'_>) -> Option<BackendChoice> {
    let Some(written) = &crypto.backend else {
        return Some(BackendChoice::Auto);
    };
    let backend = match written.get_ref() {
        CryptoBackend::Auto => return Some(BackendChoice::Auto),
        CryptoBackend::RustCrypto => Backend::RustCrypto,
        CryptoBackend::AwsLc => Backend::AwsLc,
        CryptoBackend::IpsecMb => Backend::IpsecMb,
    };
    let available = backend.available();
    available
        .map(BackendChoice::Only)
        .map_err(|missing| {
            let remedy = "or write \"auto\"";
            report.refuse(
                written.span(),
                "crypto.backend",
                format_args!("{missing}, {remedy}"),
            );
        })
        .ok()
}

fn steering_key(path: &Spanned<String>, report: &mut Report<'_>) -> Option<SteeringKey> {
    let file = key_path(path, "steering.key-file", report)?;
    key::read_steering(&file)
        .map_err(|error| report.refuse(path.span(), "steering.key-file", error))
        .ok()
}

/// The path of a key file. A key that stands there in its place is not repeated in an error.
pub(super) fn key_path(
    path: &Spanned<String>,
    field: impl std::fmt::Display,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    let text = path.get_ref();
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    if digits >= 2 * SteeringKey::LEN && digits == text.len() {
        report.refuse(
            path.span(),
            field,
            "expected the path of a key file, got what looks like a key; keys never stand in the \
             configuration: make a new one with `causeway key`",
        );
        return None;
    }
    Some(report.source().resolve(text))
}

/// An address that a host can have.
pub(super) fn host_address(
    text: &Spanned<String>,
    field: impl std::fmt::Display,
    report: &mut Report<'_>,
) -> Option<IpAddr> {
    let written = text.get_ref();
    let Ok(address) = written.parse::<IpAddr>() else {
        report.refuse(
            text.span(),
            field,
            format_args!(
                "{written:?} is not an IP address; write it as \"10.1.0.101\" or \"fd00:1::101\""
            ),
        );
        return None;
    };
    let unfit = match address {
        IpAddr::V4(v4) if v4.is_broadcast() => Some("expected a unicast address"),
        _ if is_link_local(address) => Some("a link-local address means nothing beyond its link"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Some("no packet on the wire has a mapped address; write the IPv4 address itself")
        }
        _ if address.is_unspecified() || address.is_multicast() || address.is_loopback() => {
            Some("expected a unicast address")
        }
        _ => None,
    };
    if let Some(why) = unfit {
        report.refuse(
            text.span(),
            field,
            format_args!("{address} cannot be a gateway's address: {why}"),
        );
        return None;
    }
    Some(address)
}

/// Refuses a list that is longer than a table of the XDP program.
pub(super) fn at_most<T>(list: &[Spanned<T>], limit: u32, field: &str, report: &mut Report<'_>) {
    if let Some(first_over) = list.get(limit as usize) {
        report.refuse(
            first_over.span(),
            field,
            format_args!(
                "there are {} of them; one host takes at most {limit}",
                list.len()
            ),
        );
    }
}

/// The limits that are on the file's top level.
pub(super) fn check_counts(file: &File, report: &mut Report<'_>) {
    at_most(&file.peering, limits::MAX_PEERINGS, "peering", report);
    at_most(&file.gateway, limits::MAX_GATEWAYS, "gateway", report);
    if file.peering.is_empty() {
        report.refuse(
            0..0,
            "peering",
            "there is none; write a [[peering]] section for each VPC to join with",
        );
    }
}
