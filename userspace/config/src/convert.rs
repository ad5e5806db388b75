//! The conversion of a file into a plan.
//!
//! Every step adds its errors to the report and goes on, so that one run reports all errors. A step
//! that returns `None` has added an error.

mod address;
mod endpoints;
mod gateways;
mod key_file;
mod limits;
mod names;
mod number;
mod peerings;
mod prefixes;
mod rescale;
mod sas;
mod settings;

use std::net::IpAddr;

use causeway_esp::{Backend, BackendChoice};

pub(crate) use address::is_reserved;
pub use endpoints::Endpoints;
pub(crate) use endpoints::convert as endpoints;

use self::names::Names;
use crate::file::{self, CryptoBackend, File};
use crate::plan::{Nic, Plan};
use crate::report::Report;

pub(crate) fn convert(file: &File, report: &mut Report<'_>) -> Option<Plan> {
    let nic = nic(&file.nic, report);
    let endpoints = endpoints(file, report);
    let crypto = crypto(&file.crypto, report);
    let steering_key = key_file::steering_key(&file.steering.key_file, report);
    let prefixes = prefixes::convert(file, report);
    limits::check(file, report);
    let names = Names::collect(file, report);
    let clusters = peerings::clusters(file, &names, report);
    let gateways = gateways::convert(file, &names, &clusters, report);
    let peerings = peerings::convert(file, prefixes.peers, clusters, report);
    let demux = demux(file, report);
    let rescale = rescale::convert(&file.rescale, report);
    let Endpoints { http, control } = endpoints?;
    Some(Plan {
        nic: nic?,
        http,
        control,
        cluster: file.vpc.cluster.as_ref().map(|name| name.get_ref().clone()),
        vpc_prefixes: prefixes.vpc,
        demux,
        steering_key: steering_key?,
        crypto: crypto?,
        rescale,
        peerings,
        gateways: gateways?,
    })
}

/// The demux of this VPC, of the family of the gateway to which it sends.
fn demux(file: &File, report: &mut Report<'_>) -> Option<IpAddr> {
    let text = file.vpc.demux.as_ref()?;
    let demux = address::host_address(text, "vpc.demux", report)?;
    let written = file
        .gateway
        .iter()
        .find_map(|gateway| gateway.get_ref().address.as_ref());
    if let Some(gateway) = written.and_then(|text| text.get_ref().parse::<IpAddr>().ok())
        && gateway.is_ipv4() != demux.is_ipv4()
    {
        report.error(
            text.span(),
            "vpc.demux",
            format_args!(
                "{demux} and the gateway's address {gateway} are of different families; write the demux's \
                 address of the gateway's family"
            ),
        );
    }
    Some(demux)
}

fn nic(nic: &file::Nic, report: &mut Report<'_>) -> Option<Nic> {
    let name = nic.name.get_ref();
    // The kernel's rules: IFNAMSIZ includes the closing zero, dev_valid_name() checks the characters.
    let valid = (1..16).contains(&name.len())
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
        && name != "."
        && name != "..";
    if !valid {
        report.error(
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
            report.error(
                written.span(),
                "crypto.backend",
                format_args!("{missing}, or write \"auto\""),
            );
        })
        .ok()
}
