//! Gateways, workers and tunnels.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use causeway_rescale::Weight;
use causeway_steering::MAX_WORKERS;
use rustix::thread::CpuSet;
use toml::Spanned;

use super::address::host_address;
use super::names::Names;
use super::number::within;
use super::sas::Unique;
use super::settings;
use crate::file::{self, File};
use crate::plan::{Encapsulation, Gateway, Tunnel, Worker};
use crate::report::Report;

/// The default UDP source port (RFC 3948 section 2.1).
const SOURCE_PORT: u16 = 4500;
const UDP_PORTS: RangeInclusive<i64> = 1..=65_535;
/// The CPUs that an affinity can name.
const CORES: RangeInclusive<i64> = 0..=CpuSet::MAX_CPU as i64 - 1;
/// The default replay window, in packets.
const REPLAY_WINDOW: u32 = 4096;
/// The windows that `causeway_esp::InboundSa` supports.
const REPLAY_WINDOWS: RangeInclusive<i64> = 64..=16384;

struct Context<'a> {
    names: &'a Names,
    /// The gateways of each peering, as indices into the file's list.
    clusters: &'a [Vec<usize>],
    peerings: Vec<&'a str>,
}

pub(crate) fn convert(
    file: &File,
    names: &Names,
    clusters: &[Vec<usize>],
    report: &mut Report<'_>,
) -> Option<Vec<Gateway>> {
    let context = Context {
        names,
        clusters,
        peerings: file
            .peering
            .iter()
            .map(|peering| peering.get_ref().name.get_ref().as_str())
            .collect(),
    };
    let mut unique = Unique::default();
    let mut worker_id = 0;
    let mut gateways = Vec::new();
    for (index, gateway) in file.gateway.iter().enumerate() {
        gateways.push(convert_gateway(
            gateway,
            index,
            &context,
            &mut worker_id,
            &mut unique,
            report,
        ));
    }
    gateways.into_iter().collect()
}

fn convert_gateway(
    written: &Spanned<file::Gateway>,
    index: usize,
    context: &Context<'_>,
    worker_id: &mut u32,
    unique: &mut Unique,
    report: &mut Report<'_>,
) -> Option<Gateway> {
    let gateway = written.get_ref();
    let field = format!("gateway[{index}]");
    let address = match &gateway.address {
        Some(text) => {
            let field = format!("{field}.address");
            let address = host_address(text, &field, report);
            // Local gateways may share one: the SPI selects the worker.
            if let Some(address) = address
                && gateway.worker.is_empty()
                && let Some(line) = unique.remotes.insert(address, report.line(text.span()))
            {
                report.error(
                    text.span(),
                    field,
                    format_args!(
                        "{address} is already the address of another gateway (line {line})"
                    ),
                );
            }
            address
        }
        None => {
            report.error(
                written.span(),
                &field,
                if gateway.worker.is_empty() {
                    "has neither an address nor workers; a remote gateway needs `address`, a local \
                     one `address` and [[gateway.worker]] sections"
                } else {
                    "has workers but no address; set `address` to the outer source address of its \
                     tunnels, one of the NIC's addresses"
                },
            );
            None
        }
    };
    let mut workers = Vec::new();
    for (number, worker) in gateway.worker.iter().enumerate() {
        let field = format!("{field}.worker[{number}]");
        if *worker_id == MAX_WORKERS {
            report.error(
                worker.span(),
                &field,
                format_args!("is one too many; one host supports at most {MAX_WORKERS} workers"),
            );
        }
        let tunnels = convert_tunnels(worker, index, address, &field, context, unique, report);
        workers.push(Worker {
            id: *worker_id,
            core: core(worker.get_ref(), &field, report),
            spin: worker.get_ref().spin,
            tunnels,
        });
        *worker_id += 1;
    }
    Some(Gateway {
        id: index as u32,
        name: gateway.name.get_ref().clone(),
        address: address?,
        weight: weight(gateway.weight.as_ref(), &field, report),
        workers,
    })
}

fn core(worker: &file::Worker, field: &str, report: &mut Report<'_>) -> Option<usize> {
    let core = worker.core.as_ref()?;
    let field = format_args!("{field}.core");
    Some(within(core, CORES, "", "", field, report) as usize)
}

