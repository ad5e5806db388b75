//! Gateways with their workers and tunnels.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use causeway_steering::MAX_WORKERS;
use toml::Spanned;

use super::cluster::Names;
use super::convert::host_address;
use super::error::Report;
use super::file::{self, File};
use super::plan::{Encapsulation, Gateway, Tunnel, Worker};
use super::rescale;
use super::sas::Seen;
use super::settings;

/// The UDP source port if none is written (RFC 3948 section 2.1).
const SOURCE_PORT: u16 = 4500;
/// The replay window if none is written, in packets.
const REPLAY_WINDOW: u32 = 4096;
/// The windows that `causeway_esp::InboundSa` takes.
const REPLAY_WINDOWS: RangeInclusive<u32> = 64..=16384;

/// What every step needs to know of the file.
struct Context<'a> {
    names: &'a Names,
    /// For each peering the places of its gateways.
    clusters: &'a [Vec<usize>],
    peerings: Vec<&'a str>,
}

pub(super) fn convert(
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
    let mut seen = Seen::default();
    let mut worker_id = 0;
    let mut gateways = Vec::new();
    for (index, gateway) in file.gateway.iter().enumerate() {
        gateways.push(convert_gateway(
            gateway,
            index,
            &context,
            &mut worker_id,
            &mut seen,
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
    seen: &mut Seen,
    report: &mut Report<'_>,
) -> Option<Gateway> {
    let gateway = written.get_ref();
    let field = format!("gateway[{index}]");
    let address = match &gateway.address {
        Some(text) => {
            let field = format!("{field}.address");
            let address = host_address(text, &field, report);
            // Local gateways may share one: the SPI tells their workers apart.
            if let Some(address) = address
                && gateway.worker.is_empty()
                && let Some(line) = seen.remotes.insert(address, report.line(text.span()))
            {
                report.refuse(
                    text.span(),
                    field,
                    format_args!(
                        "{address} is the address of another gateway already (line {line})"
                    ),
                );
            }
            address
        }
        None => {
            report.refuse(
                written.span(),
                &field,
                if gateway.worker.is_empty() {
                    "has neither an address nor workers; a remote gateway wants `address`, a local \
                     one `address` and [[gateway.worker]] sections"
                } else {
                    "has workers but no address; write the outer source address of its tunnels, \
                     one of the NIC's, as `address`"
                },
            );
            None
        }
    };
    let mut workers = Vec::new();
    for (number, worker) in gateway.worker.iter().enumerate() {
        let field = format!("{field}.worker[{number}]");
        if *worker_id == MAX_WORKERS {
            report.refuse(
                worker.span(),
                &field,
                format_args!("is one too many; one host runs at most {MAX_WORKERS} workers"),
            );
        }
        let tunnels = convert_tunnels(worker, index, address, &field, context, seen, report);
        workers.push(Worker {
            id: *worker_id,
            core: worker.get_ref().core.as_ref().map(|core| *core.get_ref()),
            spin: worker.get_ref().spin,
            tunnels,
        });
        *worker_id += 1;
    }
    Some(Gateway {
        id: index as u32,
        name: gateway.name.get_ref().clone(),
        address: address?,
        weight: rescale::weight(gateway.weight.as_ref(), &field, report),
        workers,
    })
}

fn convert_tunnels(
    worker: &Spanned<file::Worker>,
    gateway: usize,
    address: Option<IpAddr>,
    field: &str,
    context: &Context<'_>,
    seen: &mut Seen,
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
            report.refuse(
                tunnel.get_ref().peering.span(),
                format_args!("{field}.peering"),
                format_args!(
                    "this worker has a tunnel for {:?} already; one worker carries a peering \
                     through one pair of SAs",
                    context.peerings[peering]
                ),
            );
        }
        let tunnel = tunnel.get_ref();
        tunnels.extend(convert_tunnel(
            tunnel, peering, address, &field, seen, report,
        ));
    }
    for (peering, name) in context.peerings.iter().enumerate() {
        if context.clusters[peering].contains(&gateway) && !served[peering] {
            report.refuse(
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
        report.refuse(
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
    seen: &mut Seen,
    report: &mut Report<'_>,
) -> Option<Tunnel> {
    let peer_field = format!("{field}.peer");
    let peer = host_address(&tunnel.peer, &peer_field, report);
    match (peer, address) {
        (Some(peer), Some(own)) if peer == own => report.refuse(
            tunnel.peer.span(),
            peer_field,
            "is the gateway's own address; write the peer gateway's",
        ),
        (Some(peer), Some(own)) if peer.is_ipv4() != own.is_ipv4() => report.refuse(
            tunnel.peer.span(),
            peer_field,
            format_args!(
                "{peer} and the gateway's own address {own} are of two families; a tunnel's ends \
                 are both IPv4 or both IPv6, whatever it carries"
            ),
        ),
        _ => {}
    }
    let encapsulation = encapsulation(tunnel, field, report);
    let replay_window = match &tunnel.replay_window {
        None => REPLAY_WINDOW,
        Some(window) => {
            if !REPLAY_WINDOWS.contains(window.get_ref()) {
                report.refuse(
                    window.span(),
                    format_args!("{field}.replay-window"),
                    format_args!(
                        "expected {} to {} packets, got {}",
                        REPLAY_WINDOWS.start(),
                        REPLAY_WINDOWS.end(),
                        window.get_ref()
                    ),
                );
            }
            *window.get_ref()
        }
    };
    let field_of = |direction| format!("{field}.{direction}");
    let outbound = seen.outbound(&tunnel.outbound, peer, &field_of("outbound"), report);
    let inbound = seen.inbound(&tunnel.inbound, &field_of("inbound"), report);
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
    let refused = match (tunnel.encapsulation, &tunnel.source_port) {
        (file::Encapsulation::Udp, Some(port)) if *port.get_ref() == 0 => {
            (port, "expected a UDP port from 1 to 65535, got 0")
        }
        (file::Encapsulation::Esp, Some(port)) => (
            port,
            "ESP right over IP has no port; write encapsulation = \"udp\" or leave this out",
        ),
        (file::Encapsulation::Udp, port) => {
            return Some(Encapsulation::Udp {
                source_port: port.as_ref().map_or(SOURCE_PORT, |port| *port.get_ref()),
            });
        }
        (file::Encapsulation::Esp, None) => return Some(Encapsulation::Esp),
    };
    let (port, sentence) = refused;
    report.refuse(port.span(), format_args!("{field}.source-port"), sentence);
    None
}