fn convert_tunnels(
    worker: &Spanned<file::Worker>,
    gateway: usize,
    address: Option<IpAddr>,
    field: &str,
    context: &Context<'_>,
    unique: &mut Unique,
    report: &mut Report<'_>,
) -> Vec<Tunnel> {
    let mut tunnels = Vec::new();
    let mut served = vec![false; context.peerings.len()];
    for (number, tunnel) in worker.get_ref().tunnel.iter().enumerate() {
        let field = format!("{field}.tunnel[{number}]");
        let peering = peering_of(tunnel.get_ref(), &field, context, report);
        if let Some(peering) = peering
            && std::mem::replace(&mut served[peering], true)
        {
            report.error(
                tunnel.get_ref().peering.span(),
                format_args!("{field}.peering"),
                format_args!(
                    "this worker already has a tunnel for {:?}; a worker has one tunnel for each \
                     peering",
                    context.peerings[peering]
                ),
            );
        }
        let tunnel = tunnel.get_ref();
        tunnels.extend(convert_tunnel(
            tunnel, peering, address, &field, unique, report,
        ));
    }
    for (peering, name) in context.peerings.iter().enumerate() {
        if context.clusters[peering].contains(&gateway) && !served[peering] {
            report.error(
                worker.span(),
                field,
                format_args!(
                    "has no tunnel for peering {name:?}, which its gateway serves; add a \
                     [[gateway.worker.tunnel]] for it"
                ),
            );
        }
    }
    tunnels
}

fn peering_of(
    tunnel: &file::Tunnel,
    field: &str,
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> Option<usize> {
    let name = tunnel.peering.get_ref();
    let peering = context.names.peerings.get(name).copied();
    if peering.is_none() {
        report.error(
            tunnel.peering.span(),
            format_args!("{field}.peering"),
            format_args!(
                "there is no peering {name:?}; there are: {}",
                context.peerings.join(", ")
            ),
        );
    }
    peering
}

fn convert_tunnel(
    tunnel: &file::Tunnel,
    peering: Option<usize>,
    address: Option<IpAddr>,
    field: &str,
    unique: &mut Unique,
    report: &mut Report<'_>,
) -> Option<Tunnel> {
    let peer_field = format!("{field}.peer");
    let peer = host_address(&tunnel.peer, &peer_field, report);
    match (peer, address) {
        (Some(peer), Some(own)) if peer == own => report.error(
            tunnel.peer.span(),
            peer_field,
            "is the gateway's own address; write the peer gateway's address",
        ),
        (Some(peer), Some(own)) if peer.is_ipv4() != own.is_ipv4() => report.error(
            tunnel.peer.span(),
            peer_field,
            format_args!(
                "{peer} and the gateway's own address {own} are of different families; the ends of \
                 a tunnel must be both IPv4 or both IPv6"
            ),
        ),
        _ => {}
    }
    let encapsulation = encapsulation(tunnel, field, report);
    let replay_window = tunnel.replay_window.as_ref();
    let replay_window = replay_window.map_or(REPLAY_WINDOW, |window| {
        let field = format_args!("{field}.replay-window");
        within(window, REPLAY_WINDOWS, "packets", "", field, report) as u32
    });
    let field_of = |direction| format!("{field}.{direction}");
    let outbound = unique.outbound(&tunnel.outbound, peer, &field_of("outbound"), report);
    let inbound = unique.inbound(&tunnel.inbound, &field_of("inbound"), report);
    Some(Tunnel {
        peering: peering?,
        peer: peer?,
        encapsulation: encapsulation?,
        replay_window,
        settings: settings::convert(tunnel, field, report),
        dummy_interval: settings::dummy_interval(tunnel, field, report),
        outbound: outbound?,
        inbound: inbound?,
    })
}

fn encapsulation(
    tunnel: &file::Tunnel,
    field: &str,
    report: &mut Report<'_>,
) -> Option<Encapsulation> {
    let field = format_args!("{field}.source-port");
    match (tunnel.encapsulation, &tunnel.source_port) {
        (file::Encapsulation::Udp, port) => Some(Encapsulation::Udp {
            source_port: port.as_ref().map_or(SOURCE_PORT, |port| {
                within(port, UDP_PORTS, "", "", field, report) as u16
            }),
        }),
        (file::Encapsulation::Esp, None) => Some(Encapsulation::Esp),
        (file::Encapsulation::Esp, Some(port)) => {
            report.error(
                port.span(),
                field,
                "ESP without UDP has no port; set encapsulation = \"udp\" or remove this key",
            );
            None
        }
    }
}

/// The gateway's share of the buckets, relative to the weights of the others.
fn weight(written: Option<&Spanned<i64>>, field: &str, report: &mut Report<'_>) -> Weight {
    let field = format_args!("{field}.weight");
    let range = 1..=i64::from(Weight::MAX);
    let weight = written.map(|written| within(written, range, "", "", field, report) as u8);
    weight
        .and_then(|weight| Weight::new(weight).ok())
        .unwrap_or(Weight::ONE)
}
